// SPDX-License-Identifier: MIT
/**
 * Names of images as Docker's users write them: `nginx`, `nginx:1.27`,
 * `localhost:5000/team/app@sha256:…`. The grammar and the defaults are those of
 * github.com/distribution/reference.
 */
import { UsageError } from '../../base/errors.js';
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
const OLD_DOMAIN = 'index.docker.io';
const DEFAULT_TAG = 'latest';
const OFFICIAL = 'library/';
const LONGEST_NAME = 255;

const COMPONENT = /^(?:[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)?/;
const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const DOMAIN = new RegExp(`^(?:(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?)?`);
const TAG = /^(?:\w[\w.-]{0,127})?/;
/** What every tool takes for the id of an image. */
const IDENTIFIER = /^[0-9a-f]{64}$/;

/** `place` is where the fault is, in characters from the start. */
function malformed(text: string, place: number, why: string): UsageError {
  const character = [...text.slice(0, place)].length + 1;
  return new UsageError(
    `${JSON.stringify(text)} is no image name: ${why} (at character ${character})`,
    'write NAME[:TAG] or NAME@sha256:DIGEST, as in nginx:1.27',
  );
}

/** How far a text is what a pattern means; undefined where it is that whole, and not empty. */
function faultIn(text: string, pattern: RegExp): number | undefined {
  const right = pattern.exec(text)![0].length;
  return right === text.length && right > 0 ? undefined : right;
}

/** Reads a name; without tag and digest it means the tag `latest`. Throws UsageError. */
export function parseReference(text: string): Reference {
  const bare = parseName(text);
  return bare.tag === undefined && bare.digest === undefined ? { ...bare, tag: DEFAULT_TAG } : bare;
}

/** Reads a name without adding a tag: for a repository, or all tags of one. Throws UsageError that says where the fault is. */
export function parseName(text: string): Reference {
  if (text === '') throw malformed(text, 0, 'it is empty');
  if (IDENTIFIER.test(text)) throw malformed(text, 0, '64 hexadecimal digits are an id');
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : digestAt(text, at + 1);
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  const fault = tag === undefined ? undefined : faultIn(tag, TAG);
  if (fault !== undefined) throw malformed(text, colon + 1 + fault, `${JSON.stringify(tag)} is no tag`);
  const name = hasTag ? named.slice(0, colon) : named;
  const { domain, path } = splitDomain(name);
  checkDomain(text, domain ?? DEFAULT_DOMAIN);
  checkPath(text, name.length - path.length, path);
  const whole = completed(domain, path);
  if (whole.domain.length + 1 + whole.path.length > LONGEST_NAME)
    throw malformed(text, LONGEST_NAME, `it is too long: ${LONGEST_NAME} characters are allowed`);
  return { ...whole, tag, digest };
}

function digestAt(text: string, start: number): Digest {
  const digest = text.slice(start);
  if (isDigest(digest)) return digest;
  const algorithm = /^([a-z0-9]+(?:[+._-][a-z0-9]+)*):[0-9a-zA-Z=_-]+$/.exec(digest)?.[1] ?? 'sha256';
  if (algorithm !== 'sha256')
    throw malformed(text, start, `what follows @ is no digest of sha256; ${algorithm} is not supported`);
  const right = /^(?:sha256:[0-9a-f]{0,64})?/.exec(digest)![0].length;
  throw malformed(text, start + right, 'what follows @ is no digest: sha256: and 64 hexadecimal digits');
}

/** `300.1.1.1` and port 70000 are of the grammar, and no address. */
function checkDomain(text: string, domain: string): void {
  if (isRegistryHost(domain)) return;
  throw malformed(text, faultIn(domain, DOMAIN) ?? 0, `${JSON.stringify(domain)} is no registry`);
}

/** `start` is where the path begins. */
function checkPath(text: string, start: number, path: string): void {
  let place = start;
  for (const component of path.split('/')) {
    const fault = faultIn(component, COMPONENT);
    if (fault !== undefined) {
      const isCase = faultIn(component.toLowerCase(), COMPONENT) === undefined;
      const why = isCase ? 'it must be lower case' : `${JSON.stringify(component)} cannot be part of it`;
      throw malformed(text, place + fault, why);
    }
    place += component.length + 1;
  }
}

/** The first component is a registry when it looks like a host. */
function splitDomain(name: string): { domain: string | undefined; path: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const isDomain = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  return isDomain ? { domain: first, path: name.slice(slash + 1) } : { domain: undefined, path: name };
}

/** Docker Hub has several names, and its official images a place of their own. */
function completed(given: string | undefined, path: string): { domain: string; path: string } {
  const domain = given === undefined || given === OLD_DOMAIN ? DEFAULT_DOMAIN : given;
  const isOfficial = domain === DEFAULT_DOMAIN && !path.includes('/');
  return { domain, path: isOfficial ? OFFICIAL + path : path };
}

/** Whether a text is a host, or a host and a port, as names of images have it, and can be an address. */
export function isRegistryHost(text: string): boolean {
  return faultIn(text, DOMAIN) === undefined && URL.canParse(`https://${text}`);
}

/** Reads the name of a registry alone. Throws UsageError. */
export function parseRegistry(text: string): string {
  if (isRegistryHost(text)) return text === OLD_DOMAIN ? DEFAULT_DOMAIN : text;
  throw new UsageError(
    `${JSON.stringify(text)} is no registry`,
    'write HOST[:PORT]; for the tags of a repository, HOST/NAME and --tags',
  );
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
