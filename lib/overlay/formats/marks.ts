// SPDX-License-Identifier: MIT
/**
 * How overlayfs marks things on disk (Documentation/filesystems/overlayfs.rst;
 * names in fs/overlayfs/overlayfs.h). All marks are extended attributes in one
 * namespace, `trusted.overlay.` or, for mounts without privilege, `user.overlay.`;
 * the one exception is the whiteout, a character device 0:0 where that can be made.
 */
import type { ByteString } from '../../base/bytes.js';
import { S_IFCHR, type Stat } from '../../sys/stat.js';

/** The name and the mode of a whiteout's stand-in: `mknod NAME c 0 0`. */
export const WHITEOUT_MODE = S_IFCHR;
export const WHITEOUT_DEVICE = 0;

export function isWhiteout(stat: Stat): boolean {
  return stat.type === S_IFCHR && stat.deviceMajor === 0 && stat.deviceMinor === 0;
}

export const YES = Buffer.from('y');
/** The opaque mark of a directory in which marked files are whiteouts. */
export const MARKED_WHITEOUTS = Buffer.from('x');
export const EMPTY = Buffer.alloc(0);

export class Marks {
  readonly prefix: string;
  /** On a directory: `y` hides what lower layers have below this name, `x` says that it holds marked whiteouts. */
  readonly opaque: ByteString;
  /** On an empty file: it is a whiteout, where its directory says so. */
  readonly whiteout: ByteString;
  /** On an upper's root: its whiteouts are the kernel's alone (layer-format.ts). overlayfs does not know it. */
  readonly whiteouts: ByteString;
  /** On an upper's root: the way to the work directory that has its index (index-choice.ts). overlayfs does not know it. */
  readonly index: ByteString;
  /** On a directory that was moved: where lower layers have it. */
  readonly redirect: ByteString;
  /** On a regular file: it has metadata only, its data is in a layer below. */
  readonly metacopy: ByteString;
  /** On a copied-up object: the file handle of what it was copied from. */
  readonly origin: ByteString;
  /** On a file in the index: how many names it has (index-directory.ts). */
  readonly nlink: ByteString;
  /** On the index directory: the file handle of the upper. */
  readonly upper: ByteString;
  /** On a directory: holds entries with an origin, so their inode numbers are not their own. */
  readonly impure: ByteString;
  /** Nested overlays keep their own marks one step further in. */
  readonly escape: string;

  /** `inUser`: whoever owns a file may set them, but only on files and directories (xattr(7)). */
  constructor(readonly inUser: boolean) {
    this.prefix = inUser ? 'user.overlay.' : 'trusted.overlay.';
    this.opaque = `${this.prefix}opaque`;
    this.whiteout = `${this.prefix}whiteout`;
    this.whiteouts = `${this.prefix}whiteouts`;
    this.index = `${this.prefix}index`;
    this.redirect = `${this.prefix}redirect`;
    this.metacopy = `${this.prefix}metacopy`;
    this.origin = `${this.prefix}origin`;
    this.nlink = `${this.prefix}nlink`;
    this.upper = `${this.prefix}upper`;
    this.impure = `${this.prefix}impure`;
    this.escape = `${this.prefix}overlay.`;
  }

  /** Whether an attribute in a layer is ours to read and nobody else's to see. */
  isOwn(name: ByteString): boolean {
    return name.startsWith(this.prefix) && !name.startsWith(this.escape);
  }

  /** A name as seen through the mount, turned into the name on disk (ovl_xattr_escape_name). */
  toDisk(name: ByteString): ByteString {
    return name.startsWith(this.prefix) ? this.escape + name.slice(this.prefix.length) : name;
  }

  /** A name on disk, turned into the name seen through the mount. */
  fromDisk(name: ByteString): ByteString {
    return name.startsWith(this.escape) ? this.prefix + name.slice(this.escape.length) : name;
  }
}
