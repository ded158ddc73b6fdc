// SPDX-License-Identifier: MIT
/** `--change`, with the instructions of a Dockerfile that change a configuration (docker commit --change). */
import { UsageError } from '../../base/errors.js';
import type { RunConfig } from '../../image/model/image-config.js';

type Apply = (config: RunConfig, value: string) => void;

/** A JSON list, or a command for the shell. */
function command(value: string): string[] {
  if (!value.startsWith('[')) return ['/bin/sh', '-c', value];
  return list(value);
}

function list(value: string): string[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    // Said below, as for a list of something else.
    parsed = undefined;
  }
  if (Array.isArray(parsed) && parsed.every((item) => typeof item === 'string')) return parsed;
  throw new UsageError(`${value} is no list of strings in JSON`);
}

/** `KEY=VALUE`, or `KEY VALUE`; quotes around the value go. */
function pair(value: string): [key: string, value: string] {
  const match = /^([^=\s]+)(?:=|\s+)(.*)$/s.exec(value);
  if (match === null) throw new UsageError(`${value} is no KEY=VALUE`);
  return [match[1], match[2].replace(/^(["'])(.*)\1$/s, '$2')];
}

const INSTRUCTIONS: Record<string, Apply> = {
  CMD: (config, value) => void (config.Cmd = command(value)),
  ENTRYPOINT: (config, value) => void (config.Entrypoint = command(value)),
  ENV: (config, value) => {
    const [key, set] = pair(value);
    const others = (config.Env ?? []).filter((item) => !item.startsWith(`${key}=`));
    config.Env = [...others, `${key}=${set}`];
  },
  EXPOSE: (config, value) => {
    const ports = value.split(/\s+/).map((port) => (port.includes('/') ? port : `${port}/tcp`));
    config.ExposedPorts = { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) };
  },
  LABEL: (config, value) => {
    const [key, set] = pair(value);
    config.Labels = { ...config.Labels, [key]: set };
  },
  STOPSIGNAL: (config, value) => void (config.StopSignal = value),
  USER: (config, value) => void (config.User = value),
  VOLUME: (config, value) => {
    const paths = value.startsWith('[') ? list(value) : value.split(/\s+/);
    config.Volumes = { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
  },
  WORKDIR: (config, value) => void (config.WorkingDir = value),
};

/** What makes the new configuration from the old. Throws UsageError for an instruction that is not known. */
export function configChange(changes: readonly string[]): (config: RunConfig) => RunConfig {
  const steps = changes.map((change) => {
    const [, name = '', value = ''] = /^\s*(\w+)\s+(.*?)\s*$/s.exec(change) ?? [];
    const key = name.toUpperCase();
    if (Object.hasOwn(INSTRUCTIONS, key)) return { apply: INSTRUCTIONS[key], value };
    throw new UsageError(
      `--change ${JSON.stringify(change)} is not possible`,
      `instructions are ${Object.keys(INSTRUCTIONS).join(', ')}`,
    );
  });
  return (config) => {
    for (const { apply, value } of steps) apply(config, value);
    return config;
  };
}
