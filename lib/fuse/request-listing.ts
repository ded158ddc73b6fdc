// SPDX-License-Identifier: MIT
/** READDIR and READDIRPLUS: entries are packed into the reply until it is full. */
import { ENTRY_OUT } from './abi.js';
import type { ListingSink } from './file-system.js';
import type { Message } from './message.js';
import { type DirectoryEntryOut, direntSize, type EntryOut, type Reply } from './reply.js';
import type { ServeContext } from './serve-context.js';

class Sink implements ListingSink {
  reply!: Reply;
  withAttributes = false;
  used = 0;
  limit = 0;

  start(reply: Reply, size: number, withAttributes: boolean): this {
    this.reply = reply;
    this.withAttributes = withAttributes;
    this.used = 0;
    this.limit = Math.min(size, reply.capacity);
    return this;
  }

  add(entry: DirectoryEntryOut): boolean {
    if (this.withAttributes) return this.#addBare(entry);
    if (this.used + direntSize(entry.name) > this.limit) return false;
    this.used += this.reply.dirent(this.used, entry);
    return true;
  }

  /** READDIRPLUS without a lookup: node id 0 leaves it at the name. */
  #addBare(entry: DirectoryEntryOut): boolean {
    if (this.used + ENTRY_OUT + direntSize(entry.name) > this.limit) return false;
    this.reply.zero(this.used, ENTRY_OUT);
    this.used += ENTRY_OUT + this.reply.dirent(this.used + ENTRY_OUT, entry);
    return true;
  }

  addWithAttributes(entry: DirectoryEntryOut, node: EntryOut): boolean {
    if (this.used + ENTRY_OUT + direntSize(entry.name) > this.limit) return false;
    this.reply.entry(this.used, node);
    this.used += ENTRY_OUT + this.reply.dirent(this.used + ENTRY_OUT, entry);
    return true;
  }
}

const sink = new Sink();

/** fuse_read_in: u64 fh, u64 offset, u32 size, ... */
export function readDirectory({ fileSystem }: ServeContext, message: Message, reply: Reply): number {
  const filling = sink.start(reply, message.u32(16), false);
  const status = fileSystem.list(message.nodeId, message.u64(8), filling);
  return status < 0 ? status : filling.used;
}

export function readDirectoryPlus({ fileSystem }: ServeContext, message: Message, reply: Reply): number {
  const filling = sink.start(reply, message.u32(16), true);
  const status = fileSystem.list(message.nodeId, message.u64(8), filling);
  // Entries that are in have been looked up; the kernel must hear of them even if a later one failed.
  return status < 0 && filling.used === 0 ? status : filling.used;
}
