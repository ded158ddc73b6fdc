// SPDX-License-Identifier: MIT
/**
 * Operations on a directory tree as plain data, so that the same sequence can be
 * applied to several file systems and every answer compared. They go straight to
 * the system calls: what is compared is the errno of the kernel, not of a library.
 */
import fc from 'fast-check';
import { errnoName } from '../../lib/base/errno.js';
import * as entries from '../../lib/sys/entries.js';
import * as files from '../../lib/sys/files.js';
import { S_IFCHR, S_IFIFO, S_IFREG, S_IFSOCK, Stat, statAt } from '../../lib/sys/stat.js';
import * as xattrs from '../../lib/sys/xattrs.js';

export type Operation =
  | { op: 'create'; path: string; mode: number; data: string }
  | { op: 'write'; path: string; offset: number; data: string }
  | { op: 'append'; path: string; data: string }
  | { op: 'truncate'; path: string; size: number }
  | { op: 'read'; path: string }
  | { op: 'mkdir'; path: string; mode: number }
  | { op: 'mknod'; path: string; type: number }
  | { op: 'symlink'; path: string; target: string }
  | { op: 'link'; path: string; to: string }
  | { op: 'unlink'; path: string }
  | { op: 'rmdir'; path: string }
  | { op: 'rename'; path: string; to: string; flags: number }
  | { op: 'chmod'; path: string; mode: number }
  | { op: 'chown'; path: string; uid: number; gid: number }
  | { op: 'utimes'; path: string; seconds: number }
  | { op: 'setxattr'; path: string; name: string; value: string }
  | { op: 'removexattr'; path: string; name: string }
  | { op: 'list'; path: string }
  | { op: 'stat'; path: string };

const NAMES = ['a', 'b', 'c', 'dir', 'sub', 'long-name.txt', '\xff\xfe'];

const path = fc
  .array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 })
  .map((names) => names.join('/'));
/** A file that is opened for writing and not written is copied up by the kernel and not by us, so something is always written. */
const written = fc.constantFrom('x', 'hello', 'y'.repeat(5000), 'z'.repeat(70_000));
const data = fc.constantFrom('', 'x', 'hello', 'y'.repeat(5000), 'z'.repeat(70_000));
const mode = fc.constantFrom(0o644, 0o600, 0o755, 0o4755, 0o2711, 0o1777, 0);
const xattrName = fc.constantFrom('user.one', 'trusted.two', 'trusted.overlay.mine', 'security.three');

export const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('create' as const), path, mode, data }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('write' as const),
      path,
      offset: fc.constantFrom(0, 3, 4096, 100_000),
      data: written,
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('append' as const), path, data: written }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('truncate' as const),
      path,
      size: fc.constantFrom(0, 1, 4096, 200_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('read' as const), path }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('mkdir' as const), path, mode }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('mknod' as const),
      path,
      type: fc.constantFrom(S_IFIFO, S_IFSOCK, S_IFCHR),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('symlink' as const), path, target: path }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('link' as const), path, to: path }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('unlink' as const), path }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('rmdir' as const), path }) },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('rename' as const),
      path,
      to: path,
      flags: fc.constantFrom(0, 0, 0, 1, 2, 4),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('chmod' as const), path, mode }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('chown' as const),
      path,
      uid: fc.constantFrom(0, 1000, 0xffffffff),
      gid: fc.constantFrom(0, 1000, 0xffffffff),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('utimes' as const),
      path,
      seconds: fc.constantFrom(-100, 0, 1_000_000_000, 5_000_000_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('setxattr' as const),
      path,
      name: xattrName,
      value: fc.constantFrom('', 'v', 'w'.repeat(300)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('removexattr' as const), path, name: xattrName }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('list' as const), path }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('stat' as const), path }) },
);

/** Applies one operation below an open directory; answers `ok`, an errno's name, or what was read. */
export function apply(root: number, operation: Operation): string {
  const answer = perform(root, operation);
  return typeof answer === 'string' ? answer : answer < 0 ? errnoName(answer) : 'ok';
}

function perform(root: number, operation: Operation): number | string {
  switch (operation.op) {
    case 'create':
      return store(
        root,
        operation.path,
        files.O_WRONLY | files.O_CREAT | files.O_EXCL,
        operation.data,
        0,
        operation.mode,
      );
    case 'write':
      return store(root, operation.path, files.O_WRONLY, operation.data, operation.offset, 0);
    case 'append':
      return append(root, operation.path, operation.data);
    case 'truncate':
      return withFile(root, operation.path, files.O_WRONLY, (fd) => files.truncate(fd, operation.size));
    case 'read':
      return withFile(root, operation.path, files.O_RDONLY | files.O_NONBLOCK, readAll);
    case 'mkdir':
      return entries.makeDirectory(root, operation.path, operation.mode);
    case 'mknod':
      return entries.makeNode(
        root,
        operation.path,
        operation.type | 0o644,
        operation.type === S_IFCHR ? 0x103 : 0,
      );
    case 'symlink':
      return entries.makeSymlink(root, operation.path, operation.target);
    case 'link':
      return entries.makeLink(root, operation.path, root, operation.to);
    case 'unlink':
      return entries.unlink(root, operation.path);
    case 'rmdir':
      return entries.removeDirectory(root, operation.path);
    case 'rename':
      return entries.rename(root, operation.path, root, operation.to, operation.flags);
    case 'chmod':
      return entries.changeMode(root, operation.path, operation.mode);
    case 'chown':
      return entries.changeOwner(root, operation.path, operation.uid, operation.gid);
    case 'utimes':
      return entries.changeTimes(root, operation.path, {
        accessSeconds: operation.seconds,
        accessNanoseconds: 1,
        modifySeconds: operation.seconds + 1,
        modifyNanoseconds: 999_999_999,
      });
    case 'setxattr':
      return xattrs.setXattr(root, operation.path, operation.name, Buffer.from(operation.value));
    case 'removexattr':
      return xattrs.removeXattr(root, operation.path, operation.name);
    case 'list':
      return list(root, operation.path);
    case 'stat':
      return describe(root, operation.path);
  }
}

function withFile(
  root: number,
  path: string,
  flags: number,
  use: (fd: number) => number | string,
): number | string {
  const stat = new Stat();
  // A device or a fifo would answer for itself, not for the file system.
  if (statAt(root, path, stat) === 0 && stat.type !== S_IFREG && !stat.isDirectory) return 'special';
  const fd = files.openAt(root, path, flags, 0);
  if (fd < 0) return fd;
  try {
    return use(fd);
  } finally {
    files.close(fd);
  }
}

function store(
  root: number,
  path: string,
  flags: number,
  data: string,
  offset: number,
  mode: number,
): number | string {
  if ((flags & files.O_CREAT) === 0) return withFile(root, path, flags, (fd) => put(fd, data, offset));
  const fd = files.openAt(root, path, flags, mode);
  if (fd < 0) return fd;
  const status = put(fd, data, offset);
  files.close(fd);
  return status;
}

function put(fd: number, data: string, offset: number): number {
  const bytes = Buffer.from(data);
  const count = files.writeFully(fd, bytes, bytes.length, offset);
  return count < 0 ? count : count === bytes.length ? 0 : -5;
}

function append(root: number, path: string, data: string): number | string {
  const O_APPEND = 0o2000;
  return withFile(root, path, files.O_WRONLY | O_APPEND, (fd) => put(fd, data, 0));
}

function readAll(fd: number): number | string {
  const buffer = Buffer.alloc(400_000);
  const size = files.readFully(fd, buffer, buffer.length, 0);
  return size < 0 ? size : `${size} bytes ${digest(buffer.subarray(0, size))}`;
}

/** FNV-1a, enough to tell contents apart. */
export function digest(bytes: Uint8Array): string {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16);
}

function list(root: number, path: string): number | string {
  const fd = files.openAt(root, path, files.O_RDONLY | files.O_DIRECTORY);
  if (fd < 0) return fd;
  const names: string[] = [];
  const status = entries.listDirectory(fd, (name, type) => names.push(`${name}:${type}`) > 0);
  files.close(fd);
  return status < 0 ? status : names.sort().join(' ');
}

function describe(root: number, path: string): number | string {
  const stat = new Stat();
  const status = statAt(root, path, stat);
  if (status < 0) return status;
  const size = stat.isDirectory ? '' : ` size ${stat.size}`;
  const links = stat.isDirectory ? '' : ` links ${stat.linkCount}`;
  return `${stat.mode.toString(8)} ${stat.uid}:${stat.gid}${size}${links}`;
}
