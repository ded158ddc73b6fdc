// SPDX-License-Identifier: MIT
/**
 * One row an opcode: its number, its name, how long its body must be at least, what
 * kind of request it is, and how it is served. A row decodes the request, calls the
 * file system once and encodes what came out.
 *
 * OPEN, OPENDIR, FLUSH, ACCESS and CREATE answer ENOSYS on purpose: the kernel
 * then stops sending them, goes on as if they had worked, and keeps its caches
 * over an open (native-notes/fuse-protocol.md).
 */
import { ENOSYS, EOPNOTSUPP } from '../base/errno.js';
import { Opcode } from './abi.js';
import type { Message } from './message.js';
import type { EntryOut, Reply } from './reply.js';
import * as attributes from './request-attributes.js';
import * as data from './request-data.js';
import * as listing from './request-listing.js';
import * as names from './request-names.js';
import type { ServeContext } from './serve-context.js';

/** Answers the length of the reply's body or a negated errno; `entry` is for what the request finds or makes. */
export type Answer = (context: ServeContext, message: Message, reply: Reply, entry: EntryOut) => number;

export type Hear = (context: ServeContext, message: Message) => void;

interface Line {
  readonly opcode: number;
  /** Bytes after the header without which the request is malformed. */
  readonly minimum: number;
}

interface Told extends Line {
  /** The protocol wants no reply, not even to a failure. */
  readonly kind: 'tells';
  readonly serve: Hear;
}

interface Asked extends Line {
  /**
   * `asks`: it changes nothing. `repeatable`: it changes something, or waits until what was changed is safe, and may
   * be done twice. `once`: the second time it would fail; its answer is whether it worked. `makes`: as `once`, but its
   * answer is the entry that it made.
   */
  readonly kind: 'asks' | 'repeatable' | 'once' | 'makes';
  readonly serve: Answer;
}

export type Row = (Told | Asked) & { readonly name: string };

/** Stateless on purpose, or not asked for at INIT. */
const refuse = (): number => -ENOSYS;

const table: readonly (Told | Asked)[] = [
  { opcode: Opcode.LOOKUP, minimum: 2, kind: 'asks', serve: names.lookup },
  { opcode: Opcode.FORGET, minimum: 8, kind: 'tells', serve: names.forget },
  { opcode: Opcode.BATCH_FORGET, minimum: 8, kind: 'tells', serve: names.forgetMany },
  { opcode: Opcode.GETATTR, minimum: 16, kind: 'asks', serve: attributes.getAttributes },
  { opcode: Opcode.SETATTR, minimum: 88, kind: 'repeatable', serve: attributes.setAttributes },
  { opcode: Opcode.STATX, minimum: 24, kind: 'asks', serve: attributes.statx },
  { opcode: Opcode.READLINK, minimum: 0, kind: 'asks', serve: names.readLink },
  { opcode: Opcode.SYMLINK, minimum: 4, kind: 'makes', serve: names.symlink },
  { opcode: Opcode.MKNOD, minimum: 18, kind: 'makes', serve: names.makeNode },
  { opcode: Opcode.MKDIR, minimum: 10, kind: 'makes', serve: names.makeDirectory },
  { opcode: Opcode.TMPFILE, minimum: 16, kind: 'makes', serve: names.createUnnamed },
  { opcode: Opcode.UNLINK, minimum: 2, kind: 'once', serve: names.unlink },
  { opcode: Opcode.RMDIR, minimum: 2, kind: 'once', serve: names.removeDirectory },
  { opcode: Opcode.RENAME, minimum: 12, kind: 'once', serve: names.rename },
  { opcode: Opcode.RENAME2, minimum: 20, kind: 'once', serve: names.rename2 },
  { opcode: Opcode.LINK, minimum: 10, kind: 'makes', serve: names.link },
  { opcode: Opcode.READ, minimum: 40, kind: 'asks', serve: data.read },
  { opcode: Opcode.WRITE, minimum: 40, kind: 'repeatable', serve: data.write },
  { opcode: Opcode.FALLOCATE, minimum: 32, kind: 'repeatable', serve: data.allocate },
  { opcode: Opcode.LSEEK, minimum: 24, kind: 'asks', serve: data.seek },
  { opcode: Opcode.COPY_FILE_RANGE, minimum: 56, kind: 'repeatable', serve: data.copy },
  { opcode: Opcode.COPY_FILE_RANGE_64, minimum: 56, kind: 'repeatable', serve: data.copy64 },
  { opcode: Opcode.FSYNC, minimum: 16, kind: 'repeatable', serve: data.sync },
  { opcode: Opcode.FSYNCDIR, minimum: 16, kind: 'repeatable', serve: data.sync },
  { opcode: Opcode.SYNCFS, minimum: 8, kind: 'repeatable', serve: data.syncAll },
  { opcode: Opcode.STATFS, minimum: 0, kind: 'asks', serve: attributes.statFileSystem },
  { opcode: Opcode.READDIR, minimum: 40, kind: 'asks', serve: listing.readDirectory },
  { opcode: Opcode.READDIRPLUS, minimum: 40, kind: 'asks', serve: listing.readDirectoryPlus },
  { opcode: Opcode.GETXATTR, minimum: 10, kind: 'asks', serve: attributes.getXattr },
  { opcode: Opcode.LISTXATTR, minimum: 8, kind: 'asks', serve: attributes.listXattrs },
  { opcode: Opcode.SETXATTR, minimum: 10, kind: 'once', serve: attributes.setXattr },
  { opcode: Opcode.REMOVEXATTR, minimum: 2, kind: 'once', serve: attributes.removeXattr },
  { opcode: Opcode.IOCTL, minimum: 32, kind: 'repeatable', serve: attributes.control },
  { opcode: Opcode.INTERRUPT, minimum: 8, kind: 'tells', serve: () => undefined },
  { opcode: Opcode.DESTROY, minimum: 0, kind: 'asks', serve: () => 0 },
  // Stateless on purpose.
  { opcode: Opcode.OPEN, minimum: 0, kind: 'asks', serve: refuse },
  { opcode: Opcode.OPENDIR, minimum: 0, kind: 'asks', serve: refuse },
  { opcode: Opcode.CREATE, minimum: 0, kind: 'asks', serve: refuse },
  { opcode: Opcode.FLUSH, minimum: 0, kind: 'asks', serve: refuse },
  { opcode: Opcode.ACCESS, minimum: 0, kind: 'asks', serve: refuse },
  // An unnamed file is opened as it is made, so it is released (fuse_file_release).
  { opcode: Opcode.RELEASE, minimum: 0, kind: 'asks', serve: () => 0 },
  { opcode: Opcode.RELEASEDIR, minimum: 0, kind: 'asks', serve: () => 0 },
  // Not asked for at INIT; locks are the kernel's own, and there is no block device and no DAX window.
  { opcode: Opcode.GETLK, minimum: 0, kind: 'asks', serve: refuse },
  { opcode: Opcode.SETLK, minimum: 0, kind: 'asks', serve: refuse },
  { opcode: Opcode.SETLKW, minimum: 0, kind: 'asks', serve: refuse },
  { opcode: Opcode.BMAP, minimum: 0, kind: 'asks', serve: refuse },
  { opcode: Opcode.POLL, minimum: 0, kind: 'asks', serve: refuse },
  { opcode: Opcode.NOTIFY_REPLY, minimum: 0, kind: 'tells', serve: () => undefined },
  { opcode: Opcode.SETUPMAPPING, minimum: 0, kind: 'asks', serve: () => -EOPNOTSUPP },
  { opcode: Opcode.REMOVEMAPPING, minimum: 0, kind: 'asks', serve: () => -EOPNOTSUPP },
];

const nameOf = new Map<number, string>(Object.entries(Opcode).map(([name, number]) => [number, name]));

/** The rows by opcode; a number without a row is answered ENOSYS. */
export const rows: readonly (Row | undefined)[] = buildRows();

function buildRows(): (Row | undefined)[] {
  const built: (Row | undefined)[] = [];
  for (const line of table) built[line.opcode] = { ...line, name: nameOf.get(line.opcode)! };
  return built;
}

/** Whether a request may change something, or waits until what was changed is safe. */
export function isChange({ kind }: Row): boolean {
  return kind !== 'asks' && kind !== 'tells';
}

export function opcodeName(opcode: number): string {
  return nameOf.get(opcode) ?? `opcode ${opcode}`;
}
