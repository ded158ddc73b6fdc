// SPDX-License-Identifier: MIT
/** Steps that change how the image is started and nothing of its files. */
import { posix } from 'node:path';
import type { RunConfig } from '../../image/model/image-config.js';
import type {
  Command,
  CommandInstruction,
  ConfigInstruction,
  HealthcheckInstruction,
  PairsInstruction,
} from '../language/instructions.js';

const DEFAULT_SHELL = ['/bin/sh', '-c'];

/** A line is given to the image's shell. */
export function commandArgs(config: RunConfig, command: Command): string[] {
  const { Shell: shell = DEFAULT_SHELL } = config as { Shell?: string[] };
  return command.form === 'exec' ? command.args : [...shell, command.line];
}

/** A path as WORKDIR and COPY mean it. */
export function resolvePath(config: RunConfig, path: string): string {
  return posix.resolve('/', config.WorkingDir || '/', path);
}

function setEnvironment(config: RunConfig, { pairs }: PairsInstruction): RunConfig {
  const env = [...(config.Env ?? [])];
  for (const { name, value } of pairs) {
    const at = env.findIndex((text) => text.startsWith(`${name}=`) || text === name);
    if (at < 0) env.push(`${name}=${value}`);
    else env[at] = `${name}=${value}`;
  }
  return { ...config, Env: env };
}

/** The names with an empty object each, as images have sets. */
function setOf(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, {}]));
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

/**
 * The configuration after an instruction whose words are expanded. `hasCommand`: this stage has had a CMD.
 */
export function configure(config: RunConfig, instruction: ConfigInstruction, hasCommand: boolean): RunConfig {
  switch (instruction.kind) {
    case 'ENV':
      return setEnvironment(config, instruction);
    case 'LABEL': {
      const labels = instruction.pairs.map(({ name, value }) => [name, value]);
      return { ...config, Labels: { ...config.Labels, ...Object.fromEntries(labels) } };
    }
    case 'EXPOSE':
      return { ...config, ExposedPorts: { ...config.ExposedPorts, ...setOf(instruction.items) } };
    case 'VOLUME':
      return { ...config, Volumes: { ...config.Volumes, ...setOf(instruction.items) } };
    case 'USER':
      return { ...config, User: instruction.value };
    case 'STOPSIGNAL':
      return { ...config, StopSignal: instruction.value };
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
    default:
      return config;
  }
}
