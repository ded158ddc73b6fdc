// SPDX-License-Identifier: MIT
/** From what a container is to what a runtime is told. */
import { accessSync, constants, existsSync } from 'node:fs';
import { OverlayError, UsageError } from '../../base/errors.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { openUnion } from '../../overlay/open/open.js';
import { availableCapabilities, CAPABILITY_NAMES } from '../../sys/credentials.js';
import { type Account, findAccount } from '../spec/accounts.js';
import { CAPABILITIES, type SpecMount } from '../spec/defaults.js';
import { type RuntimeSpec, runtimeSpec, type SpecResources } from '../spec/runtime-spec.js';
import { type ContainerConfig, hostnameOf, type MountRequest } from '../state/config.js';
import type { Container } from '../state/containers.js';
import { ensureVolume } from '../storage/volumes.js';

const CPU_PERIOD_US = 100_000;
const DEFAULT_SHM = 64 << 20;

/** Who `user` is in what a container has now. */
export function accountIn(view: LayerSet, user: string): Account {
  const union = openUnion(view);
  try {
    return findAccount(union, user);
  } finally {
    union.close();
  }
}

function capabilityName(text: string): string {
  const name = text.toUpperCase().startsWith('CAP_') ? text.toUpperCase() : `CAP_${text.toUpperCase()}`;
  if (CAPABILITY_NAMES.includes(name)) return name;
  throw new UsageError(`there is no capability ${text}`, 'see capabilities(7) for their names');
}

/** Docker's set with what is added and without what is dropped; ALL stands for all. Throws UsageError. */
export function capabilitiesFor({
  capAdd,
  capDrop,
  privileged,
}: Pick<ContainerConfig['options'], 'capAdd' | 'capDrop' | 'privileged'>): string[] {
  if (privileged) return availableCapabilities();
  const isAll = (name: string): boolean => name.toUpperCase() === 'ALL';
  const dropped = capDrop.filter((name) => !isAll(name)).map(capabilityName);
  const start = capAdd.some(isAll) ? availableCapabilities() : capDrop.some(isAll) ? [] : CAPABILITIES;
  const added = capAdd.filter((name) => !isAll(name)).map(capabilityName);
  return [...new Set([...start, ...added])].filter((name) => !dropped.includes(name));
}

export function resourcesFor({ options }: ContainerConfig): SpecResources {
  const { memory, cpus, processes } = options;
  return {
    ...(memory === undefined ? {} : { memory: { limit: memory } }),
    ...(cpus === undefined
      ? {}
      : { cpu: { quota: Math.round(cpus * CPU_PERIOD_US), period: CPU_PERIOD_US } }),
    ...(processes === undefined ? {} : { pids: { limit: processes } }),
  };
}

/** A later option takes its opposite's place (moby's MergeTmpfsOptions); not every runtime does that itself. */
function mergeOptions(options: readonly string[]): string[] {
  const opposite = (option: string): string => (option.startsWith('no') ? option.slice(2) : `no${option}`);
  return options.filter((option, at) => !options.includes(opposite(option), at));
}

function mountFor(container: Container, request: MountRequest, view: LayerSet): SpecMount {
  const { type, source, target: destination, readOnly, options } = request;
  if (type === 'tmpfs') {
    const own = ['nosuid', 'nodev', 'noexec', ...(readOnly ? ['ro'] : []), ...options];
    return { destination, type: 'tmpfs', source: 'tmpfs', options: mergeOptions(own) };
  }
  const access = readOnly ? ['ro'] : [];
  const path = type === 'volume' ? ensureVolume(container.store, request, view) : source;
  if (!existsSync(path)) {
    throw new OverlayError({
      operation: 'mount',
      path,
      reason: 'there is no such file or directory on this machine',
      remedy: 'make it first',
    });
  }
  // A device that is made in it opens nothing: the container may make some, and its own /dev is a mount apart.
  const devices = options.includes('dev') ? [] : ['nodev'];
  return {
    destination,
    type: 'bind',
    source: path,
    options: ['rbind', 'rprivate', ...devices, ...options, ...access],
  };
}

const INIT_PROGRAMS = [
  '/usr/bin/tini-static',
  '/usr/bin/catatonit',
  '/usr/libexec/podman/catatonit',
  '/usr/bin/docker-init',
];
const INIT_PLACE = '/sbin/tsoverlay-init';

/** A static program that reaps orphans and passes signals on. */
function findInit(): string {
  for (const path of INIT_PROGRAMS) {
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one may be there.
    }
  }
  throw new OverlayError({
    operation: 'start with --init',
    reason: `this machine has none of ${INIT_PROGRAMS.join(', ')}`,
    remedy: 'install catatonit or tini',
  });
}

export interface SpecSetting {
  /** What the container has now. */
  view: LayerSet;
  /** Of the container's own files. */
  files: SpecMount[];
  cgroupsPath: string | undefined;
  /** The namespace of the network that is joined, if it is another container's. */
  networkPath: string | undefined;
}

/** What the container is started with now. Throws an OverlayError for what the image or the machine lacks. */
export function specForContainer(
  container: Container,
  config: ContainerConfig,
  { view, files, cgroupsPath, networkPath }: SpecSetting,
): RuntimeSpec {
  const { options, image } = config;
  const mounts = [...files, ...options.mounts.map((request) => mountFor(container, request, view))];
  if (options.init) {
    mounts.push({ destination: INIT_PLACE, type: 'bind', source: findInit(), options: ['rbind', 'ro'] });
  }
  const network =
    options.network === 'host' ? 'host' : networkPath === undefined ? 'new' : { path: networkPath };
  const spec = runtimeSpec(
    {
      image: image.config,
      account: accountIn(view, options.user ?? image.config.User ?? ''),
      hostname: hostnameOf(config),
      command: options.command,
      entrypoint: options.entrypoint,
      env: options.env,
      cwd: options.cwd,
      terminal: options.terminal,
      readOnly: options.readOnly,
      network,
      mounts,
      sharedMemory: options.sharedMemory ?? DEFAULT_SHM,
      capabilities: capabilitiesFor(options),
      noNewPrivileges: options.noNewPrivileges,
      privileged: options.privileged,
      unfiltered: options.unfiltered,
      limits: options.limits,
      resources: resourcesFor(config),
      cgroupsPath,
    },
    container.path('rootfs'),
  );
  if (options.init) spec.process.args.unshift(INIT_PLACE, '--');
  return spec;
}
