// SPDX-License-Identifier: MIT
/** The proxies of which containers and builds are told: `proxies` of Docker's config.json (docker/cli's ParseProxyConfig). */
import { OverlayError } from '../../base/errors.js';
import { dockerConfigPath, isObject, readDockerConfig } from './docker-config.js';

const KEYS = {
  HTTP_PROXY: 'httpProxy',
  HTTPS_PROXY: 'httpsProxy',
  FTP_PROXY: 'ftpProxy',
  NO_PROXY: 'noProxy',
  ALL_PROXY: 'allProxy',
};

/** In both spellings: programs differ in which of them they know. */
export const PROXY_VARIABLES = Object.keys(KEYS).flatMap((name) => [name, name.toLowerCase()]);

/** There is no daemon here; who has several has told Docker's client in the same way which is meant. */
const DEFAULT_DAEMON = 'unix:///var/run/docker.sock';

/** Names and values of variables. Throws an OverlayError for a configuration that cannot be meant. */
export function configuredProxies(): [name: string, value: string][] {
  const proxies = readDockerConfig().proxies ?? {};
  const daemon = process.env.DOCKER_HOST || DEFAULT_DAEMON;
  const key = isObject(proxies) && Object.hasOwn(proxies, daemon) ? daemon : 'default';
  const chosen = (proxies as Record<string, unknown>)[key] ?? {};
  if (!isObject(chosen)) throw mistake(`proxies.${key} is no object`);
  return Object.entries(KEYS).flatMap(([name, field]): [string, string][] => {
    const value = chosen[field] ?? '';
    if (typeof value !== 'string' || value.includes('\0'))
      throw mistake(`proxies.${key}.${field} is no text`);
    return value === ''
      ? []
      : [
          [name, value],
          [name.toLowerCase(), value],
        ];
  });
}

function mistake(reason: string): OverlayError {
  return new OverlayError({ operation: 'read', path: dockerConfigPath(), reason });
}
