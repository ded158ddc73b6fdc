// SPDX-License-Identifier: MIT
/**
 * From paths to nodes and back to errors: what the methods of Overlay have in
 * common. A node that is handed out holds a reference as long as it is used, and
 * every negated errno becomes an OverlayError with the operation and the path.
 */
import { type ByteString, fromPath, toText } from '../base/bytes.js';
import { EISDIR, ENOENT, ENOSPC } from '../base/errno.js';
import { OverlayError } from '../base/errors.js';
import { AttributeChange, getAttributes, setAttributes } from '../overlay/attributes.js';
import { createNode } from '../overlay/create.js';
import { ownCreator } from '../overlay/credentials.js';
import { writeData } from '../overlay/data.js';
import { completeListing, visitEntries } from '../overlay/listing.js';
import { findNode } from '../overlay/lookup.js';
import type { DirectoryNode, OverlayNode } from '../overlay/node.js';
import { release, settle } from '../overlay/references.js';
import type { Union } from '../overlay/union.js';
import { type Named, walk, walkToParent } from '../overlay/walk.js';
import { S_IFREG, Stat } from '../sys/stat.js';
import { OverlayStats } from './stats.js';

export type Path = string | Uint8Array;

export class Access {
  constructor(private readonly union: Union) {}

  done(operation: string, path: Path, status: number): number {
    if (status < 0) throw failure(operation, path, status);
    return status;
  }

  stats(operation: string, path: Path, node: OverlayNode): OverlayStats {
    const stat = new Stat();
    this.done(operation, path, getAttributes(this.union, node, stat));
    return new OverlayStats(stat);
  }

  namesOf(path: Path, node: DirectoryNode): ByteString[] {
    this.done('readdir', path, completeListing(this.union, node));
    const names: ByteString[] = [];
    visitEntries(this.union, node, 0, ({ name }) => names.push(name) > 0);
    return names;
  }

  write(operation: string, path: Path, node: OverlayNode, data: string | Uint8Array, position: number): void {
    const bytes = Buffer.from(data as Uint8Array);
    const count = this.done(operation, path, writeData(this.union, node, bytes, bytes.length, position));
    if (count < bytes.length) throw failure(operation, path, -ENOSPC);
  }

  change(operation: string, path: Path, follow: boolean, describe: (change: AttributeChange) => void): void {
    const change = new AttributeChange();
    describe(change);
    this.withNode(operation, path, follow, (node) =>
      this.done(operation, path, setAttributes(this.union, node, change)),
    );
  }

  make(operation: string, path: Path, mode: number, target: ByteString, device = 0): void {
    this.withParent(operation, path, ({ parent, name }) => {
      const node = createNode(this.union, parent, name, { mode, device, target, creator: ownCreator() });
      if (typeof node === 'number') return node;
      settle(this.union, node);
      return 0;
    });
  }

  withNode<Result>(
    operation: string,
    path: Path,
    follow: boolean,
    use: (node: OverlayNode) => Result,
  ): Result {
    const node = walk(this.union, fromPath(path), follow);
    if (typeof node === 'number') throw failure(operation, path, node);
    try {
      return use(node);
    } finally {
      release(this.union, node);
    }
  }

  withParent(operation: string, path: Path, use: (named: Named) => number): void {
    const named = walkToParent(this.union, fromPath(path));
    if (typeof named === 'number') throw failure(operation, path, named);
    try {
      this.done(operation, path, use(named));
    } finally {
      release(this.union, named.parent);
    }
  }

  /** The file at a path, made if it is not there. */
  withFile(operation: string, path: Path, mode: number, use: (node: OverlayNode) => void): void {
    this.withParent(operation, path, ({ parent, name }) => {
      const found = findNode(this.union, parent, name);
      if (found === -ENOENT) {
        const creation = { mode: S_IFREG | mode, device: 0, target: '', creator: ownCreator() };
        const made = createNode(this.union, parent, name, creation);
        if (typeof made === 'number') return made;
        settle(this.union, made);
      } else if (typeof found === 'number') return found;
      else settle(this.union, found);
      return 0;
    });
    this.withNode(operation, path, true, (node) => {
      if (node.isDirectory()) throw failure(operation, path, -EISDIR);
      use(node);
    });
  }
}

export function failure(operation: string, path: Path, errno: number): OverlayError {
  return new OverlayError({ operation, path: toText(fromPath(path)), errno });
}
