// SPDX-License-Identifier: MIT
/**
 * What the kernel calls an open file description: a node, how it was opened, and a position.
 * It holds a reference to its node, so it outlives copy-up, rename and the last name of its file.
 */
import { constants } from 'node:fs';
import { EBADF, EINVAL, EISDIR } from '../base/errno.js';
import type { AttributeChange } from '../overlay/data/attributes.js';
import { readData, syncNode, writeData } from '../overlay/data/data.js';
import type { OverlayNode } from '../overlay/nodes/node.js';
import { release } from '../overlay/nodes/references.js';
import { S_IFREG, type Stat } from '../sys/stat.js';
import { closedError, done } from './errors.js';
import type { OverlayBigIntStats, OverlayStats } from './stats.js';
import type { View } from './view.js';

const { O_APPEND, O_DSYNC, O_RDONLY, O_RDWR, O_WRONLY } = constants;
const ACCESS_MODE = O_WRONLY | O_RDWR;

export class OpenFile {
  #node: OverlayNode | null;
  #position = 0;

  /** Takes over one reference to the node. */
  constructor(
    private readonly view: View,
    node: OverlayNode,
    private readonly flags: number,
  ) {
    this.#node = node;
    view.opened.add(this);
  }

  get isOpen(): boolean {
    return this.#node !== null;
  }

  node(syscall: string): OverlayNode {
    if (this.#node === null) throw closedError(syscall, 'file closed');
    return this.#node;
  }

  get isRegular(): boolean {
    return this.#node?.type === S_IFREG;
  }

  /** Reads at a position, or where the last call has ended (null). Answers the bytes read. */
  read(into: Uint8Array, position: number | null): number {
    const node = this.node('read');
    if ((this.flags & ACCESS_MODE) === O_WRONLY) done(-EBADF, { syscall: 'read' });
    if (node.isDirectory()) done(-EISDIR, { syscall: 'read' });
    const status = readData(this.view.union, node, into, into.length, position ?? this.#position);
    const count = done(status, { syscall: 'read' });
    if (position === null) this.#position += count;
    return count;
  }

  /** Writes at a position or where the last call has ended (null); always at the end with O_APPEND. */
  write(bytes: Uint8Array, position: number | null): number {
    const node = this.node('write');
    if ((this.flags & ACCESS_MODE) === O_RDONLY) done(-EBADF, { syscall: 'write' });
    const { union } = this.view;
    const appends = (this.flags & O_APPEND) !== 0;
    const at = appends ? this.view.measure(node, 'write').size : (position ?? this.#position);
    // As a write(2) of nothing: the file is not copied up for it.
    if (bytes.length === 0) return 0;
    const count = done(writeData(union, node, bytes, bytes.length, at), { syscall: 'write' });
    if (position === null) this.#position = at + count;
    if ((this.flags & O_DSYNC) !== 0) this.sync('write', true);
    return count;
  }

  writeAll(bytes: Uint8Array, position: number | null): void {
    for (let written = 0; written < bytes.length; ) {
      const at = position === null ? null : position + written;
      written += this.write(bytes.subarray(written), at);
    }
  }

  /** ftruncate(2). */
  truncate(size: number): void {
    const node = this.node('ftruncate');
    const isWritable = (this.flags & ACCESS_MODE) !== O_RDONLY;
    if (!isWritable || node.type !== S_IFREG) done(-EINVAL, { syscall: 'ftruncate' });
    this.change('ftruncate', (change) => void (change.size = size));
  }

  change(syscall: string, describe: (change: AttributeChange) => void): void {
    this.view.changeNode(this.node(syscall), { syscall }, describe);
  }

  stat(bigint: boolean): OverlayStats | OverlayBigIntStats {
    return this.view.statsOf(this.node('fstat'), bigint, { syscall: 'fstat' });
  }

  measure(): Stat {
    return this.view.measure(this.node('fstat'), 'fstat');
  }

  sync(syscall: string, dataOnly: boolean): void {
    done(syncNode(this.view.union, this.node(syscall), dataOnly), { syscall });
  }

  /** Closing again changes nothing. */
  close(): void {
    const node = this.#node;
    if (node === null) return;
    this.#node = null;
    this.view.opened.delete(this);
    release(this.view.union, node);
  }
}
