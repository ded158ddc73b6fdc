// SPDX-License-Identifier: MIT
/**
 * `glob`, which node:fs/promises has from Node 22 on. Whether a path matches, Node's own
 * path.matchesGlob says; here is only the way through the directories, as short as the pattern lets it be.
 */
import { posix } from 'node:path';
import { type ByteString, fromText, toText } from '../base/bytes.js';
import { S_IFDIR, S_IFLNK } from '../sys/stat.js';
import { invalidType, invalidValue, readObject, readPath } from './arguments.js';
import { below } from './directory.js';
import { OverlayDirent } from './stats.js';
import type { Listed, View } from './view.js';

export interface GlobOptions {
  cwd: unknown;
  exclude: unknown;
  withFileTypes: unknown;
}

/** Anything that a pattern does not mean literally. */
const MAGIC = /[*?[\]{}()!+@\\]/;

interface Match extends Listed {
  /** From the working directory, or absolute where the pattern is. */
  path: string;
  /** Of the directory that it is in. */
  parent: ByteString;
}

type Excludes = (match: Match) => boolean;

export async function* glob(
  view: View,
  pattern: unknown,
  options: unknown,
): AsyncGenerator<string | OverlayDirent> {
  const read = readObject<GlobOptions>(options ?? undefined, () => undefined);
  const start = readPath(read.cwd ?? '/');
  const withFileTypes = read.withFileTypes === true;
  const excludes = readExclusion(read.exclude, withFileTypes);
  const given = new Set<string>();
  for (const one of readPatterns(pattern)) {
    for (const match of matchesOf(view, start, one, excludes)) {
      if (given.has(match.path)) continue;
      given.add(match.path);
      yield withFileTypes ? direntOf(match) : match.path;
    }
  }
}

function readPatterns(pattern: unknown): string[] {
  const patterns = Array.isArray(pattern) ? pattern : [pattern];
  for (const one of patterns) {
    if (typeof one !== 'string') throw invalidType('pattern', 'of type string or an instance of Array', one);
    if (one.includes('\0')) throw invalidValue('pattern', one, 'must be a string without null bytes');
  }
  return patterns;
}

function readExclusion(exclude: unknown, withFileTypes: boolean): Excludes {
  if (exclude === undefined || exclude === null) return () => false;
  if (typeof exclude === 'function') {
    return (match) => exclude(withFileTypes ? direntOf(match) : match.path) === true;
  }
  if (!Array.isArray(exclude)) {
    throw invalidType('options.exclude', 'of type function or an instance of Array', exclude);
  }
  const patterns = readPatterns(exclude);
  return ({ path }) => patterns.some((pattern) => posix.matchesGlob(path, pattern));
}

function direntOf({ name, type, parent }: Match): OverlayDirent {
  return new OverlayDirent(toText(name), toText(parent), type);
}

interface Plan {
  /** The literal components that the pattern begins with, with a slash at their end. */
  prefix: string;
  /** What follows them. */
  pattern: string;
  /** The pattern ends in a slash. */
  onlyDirectories: boolean;
  /** How deep directories are entered, and how deep symlinks to them. */
  entered: number;
  followed: number;
}

function planOf(given: string): Plan {
  const components = given.split('/').filter((part, index) => (part !== '' || index === 0) && part !== '.');
  const firstMagic = components.findIndex((component) => MAGIC.test(component));
  const literal = components.slice(0, firstMagic < 0 ? -1 : firstMagic);
  const rest = components.slice(literal.length);
  if (firstMagic >= 0 && rest.includes('..')) {
    throw invalidValue('pattern', given, "must not have '..' after a wildcard");
  }
  const climbs = rest.findIndex((component) => component.includes('**'));
  return {
    prefix: literal.map((component) => `${component}/`).join(''),
    pattern: rest.join('/'),
    onlyDirectories: given.endsWith('/'),
    entered: climbs < 0 ? rest.length : Number.POSITIVE_INFINITY,
    // `**` does not enter symlinks; a component by itself leads through them.
    followed: climbs < 0 ? rest.length : climbs,
  };
}

/** What one pattern matches; what is excluded is not entered either. */
function* matchesOf(view: View, start: ByteString, given: string, excludes: Excludes): Generator<Match> {
  const { prefix, pattern, onlyDirectories, entered, followed } = planOf(given);
  const from = prefix.startsWith('/') ? fromText(prefix) : below(start, fromText(prefix));
  const waiting = [{ at: from, shown: '', depth: 1 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { at, shown, depth } = next;
    for (const entry of view.listIfThere(at)) {
      const relative = shown + toText(entry.name);
      const match = { ...entry, path: prefix + relative, parent: at };
      if (excludes(match)) continue;
      const isWanted = !onlyDirectories || entry.type === S_IFDIR;
      if (isWanted && posix.matchesGlob(relative, pattern)) yield match;
      const enters = entry.type === S_IFDIR || (entry.type === S_IFLNK && depth < followed);
      if (enters && depth < entered) {
        waiting.push({ at: below(at, entry.name), shown: `${relative}/`, depth: depth + 1 });
      }
    }
  }
}
