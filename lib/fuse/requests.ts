// SPDX-License-Identifier: MIT
/**
 * One row an opcode: its number, its name, how long its body must be at least,
 * and how it is served. A row decodes the request, calls the file system once
 * and encodes what came out; it answers the length of the reply's body or a
 * negated errno.
 *
 * OPEN, OPENDIR, FLUSH, ACCESS and CREATE answer ENOSYS on purpose: the kernel
 * then stops sending them, goes on as if they had worked, and keeps its caches
 * over an open (native-notes/fuse-protocol.md).
 */
import { ENOSYS, EOPNOTSUPP } from '../base/errno.js';
import { Opcode } from './abi.js';
import type { Message } from './message.js';
import { NO_REPLY, type Reply } from './reply.js';
import * as attributes from './request-attributes.js';
import * as data from './request-data.js';
import * as listing from './request-listing.js';
import * as names from './request-names.js';
import type { ServeContext } from './serve-context.js';

export type Serve = (context: ServeContext, message: Message, reply: Reply) => number;

export interface Row {
  readonly opcode: number;
  readonly name: string;
  /** Bytes after the header without which the request is malformed. */
  readonly minimum: number;
  readonly serve: Serve;
  /** The protocol wants no reply, not even to a failure. */
  readonly silent: boolean;
  /** It may change something, or waits until what was changed is safe. */
  readonly changes: boolean;
}

const table: readonly [opcode: number, minimum: number, serve: Serve][] = [
  [Opcode.LOOKUP, 2, names.lookup],
  [Opcode.FORGET, 8, names.forget],
  [Opcode.BATCH_FORGET, 8, names.forgetMany],
  [Opcode.GETATTR, 16, attributes.getAttributes],
  [Opcode.SETATTR, 88, attributes.setAttributes],
  [Opcode.STATX, 24, attributes.statx],
  [Opcode.READLINK, 0, names.readLink],
  [Opcode.SYMLINK, 4, names.symlink],
  [Opcode.MKNOD, 18, names.makeNode],
  [Opcode.MKDIR, 10, names.makeDirectory],
  [Opcode.TMPFILE, 16, names.createUnnamed],
  [Opcode.UNLINK, 2, names.unlink],
  [Opcode.RMDIR, 2, names.removeDirectory],
  [Opcode.RENAME, 12, names.rename],
  [Opcode.RENAME2, 20, names.rename2],
  [Opcode.LINK, 10, names.link],
  [Opcode.READ, 40, data.read],
  [Opcode.WRITE, 40, data.write],
  [Opcode.FALLOCATE, 32, data.allocate],
  [Opcode.LSEEK, 24, data.seek],
  [Opcode.COPY_FILE_RANGE, 56, data.copy],
  [Opcode.COPY_FILE_RANGE_64, 56, data.copy64],
  [Opcode.FSYNC, 16, data.sync],
  [Opcode.FSYNCDIR, 16, data.sync],
  [Opcode.SYNCFS, 8, data.syncAll],
  [Opcode.STATFS, 0, attributes.statFileSystem],
  [Opcode.READDIR, 40, listing.readDirectory],
  [Opcode.READDIRPLUS, 40, listing.readDirectoryPlus],
  [Opcode.GETXATTR, 10, attributes.getXattr],
  [Opcode.LISTXATTR, 8, attributes.listXattrs],
  [Opcode.SETXATTR, 10, attributes.setXattr],
  [Opcode.REMOVEXATTR, 2, attributes.removeXattr],
  [Opcode.IOCTL, 32, attributes.control],
  [Opcode.INTERRUPT, 8, () => NO_REPLY],
  [Opcode.DESTROY, 0, () => 0],
  // Stateless on purpose.
  [Opcode.OPEN, 0, () => -ENOSYS],
  [Opcode.OPENDIR, 0, () => -ENOSYS],
  [Opcode.CREATE, 0, () => -ENOSYS],
  [Opcode.FLUSH, 0, () => -ENOSYS],
  [Opcode.ACCESS, 0, () => -ENOSYS],
  // An unnamed file is opened as it is made, so it is released (fuse_file_release).
  [Opcode.RELEASE, 0, () => 0],
  [Opcode.RELEASEDIR, 0, () => 0],
  // Not asked for at INIT; locks are the kernel's own, and there is no block device and no DAX window.
  [Opcode.GETLK, 0, () => -ENOSYS],
  [Opcode.SETLK, 0, () => -ENOSYS],
  [Opcode.SETLKW, 0, () => -ENOSYS],
  [Opcode.BMAP, 0, () => -ENOSYS],
  [Opcode.POLL, 0, () => -ENOSYS],
  [Opcode.NOTIFY_REPLY, 0, () => NO_REPLY],
  [Opcode.SETUPMAPPING, 0, () => -EOPNOTSUPP],
  [Opcode.REMOVEMAPPING, 0, () => -EOPNOTSUPP],
];

const SILENT = new Set<number>([Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT, Opcode.NOTIFY_REPLY]);

const CHANGES = new Set<number>([
  Opcode.SETATTR,
  Opcode.SYMLINK,
  Opcode.MKNOD,
  Opcode.MKDIR,
  Opcode.TMPFILE,
  Opcode.UNLINK,
  Opcode.RMDIR,
  Opcode.RENAME,
  Opcode.RENAME2,
  Opcode.LINK,
  Opcode.WRITE,
  Opcode.FALLOCATE,
  Opcode.COPY_FILE_RANGE,
  Opcode.COPY_FILE_RANGE_64,
  Opcode.FSYNC,
  Opcode.FSYNCDIR,
  Opcode.SYNCFS,
  Opcode.SETXATTR,
  Opcode.REMOVEXATTR,
  Opcode.IOCTL,
]);

const nameOf = new Map<number, string>(Object.entries(Opcode).map(([name, number]) => [number, name]));

/** The rows by opcode; a number without a row is answered ENOSYS. */
export const rows: readonly (Row | undefined)[] = buildRows();

function buildRows(): (Row | undefined)[] {
  const built: (Row | undefined)[] = [];
  for (const [opcode, minimum, serve] of table) {
    const [silent, changes] = [SILENT.has(opcode), CHANGES.has(opcode)];
    built[opcode] = { opcode, name: nameOf.get(opcode)!, minimum, serve, silent, changes };
  }
  return built;
}

export function opcodeName(opcode: number): string {
  return nameOf.get(opcode) ?? `opcode ${opcode}`;
}
