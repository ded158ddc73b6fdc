// SPDX-License-Identifier: MIT
/**
 * What a file system must do to be served: our words, no kernel structures.
 *
 * Methods answer a value >= 0 or a negated errno, at once: a request is served
 * from read to reply in one call stack. What comes out lands in the record given
 * (`out`), which is used again.
 */
import type { ByteString } from '../base/bytes.js';
import type { Errno, SizeOrErrno } from '../base/errno.js';
import type { FileSystemSize } from '../sys/mounts.js';
import type { Stat } from '../sys/stat.js';
import type { DirectoryEntryOut, EntryOut } from './reply.js';

/** The calling process: owner of new files, and whose rights count. */
export interface Requester {
  uid: number;
  gid: number;
  /** Of the thread; 0 for one outside the PID namespace of the mount. */
  pid: number;
  /** Only for creating requests. */
  umask: number;
}

/** Attributes to change; what is not to change is undefined. Times in seconds and nanoseconds. */
export interface AttributeRequest {
  mode: number | undefined;
  uid: number | undefined;
  gid: number | undefined;
  size: number | undefined;
  access: { seconds: number; nanoseconds: number } | 'now' | undefined;
  modify: { seconds: number; nanoseconds: number } | 'now' | undefined;
  /** The writer may not keep setuid and setgid. */
  killPrivileges: boolean;
  by: Requester;
}

export interface RenameRequest {
  from: number;
  fromName: ByteString;
  to: number;
  toName: ByteString;
  /** RENAME_NOREPLACE, RENAME_EXCHANGE. */
  flags: number;
}

export interface CopyRequest {
  from: number;
  fromOffset: number;
  to: number;
  toOffset: number;
  size: number;
  by: Requester;
}

/** Takes directory entries until it is full: then it answers false and that entry is not in. */
export interface ListingSink {
  /** Entries come with attributes (READDIRPLUS); each one taken counts as a lookup. */
  readonly withAttributes: boolean;
  add(entry: DirectoryEntryOut): boolean;
  addWithAttributes(entry: DirectoryEntryOut, node: EntryOut): boolean;
}

export interface FileSystem {
  /**
   * A request begins. `unique` and `uniqueHigh` are its number, whose first bit says that it was
   * sent before and is left out.
   */
  begin?(unique: number, uniqueHigh: number): void;
  /** It is done with this status (0 or a negated errno) and about to be answered; `node` is what it made, 0 for nothing. */
  finish?(status: Errno, node: number): void;
  /** Whether a request that changes something is to fail with EIO without being tried. */
  takesNoChanges?(): boolean;
  /** A node that an earlier server has answered with: its attributes, and nothing more for the kernel to forget. */
  revisit?(id: number, out: EntryOut): Errno;
  /** A node that the kernel forgot and finds again by a file handle: itself (`.`) or its parent (`..`). */
  lookupKnown(id: number, which: '.' | '..', out: EntryOut): Errno;
  lookup(parent: number, name: ByteString, out: EntryOut): Errno;
  forget(node: number, count: number): void;
  getAttributes(node: number, out: Stat): Errno;
  setAttributes(node: number, request: AttributeRequest, out: Stat): Errno;
  readLink(node: number): ByteString | Errno;
  /** Files, directories and device files; `mode` carries the type, `device` is as makedev(3) composes it. */
  create(parent: number, name: ByteString, mode: number, device: number, by: Requester, out: EntryOut): Errno;
  symlink(parent: number, name: ByteString, target: ByteString, by: Requester, out: EntryOut): Errno;
  createUnnamed(parent: number, mode: number, by: Requester, out: EntryOut): Errno;
  link(node: number, parent: number, name: ByteString, out: EntryOut): Errno;
  unlink(parent: number, name: ByteString): Errno;
  removeDirectory(parent: number, name: ByteString): Errno;
  rename(request: RenameRequest): Errno;
  read(node: number, into: Buffer, offset: number): SizeOrErrno;
  /** `unprivileged`: the writer, if its write clears setuid and setgid. */
  write(node: number, data: Buffer, offset: number, unprivileged: Requester | null): SizeOrErrno;
  allocate(node: number, mode: number, offset: number, size: number, by: Requester): Errno;
  seek(node: number, offset: number, whence: number): SizeOrErrno;
  copy(request: CopyRequest): SizeOrErrno;
  sync(node: number, dataOnly: boolean): Errno;
  syncAll(): Errno;
  list(node: number, after: number, sink: ListingSink): Errno;
  getXattr(node: number, name: ByteString): Buffer | Errno;
  /** `by` may not see all: `trusted.*` is listed only to a caller that may read it. */
  listXattrs(node: number, by: Requester): ByteString[] | Errno;
  /** `dropSetgid`: the new ACL is set by someone who may not keep the setgid bit. */
  setXattr(node: number, name: ByteString, value: Buffer, flags: number, dropSetgid: boolean): Errno;
  removeXattr(node: number, name: ByteString, by: Requester): Errno;
  /** An ioctl about inode flags (chattr(1)): `value` is what it sets, or receives what it asks for. */
  control(node: number, command: number, value: Buffer, by: Requester): Errno;
  fileSystemSize(): FileSystemSize | Errno;
}
