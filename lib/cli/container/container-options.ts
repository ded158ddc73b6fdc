// SPDX-License-Identifier: MIT
/** Options of `run` and `create` in Docker's notation, as a container's configuration takes them. Throws UsageError. */
import { UsageError } from '../../base/errors.js';
import { capabilitiesFor } from '../../container/server/container-spec.js';
import type { ContainerOptions, PortMapping, RestartPolicy } from '../../container/state/config.js';
import { parseRuntimeName, parseStorageName } from '../../container/state/names.js';
import type { RunConfig } from '../../image/model/image-config.js';
import { signalNumber } from '../../sys/signals.js';
import type { Arguments } from '../commands/table.js';
import { parseSize } from '../words/sizes.js';
import { parseWhole } from '../words/whole-numbers.js';
import { parseExtraHost, parseNameServer } from './hosts.js';
import { environmentFrom, labelsFrom, proxiesBeside } from './key-values.js';
import { parseCpus, parseMemory, parseProcesses, parseUlimit } from './limits.js';
import { logOptions } from './log-options.js';
import { parseMount, parseTmpfs, parseVolume } from './mount-requests.js';
import { parsePorts } from './ports.js';

function exposedPorts(image: RunConfig): PortMapping[] {
  return Object.keys(image.ExposedPorts ?? {}).flatMap(parsePorts);
}

/** Moby's ValidateRestartPolicy: a count goes with on-failure; 0, and what is empty, is as if it were not there. */
export function parseRestart(text: string, autoRemove: boolean): RestartPolicy {
  const [given, ...counts] = text.split(':');
  const known = ['no', 'on-failure', 'always', 'unless-stopped'] as const;
  const policy = text === '' ? 'no' : known.find((one) => one === given);
  const count = counts.join(':') || '0';
  const isCount = /^[+-]?\d{1,9}$/.test(count);
  const retries = Number(count);
  if (policy === undefined || !isCount || retries < 0 || (policy !== 'on-failure' && retries !== 0)) {
    throw new UsageError(
      `--restart ${text} is not a restart policy`,
      `it is ${known.join(', ')} or on-failure:COUNT`,
    );
  }
  if (policy !== 'no' && autoRemove)
    throw new UsageError('--restart does not go with --rm', 'give one of them');
  return { name: policy, retries: Math.abs(retries) };
}

function securityOptions(texts: readonly string[]): Pick<ContainerOptions, 'noNewPrivileges' | 'unfiltered'> {
  const found = { noNewPrivileges: false, unfiltered: false };
  for (const text of texts) {
    const option = text.replace(':', '=');
    if (option === 'no-new-privileges' || option === 'no-new-privileges=true') found.noNewPrivileges = true;
    else if (option === 'seccomp=unconfined') found.unfiltered = true;
    else if (!/^(label|apparmor)=/.test(option)) {
      throw new UsageError(
        `there is no --security-opt ${text}`,
        'there are no-new-privileges and seccomp=unconfined',
      );
    }
  }
  return found;
}

function parseHostname(text: string | undefined): string | undefined {
  // sethostname(2) takes no more.
  if (text === undefined || Buffer.byteLength(text) <= 64) return text || undefined;
  throw new UsageError(`--hostname ${text} is longer than 64 bytes`, 'give a shorter one');
}

function parseWorkdir(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  if (text.startsWith('/')) return text;
  throw new UsageError(`--workdir ${text} is not an absolute path`, 'begin it with /');
}

/** 0 is the default, as in Docker. */
function parseSharedMemory(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseSize('--shm-size', text) || undefined;
}

function networkFrom(text: string): string {
  const name = text === 'default' ? 'bridge' : text;
  if (['bridge', 'host', 'none'].includes(name) || /^container:.+/.test(name)) return name;
  throw new UsageError(`there is no network ${text}`, 'it is bridge, host, none or container:NAME');
}

const DEFAULT_STORAGE = process.env.TSOVERLAY_STORAGE_DRIVER || 'tsoverlay';

function checkPublished(ports: readonly PortMapping[], network: string): void {
  if (ports.length === 0 || network === 'bridge') return;
  throw new UsageError(
    `--publish does not go with --network ${network}`,
    network === 'host' ? 'the ports of the host are the container’s' : 'leave one of them out',
  );
}

/** What was asked for and what the image has beside. */
export function withImage(
  options: ContainerOptions,
  image: RunConfig,
  publishAll: boolean,
): ContainerOptions {
  const ports = [...options.ports, ...(publishAll ? exposedPorts(image) : [])];
  checkPublished(ports, options.network);
  return { ...options, ports, labels: { ...image.Labels, ...options.labels } };
}

/** Everything that was asked for, checked as far as it can be without the image and the container. */
export function containerOptions(args: Arguments<'create'>, command: readonly string[]): ContainerOptions {
  const network = networkFrom(args.network);
  const ports = args.publish.flatMap(parsePorts);
  checkPublished(ports, network);
  const env = environmentFrom(args.env, args['env-file']);
  if (args['stop-signal'] !== undefined) signalNumber(args['stop-signal']);
  capabilitiesFor({ capAdd: args['cap-add'], capDrop: args['cap-drop'], privileged: args.privileged });
  return {
    command: command.length > 0 ? [...command] : undefined,
    entrypoint: args.entrypoint === undefined ? undefined : args.entrypoint === '' ? [] : [args.entrypoint],
    env: [...proxiesBeside(env), ...env],
    cwd: parseWorkdir(args.workdir),
    user: args.user,
    hostname: parseHostname(args.hostname),
    terminal: args.tty,
    interactive: args.interactive,
    labels: labelsFrom(args.label, args['label-file']),
    mounts: [...args.volume.map(parseVolume), ...args.mount.map(parseMount), ...args.tmpfs.map(parseTmpfs)],
    network,
    ports,
    extraHosts: args['add-host'].map(parseExtraHost),
    nameServers: args.dns.map(parseNameServer),
    readOnly: args['read-only'],
    memory: args.memory === undefined ? undefined : parseMemory(args.memory),
    cpus: args.cpus === undefined ? undefined : parseCpus(args.cpus),
    processes: args['pids-limit'] === undefined ? undefined : parseProcesses(args['pids-limit']),
    sharedMemory: parseSharedMemory(args['shm-size']),
    capAdd: args['cap-add'],
    capDrop: args['cap-drop'],
    privileged: args.privileged,
    ...securityOptions(args['security-opt']),
    limits: args.ulimit.map(parseUlimit),
    init: args.init,
    restart: parseRestart(args.restart, args.rm),
    log: logOptions(args['log-driver'], args['log-opt']),
    stopSignal: args['stop-signal'],
    stopTimeout: parseWhole('--stop-timeout', args['stop-timeout'], 'give seconds, or -1 to wait for ever'),
    autoRemove: args.rm,
    storage: parseStorageName(args['storage-driver'] ?? DEFAULT_STORAGE),
    runtime: parseRuntimeName(args.runtime),
  };
}
