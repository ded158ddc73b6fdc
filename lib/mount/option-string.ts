// SPDX-License-Identifier: MIT
/**
 * Mount options as mount(8) passes them: `key=value,flag,…`, in one string or
 * several. A comma or colon in a path is written `\,` or `\:`, as overlayfs reads it.
 */
import { UsageError } from '../base/errors.js';
import {
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RELATIME,
  MS_STRICTATIME,
} from '../sys/mounts.js';
import type { MountOptions } from './mount.js';

/** Collects what the options say; paths are as given. */
export type ParsedOptions = { -readonly [Key in keyof MountOptions]: MountOptions[Key] } & {
  lowers: string[];
  flags: number;
};

type Apply = (options: ParsedOptions, value: string) => void;

interface Rule {
  /** Whether a value must be there, may not be there, or must be one of these. */
  value: 'required' | 'none' | readonly string[];
  apply: Apply;
}

const set = (flag: number): Rule => ({ value: 'none', apply: (options) => void (options.flags |= flag) });
const clear = (flag: number): Rule => ({ value: 'none', apply: (options) => void (options.flags &= ~flag) });

const rules: Record<string, Rule> = {
  lowerdir: { value: 'required', apply: (options, value) => void options.lowers.push(...splitPaths(value)) },
  upperdir: { value: 'required', apply: (options, value) => void (options.upper = unescapePath(value)) },
  workdir: { value: 'required', apply: (options, value) => void (options.work = unescapePath(value)) },
  redirect_dir: {
    value: ['on', 'off', 'follow', 'nofollow'],
    apply: (options, value) => void (options.redirectDirectories = value === 'on'),
  },
  userxattr: { value: 'none', apply: (options) => void (options.userxattr = true) },
  volatile: { value: 'none', apply: (options) => void (options.volatile = true) },
  writeback: {
    value: ['0', '1'],
    apply: (options, value) => {
      options.writeback = value === '1';
    },
  },
  fsname: { value: 'required', apply: (options, value) => void (options.source = value) },
  subtype: { value: 'required', apply: (options, value) => void (options.subtype = value) },
  allow_other: { value: 'none', apply: (options) => void (options.allowOther = true) },
  default_permissions: { value: 'none', apply: () => undefined },
  ro: { value: 'none', apply: (options) => void (options.readOnly = true) },
  rw: { value: 'none', apply: (options) => void (options.readOnly = false) },
  nosuid: set(MS_NOSUID),
  suid: clear(MS_NOSUID),
  nodev: set(MS_NODEV),
  dev: clear(MS_NODEV),
  noexec: set(MS_NOEXEC),
  exec: clear(MS_NOEXEC),
  noatime: set(MS_NOATIME),
  atime: clear(MS_NOATIME),
  nodiratime: set(MS_NODIRATIME),
  diratime: clear(MS_NODIRATIME),
  relatime: set(MS_RELATIME),
  strictatime: set(MS_STRICTATIME),
};

export const OPTION_NAMES: readonly string[] = Object.keys(rules);

export function emptyOptions(): ParsedOptions {
  return { lowers: [], flags: 0 };
}

/** Applies one option string. Throws UsageError for an option that is not known or has a wrong value. */
export function applyOptionString(options: ParsedOptions, text: string): void {
  for (const item of splitUnescaped(text, ',')) {
    if (item === '') continue;
    const equals = item.indexOf('=');
    const name = equals < 0 ? item : item.slice(0, equals);
    applyOption(options, name, equals < 0 ? undefined : item.slice(equals + 1));
  }
}

function applyOption(options: ParsedOptions, name: string, value: string | undefined): void {
  const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
  if (rule === undefined) {
    const nearest = nearestName(name, OPTION_NAMES);
    throw new UsageError(
      `unknown mount option ${JSON.stringify(name)}`,
      nearest === undefined ? 'see `tsoverlay mount --help`' : `did you mean ${nearest}?`,
    );
  }
  if (rule.value === 'none') {
    if (value !== undefined) throw new UsageError(`mount option ${name} takes no value`);
  } else if (value === undefined || value === '') {
    throw new UsageError(`mount option ${name} needs a value`, `write ${name}=…`);
  } else if (rule.value !== 'required' && !rule.value.includes(value)) {
    throw new UsageError(`${name}=${value} is not possible`, `use one of ${rule.value.join(', ')}`);
  }
  rule.apply(options, value ?? '');
}

/** A list of layers, top first: `\:` is a colon in a name. */
export function splitPaths(value: string): string[] {
  const paths = splitUnescaped(value, ':').map(unescapePath);
  if (paths.some((path) => path === '')) {
    throw new UsageError(
      'lowerdir has an empty entry',
      'remove the stray colon, or write \\: for one in a name',
    );
  }
  return paths;
}

function splitUnescaped(text: string, separator: string): string[] {
  const parts: string[] = [''];
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === separator) parts.push('');
    else {
      parts[parts.length - 1] += character;
      if (character === '\\' && index + 1 < text.length) parts[parts.length - 1] += text[++index];
    }
  }
  return parts;
}

function unescapePath(path: string): string {
  return path.replace(/\\([\\:,])/g, '$1');
}

/** The known name closest to a mistyped one, if it is close enough to be meant. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((a, b) => a.distance - b.distance);
  return ranked[0].distance <= Math.max(2, Math.floor(name.length / 3)) ? ranked[0].candidate : undefined;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
