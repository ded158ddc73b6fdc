// SPDX-License-Identifier: MIT
/** Options of `run` and `create` in Docker's notation, as a container's configuration takes them. Throws UsageError. */
import { readFileSync } from 'node:fs';
import { OverlayError, UsageError } from '../../base/errors.js';
import { parseRuntimeName } from '../../container/runtime/runtime.js';
import { signalNumber } from '../../container/signals.js';
import { capabilitiesFor } from '../../container/spec/container-spec.js';
import type { SpecLimit } from '../../container/spec/runtime-spec.js';
import type { ContainerOptions, PortMapping, RestartPolicy } from '../../container/state/config.js';
import { parseStorageName } from '../../container/storage/storage-driver.js';
import type { RunConfig } from '../../image/manifest.js';
import { LIMITS } from '../../sys/programs.js';
import type { CreateArguments } from './arguments.js';
import { logOptions } from './log-options.js';
import { parseMount, parseTmpfs, parseVolume } from './mount-requests.js';
import { parseSize } from './sizes.js';

function portRange(text: string, whole: string): [first: number, last: number] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || last < first || last > 65535) {
    throw new UsageError(
      `--publish ${whole} is not possible`,
      'write HOST:CONTAINER, as in 8080:80, 127.0.0.1:8080:80/tcp or 8000-8010:8000-8010',
    );
  }
  return [first, last];
}

/** `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, each port a range if need be. */
export function parsePorts(text: string): PortMapping[] {
  const [ports, protocol = 'tcp'] = text.split('/');
  if (protocol !== 'tcp' && protocol !== 'udp') {
    throw new UsageError(`--publish ${text}: there is no protocol ${protocol}`, 'it is tcp or udp');
  }
  const match = /^(?:(?:(\[[^\]]*\]|[^:]*):)?([\d-]*):)?([\d-]+)$/.exec(ports);
  if (match === null) portRange('', text);
  const [, hostAddress = '', host = '', container] = match!;
  const [first, last] = portRange(container, text);
  const [hostFirst, hostLast] = host === '' ? [0, 0] : portRange(host, text);
  if (host !== '' && hostLast - hostFirst !== last - first) {
    throw new UsageError(
      `--publish ${text}: the ranges differ in length`,
      'give as many ports on either side',
    );
  }
  return Array.from({ length: last - first + 1 }, (_, offset) => ({
    hostAddress: hostAddress.replace(/^\[|\]$/g, ''),
    hostPort: host === '' ? 0 : hostFirst + offset,
    containerPort: first + offset,
    protocol,
  }));
}

function exposedPorts(image: RunConfig): PortMapping[] {
  return Object.keys(image.ExposedPorts ?? {}).flatMap(parsePorts);
}

function readLines(path: string, option: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.replace(/\r$/, '').trimStart())
      .filter((line) => line !== '' && !line.startsWith('#'));
  } catch (cause) {
    throw new OverlayError({ operation: `read ${option}`, path, reason: (cause as Error).message, cause });
  }
}

/** A variable without a value has that of this command, or none at all. */
export function environmentFrom(texts: readonly string[], files: readonly string[]): string[] {
  const all = [...files.flatMap((path) => readLines(path, '--env-file')), ...texts];
  return all.flatMap((text) => {
    if (text.startsWith('=')) throw new UsageError(`--env ${text} has no name`, 'write NAME=VALUE');
    if (text.includes('=')) return [text];
    const value = process.env[text];
    return value === undefined ? [] : [`${text}=${value}`];
  });
}

function labelsFrom({ label, 'label-file': files }: CreateArguments): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const text of [...files.flatMap((path) => readLines(path, '--label-file')), ...label]) {
    const equals = text.indexOf('=');
    if (equals < 0) labels[text] = '';
    else labels[text.slice(0, equals)] = text.slice(equals + 1);
  }
  return labels;
}

/** `nofile=1024[:2048]` */
function parseLimit(text: string): SpecLimit {
  const match = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  const name = match?.[1].toUpperCase() ?? '';
  if (match === null || !LIMITS.includes(name)) {
    throw new UsageError(
      `--ulimit ${text} is not possible`,
      'write NAME=SOFT[:HARD], as in nofile=1024:2048',
    );
  }
  return { type: `RLIMIT_${name}`, soft: Number(match[2]), hard: Number(match[3] ?? match[2]) };
}

function parseRestart(text: string, autoRemove: boolean): RestartPolicy {
  const [name, retries] = text.split(':');
  const known = ['no', 'on-failure', 'always', 'unless-stopped'] as const;
  const policy = known.find((one) => one === name);
  if (
    policy === undefined ||
    (retries !== undefined && (policy !== 'on-failure' || !/^\d+$/.test(retries)))
  ) {
    throw new UsageError(
      `--restart ${text} is not possible`,
      `it is ${known.join(', ')} or on-failure:COUNT`,
    );
  }
  if (policy !== 'no' && autoRemove)
    throw new UsageError('--restart does not go with --rm', 'give one of them');
  return { name: policy, retries: Number(retries ?? 0) };
}

function securityOptions(texts: readonly string[]): Pick<ContainerOptions, 'noNewPrivileges' | 'unfiltered'> {
  const found = { noNewPrivileges: false, unfiltered: false };
  for (const text of texts) {
    const option = text.replace(':', '=');
    if (option === 'no-new-privileges' || option === 'no-new-privileges=true') found.noNewPrivileges = true;
    else if (option === 'seccomp=unconfined') found.unfiltered = true;
    else if (!/^(label|apparmor)=/.test(option)) {
      throw new UsageError(
        `--security-opt ${text} is not possible`,
        'there are no-new-privileges and seccomp=unconfined',
      );
    }
  }
  return found;
}

function positive(option: string, value: number | undefined): number | undefined {
  if (value === undefined || value === 0 || value === -1) return undefined;
  if (Number.isFinite(value) && value > 0) return value;
  throw new UsageError(`${option} must be a number above 0`);
}

function networkFrom(text: string): string {
  const name = text === 'default' ? 'bridge' : text;
  if (['bridge', 'host', 'none'].includes(name) || /^container:.+/.test(name)) return name;
  throw new UsageError(`there is no network ${text}`, 'it is bridge, host, none or container:NAME');
}

const SMALLEST_MEMORY = 6 << 20;
const DEFAULT_STORAGE = process.env.TSOVERLAY_STORAGE_DRIVER || 'tsoverlay';

/** Everything that was asked for, checked as far as it can be without the container. */
export function containerOptions(
  args: CreateArguments,
  image: RunConfig,
  command: readonly string[],
): ContainerOptions {
  const network = networkFrom(args.network);
  const ports = [...args.publish.flatMap(parsePorts), ...(args['publish-all'] ? exposedPorts(image) : [])];
  if (ports.length > 0 && network !== 'bridge') {
    throw new UsageError(
      `--publish does not go with --network ${network}`,
      network === 'host' ? 'the ports of the host are the container’s' : 'leave one of them out',
    );
  }
  const memory = args.memory === undefined ? undefined : parseSize('--memory', args.memory);
  if (memory !== undefined && memory < SMALLEST_MEMORY) {
    throw new UsageError(`--memory ${args.memory} is too little`, 'give at least 6m');
  }
  if (args['stop-signal'] !== undefined) signalNumber(args['stop-signal']);
  capabilitiesFor({ capAdd: args['cap-add'], capDrop: args['cap-drop'], privileged: args.privileged });
  const wrongHost = args['add-host'].find((text) => !/^[^:]+:.+$/.test(text));
  if (wrongHost !== undefined)
    throw new UsageError(`--add-host ${wrongHost} is not possible`, 'write NAME:ADDRESS');
  return {
    command: command.length > 0 ? [...command] : undefined,
    entrypoint: args.entrypoint === undefined ? undefined : args.entrypoint === '' ? [] : [args.entrypoint],
    env: environmentFrom(args.env, args['env-file']),
    cwd: args.workdir,
    user: args.user,
    hostname: args.hostname,
    terminal: args.tty,
    interactive: args.interactive,
    labels: { ...image.Labels, ...labelsFrom(args) },
    mounts: [...args.volume.map(parseVolume), ...args.mount.map(parseMount), ...args.tmpfs.map(parseTmpfs)],
    network,
    ports,
    extraHosts: args['add-host'],
    nameServers: args.dns,
    readOnly: args['read-only'],
    memory,
    cpus: positive('--cpus', args.cpus),
    processes: positive('--pids-limit', args['pids-limit']),
    sharedMemory: args['shm-size'] === undefined ? undefined : parseSize('--shm-size', args['shm-size']),
    capAdd: args['cap-add'],
    capDrop: args['cap-drop'],
    privileged: args.privileged,
    ...securityOptions(args['security-opt']),
    limits: args.ulimit.map(parseLimit),
    init: args.init,
    restart: parseRestart(args.restart, args.rm),
    log: logOptions(args['log-driver'], args['log-opt']),
    stopSignal: args['stop-signal'],
    stopTimeout: args['stop-timeout'],
    autoRemove: args.rm,
    storage: parseStorageName(args['storage-driver'] ?? DEFAULT_STORAGE),
    runtime: parseRuntimeName(args.runtime),
  };
}
