// SPDX-License-Identifier: MIT
/** The overlay as the file system that lib/fuse serves: node ids in, engine calls, attributes out. */
import type { ByteString } from '../base/bytes.js';
import { ENODATA, ENOTDIR, EOPNOTSUPP, type Errno, type SizeOrErrno } from '../base/errno.js';
import type {
  AttributeRequest,
  CopyRequest,
  FileSystem,
  ListingSink,
  RenameRequest,
  Requester,
} from '../fuse/file-system.js';
import type { DirectoryEntryOut, EntryOut } from '../fuse/reply.js';
import { createNode } from '../overlay/changes/create.js';
import { createUnnamed } from '../overlay/changes/create-unnamed.js';
import { linkNode } from '../overlay/changes/link.js';
import { removeDirectoryName, unlinkName } from '../overlay/changes/remove.js';
import { renameName } from '../overlay/changes/rename.js';
import { retryResuming } from '../overlay/copy-up/lazy-recovery.js';
import { AttributeChange, getAttributes, setAttributes } from '../overlay/data/attributes.js';
import * as data from '../overlay/data/data.js';
import { controlFlags } from '../overlay/data/flags.js';
import { killSetgid, killSetgidOutside } from '../overlay/data/privileges.js';
import * as xattr from '../overlay/data/xattr.js';
import { completeListing } from '../overlay/names/listing.js';
import { findNode } from '../overlay/names/lookup.js';
import { nodeOf } from '../overlay/names/restore.js';
import { readTarget } from '../overlay/names/walk.js';
import { FIRST_COOKIE } from '../overlay/nodes/cookies.js';
import { visitEntries } from '../overlay/nodes/entries.js';
import { Measured } from '../overlay/nodes/measured.js';
import type { DirectoryNode, Entry, OverlayNode } from '../overlay/nodes/node.js';
import { beginRequest } from '../overlay/nodes/recorder.js';
import { forget, remember, settle } from '../overlay/nodes/references.js';
import type { Union } from '../overlay/nodes/union.js';
import { UTIME_NOW } from '../sys/entries.js';
import type { FileSystemSize } from '../sys/mounts.js';
import { S_IFDIR, S_IFLNK, Stat } from '../sys/stat.js';

/** Attributes hidden by mount options. */
export interface AttributeChoices {
  noAcl?: boolean | undefined;
  noXattrs?: boolean | undefined;
}

const ACL_PREFIX = 'system.posix_acl_';
/** The one that the mode goes with. */
const ACCESS_ACL = 'system.posix_acl_access';

export class OverlayFileSystem implements FileSystem {
  readonly #measured = new Measured();
  readonly #stat = new Stat();
  readonly #listed: EntryOut = { nodeId: 0, stat: this.#stat };
  readonly #dirent: DirectoryEntryOut = { inodeLow: 0, inodeHigh: 0, cookie: 0, type: 0, name: '' };

  constructor(
    private readonly union: Union,
    private readonly choices: AttributeChoices = {},
  ) {}

  /** Whether the mount has an attribute at all. */
  #lacks(name: ByteString): boolean {
    return this.choices.noXattrs === true || (this.choices.noAcl === true && name.startsWith(ACL_PREFIX));
  }

  #directory(id: number): DirectoryNode | Errno {
    const node = nodeOf(this.union, id);
    if (typeof node === 'number') return node;
    return node.isDirectory() ? node : -ENOTDIR;
  }

  /** Answers the kernel with a node: its attributes, and one more lookup for it to forget. */
  #enter(node: OverlayNode, out: EntryOut, measured: Measured | null = null): Errno {
    const status = getAttributes(this.union, node, out.stat, measured);
    if (status < 0) {
      settle(this.union, node);
      return status;
    }
    remember(this.union, node);
    out.nodeId = node.id;
    return 0;
  }

  begin(unique: number, uniqueHigh: number): void {
    beginRequest(this.union, unique, uniqueHigh);
    if (this.union.unresumed.size > 0) retryResuming(this.union);
  }

  takesNoChanges(): boolean {
    return this.union.watch.current.areChangesSuspended;
  }

  finish(status: Errno, node: number): void {
    this.union.journal?.commit(status, node);
  }

  revisit(id: number, out: EntryOut): Errno {
    const node = nodeOf(this.union, id);
    if (typeof node === 'number') return node;
    out.nodeId = id;
    return getAttributes(this.union, node, out.stat);
  }

  lookup(parent: number, name: ByteString, out: EntryOut): Errno {
    const directory = this.#directory(parent);
    if (typeof directory === 'number') return directory;
    const measured = this.#measured.into(out.stat);
    const node = findNode(this.union, directory, name, measured);
    return typeof node === 'number' ? node : this.#enter(node, out, measured);
  }

  lookupKnown(id: number, which: '.' | '..', out: EntryOut): Errno {
    const node = nodeOf(this.union, id);
    if (typeof node === 'number') return node;
    const found = which === '.' ? node : (node.parent ?? this.union.root);
    return this.#enter(found, out);
  }

  forget(id: number, count: number): void {
    forget(this.union, id, count);
  }

  getAttributes(id: number, out: Stat): Errno {
    const node = nodeOf(this.union, id);
    return typeof node === 'number' ? node : getAttributes(this.union, node, out);
  }

  setAttributes(id: number, request: AttributeRequest, out: Stat): Errno {
    const node = nodeOf(this.union, id);
    if (typeof node === 'number') return node;
    const change = new AttributeChange();
    if (request.mode !== undefined) change.mode = request.mode;
    if (request.uid !== undefined) change.uid = request.uid;
    if (request.gid !== undefined) change.gid = request.gid;
    if (request.size !== undefined) change.size = request.size;
    if (request.access !== undefined) {
      change.accessSeconds = request.access === 'now' ? 0 : request.access.seconds;
      change.accessNanoseconds = request.access === 'now' ? UTIME_NOW : request.access.nanoseconds;
    }
    if (request.modify !== undefined) {
      change.modifySeconds = request.modify === 'now' ? 0 : request.modify.seconds;
      change.modifyNanoseconds = request.modify === 'now' ? UTIME_NOW : request.modify.nanoseconds;
    }
    change.killPrivileges = request.killPrivileges;
    change.by = request.by;
    const status = setAttributes(this.union, node, change);
    return status < 0 ? status : getAttributes(this.union, node, out);
  }

  readLink(id: number): ByteString | Errno {
    const node = nodeOf(this.union, id);
    return typeof node === 'number' ? node : readTarget(this.union, node);
  }

  create(
    parent: number,
    name: ByteString,
    mode: number,
    device: number,
    by: Requester,
    out: EntryOut,
  ): Errno {
    return this.#create(parent, name, { mode, device, target: '', creator: by }, out);
  }

  symlink(parent: number, name: ByteString, target: ByteString, by: Requester, out: EntryOut): Errno {
    return this.#create(parent, name, { mode: S_IFLNK | 0o777, device: 0, target, creator: by }, out);
  }

  #create(
    parent: number,
    name: ByteString,
    creation: Parameters<typeof createNode>[3],
    out: EntryOut,
  ): Errno {
    const directory = this.#directory(parent);
    if (typeof directory === 'number') return directory;
    const measured = this.#measured.into(out.stat);
    const node = createNode(this.union, directory, name, creation, measured);
    return typeof node === 'number' ? node : this.#enter(node, out, measured);
  }

  createUnnamed(parent: number, mode: number, by: Requester, out: EntryOut): Errno {
    const directory = this.#directory(parent);
    if (typeof directory === 'number') return directory;
    const measured = this.#measured.into(out.stat);
    const node = createUnnamed(this.union, directory, mode, by, measured);
    return typeof node === 'number' ? node : this.#enter(node, out, measured);
  }

  link(id: number, parent: number, name: ByteString, out: EntryOut): Errno {
    const node = nodeOf(this.union, id);
    if (typeof node === 'number') return node;
    const directory = this.#directory(parent);
    if (typeof directory === 'number') return directory;
    const status = linkNode(this.union, node, directory, name);
    return status < 0 ? status : this.#enter(node, out);
  }

  unlink(parent: number, name: ByteString): Errno {
    const directory = this.#directory(parent);
    return typeof directory === 'number' ? directory : unlinkName(this.union, directory, name);
  }

  removeDirectory(parent: number, name: ByteString): Errno {
    const directory = this.#directory(parent);
    return typeof directory === 'number' ? directory : removeDirectoryName(this.union, directory, name);
  }

  rename(request: RenameRequest): Errno {
    const from = this.#directory(request.from);
    if (typeof from === 'number') return from;
    const to = this.#directory(request.to);
    if (typeof to === 'number') return to;
    return renameName(this.union, from, request.fromName, to, request.toName, request.flags);
  }

  read(id: number, into: Buffer, offset: number): SizeOrErrno {
    const node = nodeOf(this.union, id);
    return typeof node === 'number' ? node : data.readData(this.union, node, into, into.length, offset);
  }

  write(id: number, bytes: Buffer, offset: number, unprivileged: Requester | null): SizeOrErrno {
    const node = nodeOf(this.union, id);
    if (typeof node === 'number') return node;
    return data.writeData(this.union, node, bytes, bytes.length, offset, unprivileged);
  }

  allocate(id: number, mode: number, offset: number, size: number, by: Requester): Errno {
    const node = nodeOf(this.union, id);
    return typeof node === 'number' ? node : data.allocateData(this.union, node, mode, offset, size, by);
  }

  seek(id: number, offset: number, whence: number): SizeOrErrno {
    const node = nodeOf(this.union, id);
    return typeof node === 'number' ? node : data.seekData(this.union, node, offset, whence);
  }

  copy({ from, fromOffset, to, toOffset, size, by }: CopyRequest): SizeOrErrno {
    const source = nodeOf(this.union, from);
    if (typeof source === 'number') return source;
    const target = nodeOf(this.union, to);
    if (typeof target === 'number') return target;
    return data.copyBetween(this.union, source, fromOffset, target, toOffset, size, by);
  }

  sync(id: number, dataOnly: boolean): Errno {
    const node = nodeOf(this.union, id);
    return typeof node === 'number' ? node : data.syncNode(this.union, node, dataOnly);
  }

  syncAll(): Errno {
    return data.syncAll(this.union);
  }

  list(id: number, after: number, sink: ListingSink): Errno {
    const directory = this.#directory(id);
    if (typeof directory === 'number') return directory;
    if (directory.dead) return 0;
    const status = completeListing(this.union, directory);
    if (status < 0) return status;
    if (after < 1 && !sink.add(this.#dot(directory, '.', 1))) return 0;
    if (after < 2 && !sink.add(this.#dot(directory.parent ?? directory, '..', 2))) return 0;
    visitEntries(this.union, directory, Math.max(after, FIRST_COOKIE - 1), (entry) =>
      sink.withAttributes ? this.#listPlus(entry, sink) : this.#list(entry, sink),
    );
    return 0;
  }

  #dot(directory: DirectoryNode, name: ByteString, cookie: number): DirectoryEntryOut {
    const { inodeLow, inodeHigh } = directory;
    return Object.assign(this.#dirent, { inodeLow, inodeHigh, cookie, type: S_IFDIR, name });
  }

  #fill(entry: Entry, inodeLow: number, inodeHigh: number): DirectoryEntryOut {
    const out = this.#dirent;
    out.inodeLow = inodeLow;
    out.inodeHigh = inodeHigh;
    out.cookie = entry.cookie;
    out.type = entry.type;
    out.name = entry.name;
    return out;
  }

  #list(entry: Entry, sink: ListingSink): boolean {
    if (entry.node === null && !entry.inodeKnown) {
      const node = findNode(this.union, entry.directory, entry.name);
      // A name that cannot be looked up is listed all the same: LOOKUP reports the error.
      if (typeof node !== 'number') settle(this.union, node);
    }
    const known = entry.node ?? entry;
    return sink.add(this.#fill(entry, known.inodeLow, known.inodeHigh));
  }

  #listPlus(entry: Entry, sink: ListingSink): boolean {
    const measured = this.#measured.into(this.#stat);
    const node = findNode(this.union, entry.directory, entry.name, measured);
    if (typeof node === 'number') return sink.add(this.#fill(entry, entry.inodeLow, entry.inodeHigh));
    const status = getAttributes(this.union, node, this.#stat, measured);
    const dirent = this.#fill(entry, node.inodeLow, node.inodeHigh);
    this.#listed.nodeId = node.id;
    const taken = status < 0 ? sink.add(dirent) : sink.addWithAttributes(dirent, this.#listed);
    if (taken && status === 0) remember(this.union, node);
    else settle(this.union, node);
    return taken;
  }

  getXattr(id: number, name: ByteString): Buffer | Errno {
    if (this.#lacks(name)) return -EOPNOTSUPP;
    const node = nodeOf(this.union, id);
    return typeof node === 'number' ? node : xattr.getAttribute(this.union, node, name);
  }

  listXattrs(id: number, by: Requester): ByteString[] | Errno {
    const node = nodeOf(this.union, id);
    if (typeof node === 'number') return node;
    const names = xattr.listAttributes(this.union, node, by);
    return typeof names === 'number' ? names : names.filter((name) => !this.#lacks(name));
  }

  setXattr(id: number, name: ByteString, value: Buffer, flags: number, dropSetgid: boolean): Errno {
    if (this.#lacks(name)) return -EOPNOTSUPP;
    const node = nodeOf(this.union, id);
    if (typeof node === 'number') return node;
    const status = xattr.setAttribute(this.union, node, name, value, flags);
    return status < 0 || !dropSetgid || name !== ACCESS_ACL ? status : killSetgid(this.union, node);
  }

  removeXattr(id: number, name: ByteString, by: Requester): Errno {
    if (this.#lacks(name)) return -EOPNOTSUPP;
    const node = nodeOf(this.union, id);
    if (typeof node === 'number') return node;
    const status = xattr.removeAttribute(this.union, node, name);
    if (!name.startsWith(ACL_PREFIX) || (status < 0 && status !== -ENODATA)) return status;
    // An ACL that is not there can be removed (vfs_remove_acl).
    return name === ACCESS_ACL ? killSetgidOutside(this.union, node, by) : 0;
  }

  control(id: number, command: number, value: Buffer, by: Requester): Errno {
    const node = nodeOf(this.union, id);
    return typeof node === 'number' ? node : controlFlags(this.union, node, command, value, by);
  }

  fileSystemSize(): FileSystemSize | Errno {
    return data.fileSystemSize(this.union);
  }
}
