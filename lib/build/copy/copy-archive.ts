// SPDX-License-Identifier: MIT
/** A copy as a layer's archive. */
import type { ByteString } from '../../base/bytes.js';
import { NodePacker, type Rewrite } from '../../image/pack/node.js';
import { gathered } from '../../image/pack/pack.js';
import { sourceDateEpoch } from '../../image/store/create-image.js';
import type { TarEntry } from '../../image/tar/format.js';
import { headerOf, plainEntry } from '../../image/tar/writer.js';
import type { Union } from '../../overlay/nodes/union.js';
import type { ModeChange } from '../language/mode-change.js';
import { type CopyTree, type Origin, TreeDirectory } from './copy-tree.js';

export interface CopyAttributes {
  /** Whose everything becomes; undefined: as its source says. */
  owner: { uid: number; gid: number } | undefined;
  mode: ModeChange | undefined;
}

class CopyPacker {
  readonly #packers = new Map<Union, NodePacker>();
  readonly #made: TarEntry;
  readonly #epoch = sourceDateEpoch();

  constructor(
    private readonly base: Union | undefined,
    private readonly attributes: CopyAttributes,
  ) {
    const { uid, gid } = attributes.owner ?? { uid: 0, gid: 0 };
    const now = this.#epoch ?? Math.floor(Date.now() / 1000);
    this.#made = { ...plainEntry('', 0, now), type: 'directory', mode: 0o755, uid, gid };
  }

  #packer(union: Union): NodePacker {
    const packer = this.#packers.get(union) ?? new NodePacker(union);
    this.#packers.set(union, packer);
    return packer;
  }

  /** All that a tree holds. No recursion: it may be deeper than the stack. */
  *pack(root: TreeDirectory): Generator<Buffer> {
    const waiting = entriesOf(root, '');
    for (let entry = waiting.pop(); entry !== undefined; entry = waiting.pop()) {
      const { child, path } = entry;
      if (child instanceof TreeDirectory) {
        yield* this.#directory(child, path);
        for (const below of entriesOf(child, path)) waiting.push(below);
      } else yield* this.#packer(child.tree.union).pack(child.node, path, this.#rewrite(child));
    }
  }

  *#directory({ origin, below }: TreeDirectory, path: ByteString): Generator<Buffer> {
    if (origin !== undefined)
      yield* this.#packer(origin.tree.union).pack(origin.node, path, this.#rewrite(origin));
    else if (below !== undefined) yield* this.#packer(this.base!).pack(below, path);
    else yield headerOf({ ...this.#made, name: `${path}/` });
  }

  /** Times of a context say when somebody got a file, so with an epoch they are all the same. */
  #rewrite({ tree }: Origin): Rewrite {
    const { owner, mode } = this.attributes;
    const epoch = this.#epoch;
    const usual = tree.keepsOwners ? undefined : { uid: 0, gid: 0 };
    return (entry) => ({
      ...entry,
      ...(owner ?? usual),
      mode:
        mode === undefined || entry.type === 'symlink'
          ? entry.mode
          : mode(entry.mode, entry.type === 'directory'),
      ...(epoch !== undefined && (!tree.keepsOwners || entry.modifySeconds > epoch)
        ? { modifySeconds: epoch, modifyNanoseconds: 0 }
        : {}),
    });
  }
}

/** What a directory holds, the first name last. */
function entriesOf(
  { children }: TreeDirectory,
  path: ByteString,
): { child: TreeDirectory | Origin; path: ByteString }[] {
  const names = [...children.keys()].sort().reverse();
  return names.map((name) => ({
    child: children.get(name)!,
    path: path === '' ? name : `${path}/${name}`,
  }));
}

/** The layer's archive; the tree and its unions stay open until it has been read. */
export function packCopy(
  base: Union | undefined,
  tree: CopyTree,
  attributes: CopyAttributes,
): Generator<Buffer> {
  return gathered(new CopyPacker(base, attributes).pack(tree.root));
}
