// SPDX-License-Identifier: MIT
/** Which name and password are a registry's, of those that `docker login`, `podman login` and helpers keep. */
import { OverlayError } from '../../base/errors.js';
import { DEFAULT_DOMAIN } from '../model/reference.js';
import type { Credentials } from './credential.js';
import { type AuthFile, authFiles, type DockerConfig, isObject } from './docker-config.js';
import { askHelper } from './helper.js';

/** Docker Hub's passwords are kept under the address of its first registry. */
const HUB_KEY = 'https://index.docker.io/v1/';
const HUB_NAMES = new Set([DEFAULT_DOMAIN, 'index.docker.io', 'registry-1.docker.io']);

/** A key in its parts: tools of all ages have written a host, a URL or a namespace (docker's ConvertToHostname). */
function partsOf(key: string): { host: string; path: string; isUrl: boolean } {
  const [, scheme, host, path] = /^(https?:\/\/)?([^/]*)(.*)$/is.exec(key)!;
  const name = host.toLowerCase();
  return { host: HUB_NAMES.has(name) ? DEFAULT_DOMAIN : name, path, isUrl: scheme !== undefined };
}

/** Keys of a list that mean a repository, the closest first. */
function keysOf(
  list: Record<string, unknown>,
  domain: string,
  repository: string,
  { hasNamespaces }: AuthFile,
): string[] {
  const wanted = partsOf(domain).host;
  const found: { key: string; rank: number }[] = [];
  for (const key of Object.keys(list)) {
    const { host, path, isUrl } = partsOf(key);
    if (host !== wanted) continue;
    const namespace = isUrl || /^\/(v\d\/?)?$/.test(path) ? '' : path.replace(/^\/|\/$/g, '');
    const isWithin = namespace === '' || `${repository}/`.startsWith(`${namespace}/`);
    // Docker takes a key with a path for the whole host's.
    if (!isWithin && hasNamespaces) continue;
    const rank = !isWithin ? -2 : namespace !== '' ? namespace.length : isUrl ? -1 : 0;
    found.push({ key, rank });
  }
  return found.sort((a, b) => b.rank - a.rank).map(({ key }) => key);
}

/**
 * The credentials for a registry, or for a repository of it; undefined where there are none.
 * Throws an OverlayError for a damaged file or helper.
 */
export async function findCredentials(domain: string, repository = ''): Promise<Credentials | undefined> {
  for (const file of authFiles()) {
    const found = await findIn(file, domain, repository);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function findIn(file: AuthFile, domain: string, repository: string): Promise<Credentials | undefined> {
  const { auths = {}, credHelpers = {}, credsStore }: DockerConfig = file.read();
  const keys = keysOf(auths ?? {}, domain, repository, file);
  const [own] = keysOf(credHelpers ?? {}, domain, repository, file);
  const helper = own === undefined ? credsStore : credHelpers[own];
  if (typeof helper === 'string' && helper !== '') {
    // A helper knows a server by what was typed when it was told, of which an empty entry is left.
    const servers = new Set([domain === DEFAULT_DOMAIN ? HUB_KEY : domain, ...keys]);
    for (const server of servers) {
      const found = await askHelper(helper, server, file.path);
      if (found !== undefined) return found;
    }
  }
  for (const key of keys) {
    const found = fromEntry(auths[key], file.path, key);
    if (found !== undefined) return found;
  }
  return undefined;
}

function fromEntry(entry: unknown, path: string, key: string): Credentials | undefined {
  const text = (name: string): string | undefined => {
    const value = isObject(entry) ? entry[name] : undefined;
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const tokens = { identityToken: text('identitytoken'), registryToken: text('registrytoken'), from: path };
  const auth = text('auth');
  if (auth === undefined) {
    const [username, password] = [text('username'), text('password')];
    if (username !== undefined && password !== undefined) return { username, password, ...tokens };
    const hasToken = tokens.identityToken !== undefined || tokens.registryToken !== undefined;
    return hasToken ? { username: username ?? '', password: '', ...tokens } : undefined;
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
    ...tokens,
  };
}
