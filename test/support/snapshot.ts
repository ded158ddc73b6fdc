// SPDX-License-Identifier: MIT
/** A directory tree written down as text, one line an object, so that two trees can be compared. */
import * as entries from '../../lib/sys/entries.js';
import * as files from '../../lib/sys/files.js';
import { S_IFBLK, S_IFCHR, S_IFLNK, Stat, statAt } from '../../lib/sys/stat.js';
import * as xattrs from '../../lib/sys/xattrs.js';
import { digest } from './operations.js';

export interface SnapshotOptions {
  /** Leave out link counts and times of directories, which two implementations may count differently. */
  times?: boolean;
  /** Change or leave out an attribute; undefined leaves it out. */
  xattr?: (name: string, value: string) => string | undefined;
}

/** Everything below `path`, sorted; throws when anything cannot be read. */
export function snapshot(path: string, options: SnapshotOptions = {}): string[] {
  const root = files.openPath(path, files.O_PATH | files.O_DIRECTORY);
  if (root < 0) throw new Error(`cannot open ${path}: ${root}`);
  const lines: string[] = [];
  visit(root, '', options, lines, new Map());
  files.close(root);
  return lines;
}

function visit(
  root: number,
  path: string,
  options: SnapshotOptions,
  lines: string[],
  linked: Map<string, string>,
): void {
  const here = path === '' ? '.' : path;
  const stat = new Stat();
  must(statAt(root, here, stat), here);
  lines.push(`${here} ${describe(root, here, stat, options, linked)}`);
  if (!stat.isDirectory) return;
  const fd = must(files.openAt(root, here, files.O_RDONLY | files.O_DIRECTORY), here);
  const names: string[] = [];
  must(
    entries.listDirectory(fd, (name) => names.push(name) > 0),
    here,
  );
  files.close(fd);
  if (new Set(names).size !== names.length) throw new Error(`${here} lists a name twice`);
  for (const name of names.sort())
    visit(root, path === '' ? name : `${path}/${name}`, options, lines, linked);
}

function describe(
  root: number,
  path: string,
  stat: Stat,
  options: SnapshotOptions,
  linked: Map<string, string>,
): string {
  const parts = [stat.mode.toString(8), `${stat.uid}:${stat.gid}`];
  if (!stat.isDirectory) {
    parts.push(`size=${stat.size}`, `links=${stat.linkCount}`);
    if (stat.linkCount > 1) {
      const key = `${stat.inode}`;
      if (!linked.has(key)) linked.set(key, path);
      parts.push(`same-as=${linked.get(key)}`);
    }
    if (options.times) parts.push(`mtime=${stat.modifySeconds}.${stat.modifyNanoseconds}`);
  }
  if (stat.type === S_IFCHR || stat.type === S_IFBLK)
    parts.push(`dev=${stat.deviceMajor}:${stat.deviceMinor}`);
  if (stat.type === S_IFLNK) parts.push(`-> ${entries.readLink(root, path)}`);
  if (stat.isRegular) parts.push(`data=${content(root, path, stat.size)}`);
  parts.push(...attributes(root, path, options));
  return parts.join(' ');
}

function content(root: number, path: string, size: number): string {
  const fd = must(files.openAt(root, path, files.O_RDONLY), path);
  const buffer = Buffer.alloc(size);
  must(files.readFully(fd, buffer, size, 0), path);
  files.close(fd);
  return digest(buffer);
}

function attributes(root: number, path: string, options: SnapshotOptions): string[] {
  const names = xattrs.listXattrs(root, path);
  if (typeof names === 'number') return [`xattrs=${names}`];
  return names.sort().flatMap((name) => {
    const value = xattrs.getXattr(root, path, name);
    const text = typeof value === 'number' ? String(value) : value.toString('hex');
    const shown = options.xattr === undefined ? text : options.xattr(name, text);
    return shown === undefined ? [] : [`${name}=${shown}`];
  });
}

function must(status: number, path: string): number {
  if (status < 0) throw new Error(`${path}: errno ${-status}`);
  return status;
}
