// SPDX-License-Identifier: MIT
/**
 * What a layer is, and the directories in it. They are called real, as opposed to the
 * merged ones. One is known by its parent and its name, so that its descriptor can be closed when
 * there are too many and opened again when it is needed. In a lower layer it
 * never changes; in the upper `parent` and `name` follow renames.
 */
import type { ByteString } from '../../base/bytes.js';

export interface Layer {
  /** As the user gave it. */
  readonly path: string;
  /** 0 is the upper, lowers count from 1, top first. */
  readonly index: number;
  readonly isUpper: boolean;
  /** O_PATH descriptor of its root. */
  readonly fd: number;
  /** Device of its file system, as Stat.fileSystem gives it. */
  readonly fileSystem: number;
  readonly inode: bigint;
  /** 16 bytes that name the file system in origin marks; zeros where it has none. */
  readonly uuid: Buffer;
  /** The attribute that says owner, mode and type of its files, where they are not what they are (override-stat.ts). */
  readonly override: ByteString | null;
  /** `.wh.` files are whiteouts in it, and no names (layer-format.ts). Settled when the union is opened. */
  readsFiles: boolean;
  readonly root: RealDirectory;
}

export class RealDirectory {
  /** A descriptor that outlives the directory's last name; -1 otherwise. */
  pinned = -1;
  /** Regular files marked as whiteouts count here (opaque=`x`, overlayfs.rst). */
  xattrWhiteouts = false;
  /** Names that `.wh.NAME` files in it hide (file-whiteouts.ts); null until they were read. */
  hiddenNames: Set<ByteString> | null = null;

  constructor(
    readonly layer: Layer,
    public parent: RealDirectory | null,
    public name: ByteString,
  ) {}

  /** Path beneath the layer, for messages; '' is the layer itself. */
  path(): ByteString {
    if (this.parent === null) return '';
    const above = this.parent.path();
    return above === '' ? this.name : `${above}/${this.name}`;
  }
}
