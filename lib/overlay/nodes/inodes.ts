// SPDX-License-Identifier: MIT
/**
 * Inode numbers of the merged view: the real inode's number with the number of
 * its file system in the top byte, as overlayfs's xino does it, so that two
 * layers on different devices never give two files the same number. The upper's
 * file system is number 0, and file systems are numbered in the order of the
 * layers: the same mount gives the same numbers again.
 *
 * A real number that needs the top byte itself (some network file systems, an
 * overlay as a layer) is folded into 56 bits; overlayfs gives up on xino there.
 */
import type { Stat } from '../../sys/stat.js';

/** Whatever shows an inode number: a node, or an entry that has none yet. */
export interface Numbered {
  inodeLow: number;
  inodeHigh: number;
}

/** Turns (file system, inode) into the number shown. */
export class InodeNumbers {
  readonly #fileSystems: number[] = [];

  /** File systems must be named in the order of the layers, upper first. */
  register(fileSystem: number): number {
    const known = this.#fileSystems.indexOf(fileSystem);
    return known >= 0 ? known : this.#fileSystems.push(fileSystem) - 1;
  }

  /** Gives `out` the number of a real inode. */
  number(out: Numbered, fileSystem: number, inodeLow: number, inodeHigh: number): void {
    const index = this.register(fileSystem) & 0xff;
    const top = inodeHigh >>> 24;
    // A multiplicative mix (Knuth) spreads what the folded byte would collide on.
    const folded = top === 0 ? inodeHigh : (inodeHigh ^ Math.imul(top, 0x9e3779b1)) & 0xffffff;
    out.inodeLow = inodeLow;
    out.inodeHigh = ((folded & 0xffffff) | (index << 24)) >>> 0;
  }

  /** The same for the inode that was read to `stat`. */
  numberBy(out: Numbered, { fileSystem, inodeLow, inodeHigh }: Stat): void {
    this.number(out, fileSystem, inodeLow, inodeHigh);
  }
}
