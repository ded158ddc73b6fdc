// SPDX-License-Identifier: MIT
/** System calls that make, move and remove names; each judges the last name as its function in fs/namei.c does. */
import type { ByteString } from '../base/bytes.js';
import { EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, type Errno } from '../base/errno.js';
import { type Creation, createNode } from '../overlay/changes/create.js';
import { linkNode } from '../overlay/changes/link.js';
import { removeDirectoryName, unlinkName } from '../overlay/changes/remove.js';
import { renameName } from '../overlay/changes/rename.js';
import { ownCreator } from '../overlay/copy-up/credentials.js';
import { findNode } from '../overlay/names/lookup.js';
import type { Named } from '../overlay/names/walk.js';
import type { DirectoryNode } from '../overlay/nodes/node.js';
import { settle } from '../overlay/nodes/references.js';
import { RENAME_EXCHANGE, RENAME_NOREPLACE } from '../sys/entries.js';
import { S_IFDIR, S_IFLNK, S_IFMT } from '../sys/stat.js';
import { done } from './errors.js';
import type { View } from './view.js';

type Making = Omit<Creation, 'creator' | 'device' | 'target'> & Partial<Creation>;

/** mkdir(2), mknod(2) and symlink(2), by the file type in `mode`. */
export function makeName(view: View, path: ByteString, syscall: string, making: Making): void {
  const failed = { syscall, path, dest: making.target === undefined ? undefined : path };
  const shown = making.target === undefined ? failed : { ...failed, path: making.target };
  view.in(path, shown, (named) => {
    done(judgeNew(view, named, (making.mode & S_IFMT) === S_IFDIR), shown);
    const creation = { device: 0, target: '', creator: ownCreator(), ...making };
    const node = createNode(view.union, named.parent, named.name, creation);
    if (typeof node === 'number') done(node, shown);
    else settle(view.union, node);
  });
}

export function mkdir(view: View, path: ByteString, mode: number): void {
  makeName(view, path, 'mkdir', { mode: S_IFDIR | (mode & 0o7777) });
}

export function symlink(view: View, target: ByteString, path: ByteString): void {
  // symlink(2): a link leads somewhere.
  if (target === '') done(-ENOENT, { syscall: 'symlink', path: target, dest: path });
  makeName(view, path, 'symlink', { mode: S_IFLNK | 0o777, target });
}

/** link(2), which follows no symlink. */
export function link(view: View, existing: ByteString, path: ByteString): void {
  const failed = { syscall: 'link', path: existing, dest: path };
  view.at(existing, false, failed, (node) =>
    view.in(path, failed, (named) => {
      done(judgeNew(view, named, false), failed);
      done(linkNode(view.union, node, named.parent, named.name), failed);
    }),
  );
}

/** do_unlinkat. */
export function unlink(view: View, path: ByteString): void {
  const failed = { syscall: 'unlink', path };
  view.in(path, failed, ({ parent, name, slashed }) => {
    if (!isName(name)) done(-EISDIR, failed);
    if (slashed) done(done(typeAt(view, parent, name), failed) === S_IFDIR ? -EISDIR : -ENOTDIR, failed);
    done(unlinkName(view.union, parent, name), failed);
  });
}

/** do_rmdir. */
export function rmdir(view: View, path: ByteString): void {
  const failed = { syscall: 'rmdir', path };
  view.in(path, failed, ({ parent, name }) => {
    if (name === '') done(-EBUSY, failed);
    if (name === '.') done(-EINVAL, failed);
    if (name === '..') done(-ENOTEMPTY, failed);
    done(removeDirectoryName(view.union, parent, name), failed);
  });
}

/** do_renameat2, with RENAME_NOREPLACE or RENAME_EXCHANGE in `flags`. */
export function rename(view: View, from: ByteString, to: ByteString, flags: number): void {
  const failed = { syscall: 'rename', path: from, dest: to };
  view.in(from, failed, (source) =>
    view.in(to, failed, (target) => {
      done(judgeRename(view, source, target, flags), failed);
      const { union } = view;
      done(renameName(union, source.parent, source.name, target.parent, target.name, flags), failed);
    }),
  );
}

function judgeRename(view: View, source: Named, target: Named, flags: number): Errno {
  if (!isName(source.name)) return -EBUSY;
  if (!isName(target.name)) return flags === RENAME_NOREPLACE ? -EEXIST : -EBUSY;
  const type = typeAt(view, source.parent, source.name);
  if (type < 0 || type === S_IFDIR) return Math.min(type, 0);
  const slashed = source.slashed || (target.slashed && flags !== RENAME_EXCHANGE);
  return slashed ? -ENOTDIR : 0;
}

/** filename_create: `.`, `..` and the root are there already; slashes are for directories alone. */
export function judgeNew(view: View, { parent, name, slashed }: Named, isDirectory: boolean): Errno {
  if (!isName(name)) return -EEXIST;
  const type = typeAt(view, parent, name);
  if (type >= 0) return -EEXIST;
  if (type !== -ENOENT) return type;
  return slashed && !isDirectory ? -ENOENT : 0;
}

/** The file type of a name, as S_IF*, or a negated errno. */
function typeAt(view: View, parent: DirectoryNode, name: ByteString): number {
  const node = findNode(view.union, parent, name);
  if (typeof node === 'number') return node;
  settle(view.union, node);
  return node.type;
}

export function isName(name: ByteString): boolean {
  return name !== '' && name !== '.' && name !== '..';
}
