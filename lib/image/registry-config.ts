// SPDX-License-Identifier: MIT
/**
 * Which registries are asked, and how: a file with two of the keys of Docker's
 * daemon.json, `registry-mirrors` and `insecure-registries`, in their spelling.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { OverlayError } from '../base/errors.js';
import { DEFAULT_DOMAIN } from './reference.js';

export interface RegistryConfig {
  /** URLs that are asked before Docker Hub, in order. */
  mirrors: string[];
  /** Hosts and networks that may speak plain HTTP or have a certificate that nobody signed. */
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
const HUB_HOST = 'registry-1.docker.io';

/** The first that is there: TSOVERLAY_CONFIG, the user's, the system's. */
function configPath(): string | undefined {
  const given = process.env.TSOVERLAY_CONFIG;
  if (given !== undefined && given !== '') return given;
  const home = process.env.XDG_CONFIG_HOME ?? join(homedir(), '.config');
  return [join(home, 'tsoverlay/config.json'), '/etc/tsoverlay/config.json'].find((path) => existsSync(path));
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
  return { mirrors, insecure: list('insecure-registries') };
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

function mistake(path: string, line: number, reason: string): OverlayError {
  return new OverlayError({ operation: 'read the configuration', path: `${path}:${line}`, reason });
}

/** Whether Docker takes a host for insecure: named, in a named network, or on this machine. */
export function isInsecure(host: string, insecure: readonly string[]): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  if (name === 'localhost' || name === '::1' || /^127\./.test(name)) return true;
  return insecure.some((entry) => entry === host || entry === name || isInNetwork(name, entry));
}

function isInNetwork(address: string, network: string): boolean {
  const [base, bits] = network.split('/');
  const number = (text: string): number | undefined =>
    /^\d+\.\d+\.\d+\.\d+$/.test(text)
      ? text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
      : undefined;
  const [from, asked, size] = [number(base), number(address), Number(bits)];
  if (from === undefined || asked === undefined || !(size >= 0 && size <= 32)) return false;
  const block = 2 ** (32 - size);
  return Math.floor(from / block) === Math.floor(asked / block);
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
