// SPDX-License-Identifier: MIT
/**
 * Which registries are asked, and how: a file with two of the keys of Docker's
 * daemon.json, `registry-mirrors` and `insecure-registries`, in their spelling.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { OverlayError } from '../../base/errors.js';
import { DEFAULT_DOMAIN } from '../model/reference.js';
import { isInsecure, parseInsecure } from './insecure-registries.js';

export interface RegistryConfig {
  /** URLs that are asked before Docker Hub, in order. */
  mirrors: string[];
  /** Hosts and networks that may speak plain HTTP or have a certificate that nobody signed, as `parseInsecure` gives them. */
  insecure: string[];
}

/** Where a registry is reached. */
export interface Endpoint {
  /** Without scheme: `registry.example:5000`. */
  host: string;
  /** Undefined: HTTPS, or whatever an insecure host speaks. */
  scheme: 'http' | 'https' | undefined;
  /** A path before /v2/, as mirrors have it; '' without. */
  prefix: string;
  insecure: boolean;
  isMirror: boolean;
}

const KEYS = ['registry-mirrors', 'insecure-registries'] as const;
const SYSTEM_PATH = '/etc/tsoverlay/config.json';
const HUB_HOST = 'registry-1.docker.io';

/** The first that is there: TSOVERLAY_CONFIG, the user's, the system's. */
function configPath(): string | undefined {
  const given = process.env.TSOVERLAY_CONFIG;
  if (given !== undefined && given !== '') return given;
  const home = process.env.XDG_CONFIG_HOME || join(homedir(), '.config');
  return [join(home, 'tsoverlay/config.json'), SYSTEM_PATH].find((path) => existsSync(path));
}

/** The file in use, or else the one to make for it to be. */
export function registryConfigPath(): string {
  return configPath() ?? SYSTEM_PATH;
}

/** Reads the configuration. Throws an OverlayError that names the line of a mistake. */
export function readRegistryConfig(path = configPath()): RegistryConfig {
  if (path === undefined) return { mirrors: [], insecure: [] };
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new OverlayError({
      operation: 'read the configuration',
      path,
      reason: (cause as Error).message,
      cause,
    });
  }
  const values = parse(text, path);
  for (const key of Object.keys(values)) {
    if (!(KEYS as readonly string[]).includes(key)) {
      throw mistake(
        path,
        lineOf(text, text.indexOf(`"${key}"`)),
        `${key} is not known; known are ${KEYS.join(' and ')}`,
      );
    }
  }
  const list = (key: (typeof KEYS)[number]): string[] => {
    const value = values[key] ?? [];
    const isList = Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '');
    if (!isList)
      throw mistake(path, lineOf(text, text.indexOf(`"${key}"`)), `${key} must be a list of strings`);
    return value as string[];
  };
  const mirrors = list('registry-mirrors');
  for (const mirror of mirrors) {
    if (!/^https?:\/\//.test(mirror) || !URL.canParse(mirror)) {
      throw mistake(
        path,
        lineOf(text, text.indexOf(`"${mirror}"`)),
        `the mirror ${mirror} is no http or https URL`,
      );
    }
  }
  const insecure = list('insecure-registries').map((entry) => {
    const meant = parseInsecure(entry);
    if (meant !== undefined) return meant;
    throw mistake(
      path,
      lineOf(text, text.indexOf(JSON.stringify(entry))),
      `${JSON.stringify(entry)} of insecure-registries is no host, host with port, or network`,
      'write them as in registry.example, registry.example:5000, [::1]:5000 or 10.0.0.0/8',
    );
  });
  return { mirrors, insecure };
}

function parse(text: string, path: string): Record<string, unknown> {
  try {
    const values: unknown = JSON.parse(text);
    if (typeof values === 'object' && values !== null && !Array.isArray(values))
      return values as Record<string, unknown>;
  } catch (cause) {
    const { message } = cause as Error;
    const position = /position (\d+)/.exec(message)?.[1];
    throw mistake(path, lineOf(text, position === undefined ? text.length : Number(position)), message);
  }
  throw mistake(path, 1, 'it must be a JSON object');
}

function lineOf(text: string, position: number): number {
  return text.slice(0, Math.max(position, 0)).split('\n').length;
}

function mistake(path: string, line: number, reason: string, remedy?: string): OverlayError {
  return new OverlayError({ operation: 'read the configuration', path: `${path}:${line}`, reason, remedy });
}

/** Where an image's registry is asked, in order: the mirrors of Docker Hub come before it. */
export function endpointsFor(domain: string, config: RegistryConfig): Endpoint[] {
  const own: Endpoint = {
    host: domain === DEFAULT_DOMAIN ? HUB_HOST : domain,
    scheme: undefined,
    prefix: '',
    insecure: isInsecure(domain, config.insecure),
    isMirror: false,
  };
  if (domain !== DEFAULT_DOMAIN) return [own];
  const mirrors = config.mirrors.map((text): Endpoint => {
    const url = new URL(text);
    return {
      host: url.host,
      scheme: url.protocol === 'http:' ? 'http' : 'https',
      prefix: url.pathname.replace(/\/+$/, ''),
      insecure: isInsecure(url.host, config.insecure),
      isMirror: true,
    };
  });
  return [...mirrors, own];
}
