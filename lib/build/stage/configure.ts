// SPDX-License-Identifier: MIT
/** Instructions that change how the image is started and nothing of its files. */
import { isIP } from 'node:net';
import { posix } from 'node:path';
import type { RunConfig } from '../../image/model/image-config.js';
import { signalNumber } from '../../sys/signals.js';
import { DockerfileError, type Place } from '../language/failure.js';
import type {
  Command,
  CommandInstruction,
  HealthcheckInstruction,
  Instruction,
  ListInstruction,
  PairsInstruction,
} from '../language/instructions.js';
import type { StageVariables } from '../plan/arguments.js';

const DEFAULT_SHELL = ['/bin/sh', '-c'];

export function shellOf(config: RunConfig): string[] {
  const { Shell: shell } = config as { Shell?: string[] };
  return shell ?? DEFAULT_SHELL;
}

function commandArgs(config: RunConfig, command: Command): string[] {
  return command.form === 'exec' ? command.args : [...shellOf(config), command.line];
}

/** A path as WORKDIR and COPY mean it. */
export function resolvePath(config: RunConfig, path: string): string {
  return posix.resolve('/', config.WorkingDir || '/', path);
}

function setEnvironment(
  config: RunConfig,
  instruction: PairsInstruction,
  variables: StageVariables,
): RunConfig {
  const { place, pairs } = instruction;
  // All of one instruction see what was set before it.
  const added = pairs.map(({ name, value }) => [
    variables.expand(place, name, config),
    variables.expand(place, value ?? '', config),
  ]);
  const env = [...(config.Env ?? [])];
  for (const [name, value] of added) {
    const at = env.findIndex((text) => text.startsWith(`${name}=`) || text === name);
    if (at < 0) env.push(`${name}=${value}`);
    else env[at] = `${name}=${value}`;
  }
  return { ...config, Env: env };
}

function setLabels(
  config: RunConfig,
  { place, pairs }: PairsInstruction,
  variables: StageVariables,
): RunConfig {
  const added = pairs.map(({ name, value }) => [
    variables.expand(place, name, config),
    variables.expand(place, value ?? '', config),
  ]);
  return { ...config, Labels: { ...config.Labels, ...Object.fromEntries(added) } };
}

function portRange(text: string): [first: number, last: number] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  return match !== null && first <= last && last <= 65535 ? [first, last] : undefined;
}

/**
 * `80`, `80/udp`, `8000-8010/tcp`. A host's address and port before it, as of --publish, must be right and mean
 * nothing (BuildKit, convert_expose.go).
 */
function exposed(place: Place, text: string): string[] {
  const parts = text.split(':');
  const [ports, given = ''] = parts[parts.length - 1].split(/\/(.*)/s);
  const protocol = given.toLowerCase() || 'tcp';
  const container = portRange(ports);
  if (container === undefined || !['tcp', 'udp', 'sctp'].includes(protocol))
    throw new DockerfileError(place, `${text} is no port`, 'write it as in 80, 80/udp or 8000-8010');
  const [first, last] = container;
  const hostPorts = parts.at(-2) ?? '';
  const host = hostPorts === '' ? container : portRange(hostPorts);
  const address = parts
    .slice(0, -2)
    .join(':')
    .replace(/^\[(.*)\]$/, '$1');
  const fits = host !== undefined && (first === last || host[1] - host[0] === last - first);
  if (!fits || (address !== '' && isIP(address) === 0))
    throw new DockerfileError(
      place,
      `${text} is no port`,
      `write the container's port alone, as in ${ports}`,
    );
  return Array.from({ length: last - first + 1 }, (_, offset) => `${first + offset}/${protocol}`);
}

function expose(config: RunConfig, { place, items }: ListInstruction, variables: StageVariables): RunConfig {
  const ports = variables.expandAll(place, items, config).flatMap((text) => exposed(place, text));
  return {
    ...config,
    ExposedPorts: { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) },
  };
}

function addVolumes(
  config: RunConfig,
  { place, items }: ListInstruction,
  variables: StageVariables,
): RunConfig {
  const paths = items.map((item) => variables.expand(place, item, config));
  if (paths.includes('')) throw new DockerfileError(place, 'VOLUME has an empty path');
  return {
    ...config,
    Volumes: { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) },
  };
}

function healthcheck(config: RunConfig, instruction: HealthcheckInstruction): RunConfig {
  const { command, interval, timeout, startPeriod, startInterval, retries } = instruction;
  const test =
    command === undefined
      ? ['NONE']
      : command.form === 'exec'
        ? ['CMD', ...command.args]
        : ['CMD-SHELL', command.line];
  return {
    ...config,
    Healthcheck: {
      Test: test,
      ...(interval === 0 ? {} : { Interval: interval }),
      ...(timeout === 0 ? {} : { Timeout: timeout }),
      ...(startPeriod === 0 ? {} : { StartPeriod: startPeriod }),
      ...(startInterval === 0 ? {} : { StartInterval: startInterval }),
      ...(retries === 0 ? {} : { Retries: retries }),
    },
  };
}

/** A command of the base image does not fit an entry point of this one, unless this one has a command, too. */
function setCommand(
  config: RunConfig,
  { kind, command }: CommandInstruction,
  hasCommand: boolean,
): RunConfig {
  const args = commandArgs(config, command);
  if (kind === 'CMD') return { ...config, Cmd: args };
  const { Cmd: inherited, ...rest } = config;
  return { ...rest, ...(hasCommand ? { Cmd: inherited } : {}), Entrypoint: args } as RunConfig;
}

function stopSignal(config: RunConfig, place: Place, text: string): RunConfig {
  try {
    signalNumber(text);
  } catch {
    throw new DockerfileError(place, `there is no signal ${text}`, 'see signal(7)');
  }
  return { ...config, StopSignal: text };
}

/**
 * The configuration after an instruction; undefined for one that is about files.
 * `hasCommand`: this stage has had a CMD. Throws a DockerfileError.
 */
export function configure(
  config: RunConfig,
  instruction: Instruction,
  variables: StageVariables,
  hasCommand: boolean,
): RunConfig | undefined {
  const { place } = instruction;
  switch (instruction.kind) {
    case 'ENV':
      return setEnvironment(config, instruction, variables);
    case 'LABEL':
      return setLabels(config, instruction, variables);
    case 'EXPOSE':
      return expose(config, instruction, variables);
    case 'VOLUME':
      return addVolumes(config, instruction, variables);
    case 'USER':
      return { ...config, User: variables.expand(place, instruction.value, config) };
    case 'STOPSIGNAL':
      return stopSignal(config, place, variables.expand(place, instruction.value, config));
    case 'CMD':
    case 'ENTRYPOINT':
      return setCommand(config, instruction, hasCommand);
    case 'SHELL':
      return { ...config, Shell: instruction.args };
    case 'HEALTHCHECK':
      return healthcheck(config, instruction);
    case 'ONBUILD': {
      const { OnBuild: triggers = [] } = config as { OnBuild?: string[] };
      return { ...config, OnBuild: [...triggers, instruction.trigger] };
    }
    case 'ARG':
      for (const pair of instruction.pairs) variables.declare(place, pair, config);
      return config;
    default:
      return undefined;
  }
}
