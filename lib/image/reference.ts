// SPDX-License-Identifier: MIT
/**
 * Names of images as Docker's users write them: `nginx`, `nginx:1.27`,
 * `localhost:5000/team/app@sha256:…`. The grammar and the defaults are those of
 * github.com/distribution/reference.
 */
import { UsageError } from '../base/errors.js';
import { type Digest, isDigest } from './digest.js';

export interface Reference {
  /** Host and port of the registry. */
  readonly domain: string;
  /** The repository in it: `library/nginx`. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

export const DEFAULT_DOMAIN = 'docker.io';
const DEFAULT_TAG = 'latest';
const OFFICIAL = 'library/';
const LONGEST_NAME = 255;

const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const DOMAIN =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/;
/** Whether a text is a host, or a host and a port, as names of images have it. */
export function isRegistryHost(text: string): boolean {
  return DOMAIN.test(text);
}

const TAG = /^\w[\w.-]{0,127}$/;

function malformed(text: string, why: string): UsageError {
  return new UsageError(
    `${JSON.stringify(text)} is no image name: ${why}`,
    'write NAME[:TAG] or NAME@sha256:DIGEST, as in nginx:1.27',
  );
}

/** Reads a name; without tag and digest it means the tag `latest`. Throws UsageError. */
export function parseReference(text: string): Reference {
  const bare = parseName(text);
  return bare.tag === undefined && bare.digest === undefined ? { ...bare, tag: DEFAULT_TAG } : bare;
}

/** Reads a name without adding a tag: for a repository, or all tags of one. */
export function parseName(text: string): Reference {
  if (text === '') throw malformed(text, 'it is empty');
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) throw malformed(text, 'what follows @ is no digest');
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !TAG.test(tag)) throw malformed(text, `${JSON.stringify(tag)} is no tag`);
  const { domain, path } = splitDomain(hasTag ? named.slice(0, colon) : named);
  if (!DOMAIN.test(domain)) throw malformed(text, `${JSON.stringify(domain)} is no registry`);
  if (domain.length + 1 + path.length > LONGEST_NAME) throw malformed(text, 'it is too long');
  for (const component of path.split('/')) {
    if (COMPONENT.test(component)) continue;
    const isCase = COMPONENT.test(component.toLowerCase());
    throw malformed(
      text,
      isCase ? 'it must be lower case' : `${JSON.stringify(component)} cannot be part of it`,
    );
  }
  return { domain, path, tag, digest };
}

/** The first component is a registry when it looks like a host. */
function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const isDomain = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const domain = isDomain ? first : DEFAULT_DOMAIN;
  const path = isDomain ? name.slice(slash + 1) : name;
  if (domain === 'index.docker.io') return { domain: DEFAULT_DOMAIN, path };
  const isOfficial = domain === DEFAULT_DOMAIN && !path.includes('/');
  return { domain, path: isOfficial ? OFFICIAL + path : path };
}

/** The repository in full: `docker.io/library/nginx`. */
export function repositoryOf({ domain, path }: Reference): string {
  return `${domain}/${path}`;
}

/** The whole name, as it is kept: `docker.io/library/nginx:latest`. */
export function fullName(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${repositoryOf(reference)}${tag}${digest}`;
}

/** The repository as people write it: `nginx`. */
export function familiarRepository({ domain, path }: Reference): string {
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  return path.startsWith(OFFICIAL) ? path.slice(OFFICIAL.length) : path;
}

/** The whole name as people write it: `nginx:latest`. */
export function familiarName(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${familiarRepository(reference)}${tag}${digest}`;
}
