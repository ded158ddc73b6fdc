// SPDX-License-Identifier: MIT
/**
 * Passwords of registries, as `docker login` keeps them: config.json in
 * DOCKER_CONFIG or ~/.docker, and the helpers that it names
 * (docker-credential-helpers' protocol: the server on standard input, JSON out).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { OverlayError } from '../base/errors.js';
import { DEFAULT_DOMAIN } from './reference.js';

export interface Credentials {
  username: string;
  password: string;
  /** Exchanged for a token in the place of name and password. */
  identityToken?: string | undefined;
}

/** Docker Hub's passwords are kept under the address of its first registry. */
const HUB_KEY = 'https://index.docker.io/v1/';
/** What a helper answers as the name when the secret is a token. */
const TOKEN_USER = '<token>';

interface AuthEntry {
  auth?: string;
  username?: string;
  password?: string;
  identitytoken?: string;
}

interface DockerConfig {
  auths?: Record<string, AuthEntry>;
  credHelpers?: Record<string, string>;
  credsStore?: string;
}

export function dockerConfigPath(): string {
  return join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json');
}

function readDockerConfig(path: string): DockerConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new OverlayError({ operation: 'read', path, reason: (cause as Error).message, cause });
  }
  try {
    return JSON.parse(text) as DockerConfig;
  } catch (cause) {
    throw new OverlayError({
      operation: 'read',
      path,
      reason: `it is not JSON: ${(cause as Error).message}`,
      cause,
    });
  }
}

/** The credentials for a registry; undefined where there are none. Throws an OverlayError for a damaged file or helper. */
export function findCredentials(domain: string): Credentials | undefined {
  const path = dockerConfigPath();
  const config = readDockerConfig(path);
  const keys =
    domain === DEFAULT_DOMAIN
      ? [HUB_KEY, domain, 'index.docker.io']
      : [domain, `https://${domain}`, `http://${domain}`];
  for (const key of keys) {
    const helper = config.credHelpers?.[key] ?? config.credsStore;
    const found = helper === undefined ? undefined : askHelper(helper, key);
    if (found !== undefined) return found;
    const entry = config.auths?.[key] ?? config.auths?.[`${key}/`];
    if (entry !== undefined) return fromEntry(entry, path, key);
  }
  return undefined;
}

function fromEntry(entry: AuthEntry, path: string, key: string): Credentials | undefined {
  const { auth, username, password, identitytoken: identityToken } = entry;
  if (auth === undefined || auth === '') {
    if (username === undefined || password === undefined) return undefined;
    return { username, password, identityToken };
  }
  const decoded = Buffer.from(auth, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 1) {
    throw new OverlayError({
      operation: 'read',
      path,
      reason: `auth of ${key} is no name and password in base64`,
      remedy: `log in again with \`docker login ${key}\` or another tool`,
    });
  }
  return {
    username: decoded.slice(0, colon),
    password: decoded.slice(colon + 1).replace(/\0+$/, ''),
    identityToken,
  };
}

function askHelper(helper: string, server: string): Credentials | undefined {
  const program = `docker-credential-${helper}`;
  const { error, status, stdout } = spawnSync(program, ['get'], {
    input: server,
    encoding: 'utf8',
    timeout: 30_000,
  });
  const story = { operation: 'ask for a password', path: program };
  if (error !== undefined) {
    throw new OverlayError({
      ...story,
      reason:
        (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'the program is not installed' : error.message,
      remedy: `install it, or take it out of ${dockerConfigPath()}`,
    });
  }
  if (status !== 0) {
    if (/credentials not found/i.test(stdout)) return undefined;
    throw new OverlayError({ ...story, reason: stdout.trim() || `it ended with ${status}` });
  }
  const { Username, Secret } = JSON.parse(stdout) as { Username: string; Secret: string };
  if (Username === TOKEN_USER) return { username: '', password: '', identityToken: Secret };
  return { username: Username, password: Secret };
}
