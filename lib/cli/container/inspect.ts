// SPDX-License-Identifier: MIT
/** `tsoverlay inspect`, in the shape of `docker inspect`. */
import { UsageError } from '../../base/errors.js';
import { hostPorts } from '../../container/network/ports.js';
import { USUAL_LIMITS } from '../../container/program/log-rotation.js';
import { commandLine } from '../../container/spec/runtime-spec.js';
import {
  type ContainerConfig,
  type ContainerState,
  hostnameOf,
  type MountRequest,
  type PortMapping,
} from '../../container/state/config.js';
import type { Container } from '../../container/state/containers.js';
import { findContainer, lookUpContainer } from '../../container/state/containers.js';
import { writableLayers } from '../../container/storage/upper-storage.js';
import { volumePath } from '../../container/storage/volumes.js';
import { readState } from '../../container/upkeep/recovery.js';
import { findImage } from '../../image/store/images.js';
import { Store } from '../../image/store/store.js';
import type { Arguments } from '../commands/table.js';
import { describeImage } from '../image/inspect.js';
import { compileTemplate } from '../words/go-template.js';

const NEVER = '0001-01-01T00:00:00Z';

const NANO = 1e9;

function portTable(ports: readonly PortMapping[]): Record<string, { HostIp: string; HostPort: string }[]> {
  const found: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const port of ports) {
    const key = `${port.containerPort}/${port.protocol}`;
    const binding = { HostIp: port.hostAddress || '0.0.0.0', HostPort: hostPorts(port) };
    found[key] = [...(found[key] ?? []), binding];
  }
  return found;
}

function describeMount(
  container: Container,
  { type, source, target, readOnly, options }: MountRequest,
): object {
  return {
    Type: type,
    ...(type === 'volume' ? { Name: source } : {}),
    Source: type === 'volume' ? volumePath(container.store, source) : source,
    Destination: target,
    Mode: options.join(','),
    RW: !readOnly,
  };
}

function describeState(state: ContainerState): object {
  const isAlive = state.status === 'running' || state.status === 'paused';
  return {
    Status: state.status,
    Running: isAlive,
    Paused: state.status === 'paused',
    Restarting: false,
    Dead: false,
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt || NEVER,
    FinishedAt: state.finishedAt || NEVER,
  };
}

function describeHost({ options }: ContainerConfig): object {
  return {
    NetworkMode: options.network,
    PortBindings: portTable(options.ports),
    RestartPolicy: { Name: options.restart.name, MaximumRetryCount: options.restart.retries },
    AutoRemove: options.autoRemove,
    CapAdd: options.capAdd,
    CapDrop: options.capDrop,
    Dns: options.nameServers,
    ExtraHosts: options.extraHosts,
    Privileged: options.privileged,
    ReadonlyRootfs: options.readOnly,
    ShmSize: options.sharedMemory ?? 64 << 20,
    Memory: options.memory ?? 0,
    NanoCpus: (options.cpus ?? 0) * NANO,
    PidsLimit: options.processes ?? null,
    Ulimits: options.limits.map(({ type, soft, hard }) => ({
      Name: type.replace('RLIMIT_', '').toLowerCase(),
      Soft: soft,
      Hard: hard,
    })),
    LogConfig: describeLog(options.log),
    Init: options.init,
    Runtime: options.runtime,
  };
}

function describeLog(log: ContainerConfig['options']['log']): object {
  if (log === 'none') return { Type: 'none', Config: {} };
  const { maxSize, maxFiles, reserve } = log ?? USUAL_LIMITS;
  const limits = { 'max-size': maxSize === 0 ? '-1' : String(maxSize), 'max-file': String(maxFiles) };
  return {
    Type: 'json-file',
    Config: reserve === undefined ? limits : { ...limits, reserve: String(reserve) },
  };
}

function describeStorage(container: Container, config: ContainerConfig): object {
  const { store, directory } = container;
  const merged = container.path('rootfs');
  if (config.options.storage === 'vfs' || config.options.storage === 'btrfs')
    return { Name: config.options.storage, Data: { MergedDir: merged } };
  const { lowers, upper, work } = writableLayers({ store, directory, image: config.image });
  return {
    Name: config.options.storage,
    Data: { LowerDir: lowers.join(':'), UpperDir: upper, WorkDir: work, MergedDir: merged },
  };
}

async function describeContainer(container: Container): Promise<Record<string, unknown>> {
  const config = container.readConfig();
  const state = await readState(container);
  const { options, image } = config;
  const [path, ...args] = commandLine({ ...options, image: image.config });
  return {
    Id: config.id,
    Created: config.created,
    Path: path,
    Args: args,
    State: describeState(state),
    Image: image.id,
    ResolvConfPath: container.path('resolv.conf'),
    HostnamePath: container.path('hostname'),
    HostsPath: container.path('hosts'),
    LogPath: options.log === 'none' ? '' : container.path('log'),
    Name: `/${config.name}`,
    RestartCount: state.restarts,
    Driver: options.storage,
    Platform: 'linux',
    HostConfig: describeHost(config),
    GraphDriver: describeStorage(container, config),
    Mounts: options.mounts.map((request) => describeMount(container, request)),
    Config: {
      ...image.config,
      Hostname: hostnameOf(config),
      User: options.user ?? image.config.User ?? '',
      Tty: options.terminal,
      OpenStdin: options.interactive,
      Env: [...(image.config.Env ?? []), ...options.env],
      Cmd: options.command ?? image.config.Cmd ?? null,
      Image: image.name,
      WorkingDir: options.cwd ?? image.config.WorkingDir ?? '',
      Entrypoint: options.entrypoint ?? image.config.Entrypoint ?? null,
      Labels: options.labels,
      StopSignal: options.stopSignal ?? image.config.StopSignal ?? 'SIGTERM',
      StopTimeout: options.stopTimeout,
    },
    NetworkSettings: {
      Ports: portTable(state.ports),
      IPAddress: state.address,
      Gateway: state.gateway,
    },
  };
}

const KINDS = [undefined, 'container', 'image'];

/** A container where there is one of that name, else an image. */
async function describeNamed(store: Store, name: string, type: string | undefined): Promise<object> {
  const container =
    type === 'container'
      ? findContainer(store, name)
      : type === 'image'
        ? undefined
        : lookUpContainer(store, name);
  if (container === undefined) return describeImage(store, findImage(store, name).image);
  return describeContainer(container);
}

export async function inspect(args: Arguments<'inspect'>): Promise<void> {
  if (!KINDS.includes(args.type))
    throw new UsageError(`--type ${args.type} is not possible`, 'it is container or image');
  const store = Store.open(args.root);
  const described: object[] = [];
  for (const name of args.names) described.push(await describeNamed(store, name, args.type));
  if (args.format === undefined || args.format === 'json') {
    process.stdout.write(`${JSON.stringify(described, null, 4)}\n`);
    return;
  }
  const template = compileTemplate(args.format);
  for (const image of described) process.stdout.write(`${template(image)}\n`);
}
