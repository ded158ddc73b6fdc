// SPDX-License-Identifier: MIT
/** What identifies the sources of a copy: names, modes, owners, attributes and bytes, and no times. */
import { type ByteString, toText } from '../../base/bytes.js';
import { check } from '../../base/errors.js';
import { type Digest, Hasher } from '../../image/model/digest.js';
import { NodePacker, type Rewrite } from '../../image/pack/node.js';
import { getAttributes } from '../../overlay/data/attributes.js';
import type { Measured } from '../../overlay/nodes/measured.js';
import type { OverlayNode } from '../../overlay/nodes/node.js';
import { Stat } from '../../sys/stat.js';
import { type Found, type SourceTree, walkBelow } from '../source/source-tree.js';

function withoutTimes({ keepsOwners }: SourceTree): Rewrite {
  const owner = keepsOwners ? {} : { uid: 0, gid: 0 };
  return (entry) => ({ ...entry, ...owner, modifySeconds: 0, modifyNanoseconds: 0 });
}

/** Digests the nodes of one tree as entries of an archive. */
class TreeDigester {
  readonly #packer: NodePacker;
  readonly #rewrite: Rewrite;
  readonly #stat = new Stat();

  constructor(private readonly tree: SourceTree) {
    this.#packer = new NodePacker(tree.union);
    this.#rewrite = withoutTimes(tree);
  }

  /** `measured`: what the walk to the node has read of it. */
  digest(node: OverlayNode, path: ByteString, measured: Measured | null): Digest {
    const { memo, union } = this.tree;
    const compute = (name: ByteString): Digest => {
      const hasher = new Hasher();
      for (const piece of this.#packer.pack(node, name, this.#rewrite)) hasher.update(piece);
      return hasher.digest();
    };
    if (memo === undefined || node.isDirectory()) return compute('');
    check(getAttributes(union, node, this.#stat, measured), { operation: 'stat', path: toText(path) });
    // A file with several names is the first of them, or a link to it.
    if (!this.#stat.isRegular || this.#stat.linkCount > 1) return compute(path);
    return memo.digest(this.#stat, () => compute(''));
  }
}

/** The same for the same content of the sources; of a directory its own name does not count. */
export function digestOfSources(sources: readonly Found[], skips: (path: ByteString) => boolean): Digest {
  const hasher = new Hasher();
  const digesters = new Map<SourceTree, TreeDigester>();
  for (const { tree, node, path } of sources) {
    const digester = digesters.get(tree) ?? new TreeDigester(tree);
    digesters.set(tree, digester);
    const add = (name: ByteString, digest: Digest): void => void hasher.update(`${name}\0${digest}\n`);
    add(node.isDirectory() ? '' : path, digester.digest(node, path, null));
    if (!node.isDirectory()) continue;
    for (const below of walkBelow(tree.union, node, skips))
      add(below.path, digester.digest(below.node, below.path, below.measured));
  }
  return hasher.digest();
}
