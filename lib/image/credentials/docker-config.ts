// SPDX-License-Identifier: MIT
/**
 * The files in which tools keep passwords of registries: Docker's config.json, which also says
 * what proxies containers use, and those of Podman and its kin (containers-auth.json(5)).
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { OverlayError } from '../../base/errors.js';

export interface DockerConfig {
  auths?: Record<string, unknown>;
  credHelpers?: Record<string, unknown>;
  credsStore?: unknown;
}

/** A file that may have passwords. */
export interface AuthFile {
  path: string;
  /** A key with a path is of that namespace only (containers-auth.json(5)); of the whole host otherwise. */
  hasNamespaces: boolean;
  read(): DockerConfig;
}

/** A variable that is empty is not set. */
const variable = (name: string): string | undefined => process.env[name] || undefined;

export function dockerConfigPath(): string {
  return join(variable('DOCKER_CONFIG') ?? join(homedir(), '.docker'), 'config.json');
}

function parse(text: string, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    const reason = `it is not JSON: ${(cause as Error).message}`;
    throw new OverlayError({ operation: 'read', path, reason, cause });
  }
  if (isObject(value)) return value;
  throw new OverlayError({ operation: 'read', path, reason: 'it is no JSON object' });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads a file of Docker's form; one that is not there is empty. Throws an OverlayError. */
export function readDockerConfig(path = dockerConfigPath()): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if (/^(ENOENT|ENOTDIR)$/.test(`${(cause as NodeJS.ErrnoException).code}`)) return {};
    throw new OverlayError({ operation: 'read', path, reason: (cause as Error).message, cause });
  }
  return text.trim() === '' ? {} : checked(parse(text, path), path);
}

function checked(config: Record<string, unknown>, path: string): Record<string, unknown> {
  for (const key of ['auths', 'credHelpers', 'proxies']) {
    const value = config[key] ?? {};
    if (!isObject(value)) throw new OverlayError({ operation: 'read', path, reason: `${key} is no object` });
  }
  return config;
}

/** Where passwords may be, in the order in which they count; the file of a variable counts before what is found by itself. */
export function authFiles(): AuthFile[] {
  const file = (path: string, hasNamespaces: boolean): AuthFile => ({
    path,
    hasNamespaces,
    read: () => readDockerConfig(path),
  });
  const inline = variable('DOCKER_AUTH_CONFIG');
  const named = variable('REGISTRY_AUTH_FILE');
  const runtime = variable('XDG_RUNTIME_DIR');
  const legacy = join(homedir(), '.dockercfg');
  return [
    ...(inline === undefined
      ? []
      : [
          {
            path: 'DOCKER_AUTH_CONFIG',
            hasNamespaces: false,
            read: () => checked(parse(inline, 'DOCKER_AUTH_CONFIG'), 'DOCKER_AUTH_CONFIG'),
          },
        ]),
    ...(named === undefined ? [] : [file(named, true)]),
    file(dockerConfigPath(), false),
    file(
      runtime === undefined
        ? `/run/containers/${process.getuid!()}/auth.json`
        : join(runtime, 'containers/auth.json'),
      true,
    ),
    file(join(variable('XDG_CONFIG_HOME') ?? join(homedir(), '.config'), 'containers/auth.json'), true),
    // What Docker wrote before 1.7: the passwords without anything around them.
    { path: legacy, hasNamespaces: false, read: () => ({ auths: readDockerConfig(legacy) }) },
  ];
}
