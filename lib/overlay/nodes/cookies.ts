// SPDX-License-Identifier: MIT
/**
 * Cookies: where in a listing an entry is. A program that reads a directory goes on after
 * the cookie it came to, so an entry keeps its cookie whatever comes and goes meanwhile, also
 * when the listing is read anew, by this server or by the one after it. So a cookie
 * follows from what is on disk:
 *
 * - A name that lower layers have: its position in them, which never change. The order of the
 *   disk is kept, in which files are read fastest.
 * - A name that the upper alone has: a hash of the name, beyond all positions. Two names with
 *   one hash are put one after the other; were one of them removed between two servers while
 *   somebody read just there, that reader would miss the other (one pair in 2^30).
 *
 * All cookies fit 31 bits, so that 32-bit programs can read directories.
 */
import type { ByteString } from '../../base/bytes.js';
import type { DirectoryNode, Entry } from './node.js';

/** Cookies 1 and 2 belong to `.` and `..`. */
export const FIRST_COOKIE = 3;

const FIRST_HASHED = 2 ** 30;
const HASHES = 2 ** 30 - 2 ** 16;

/** FNV-1a (Fowler, Noll, Vo), mixed once more, because names in one directory differ in few bits. */
export function hashedCookie(name: ByteString): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return FIRST_HASHED + (((hash ^ (hash >>> 13)) >>> 0) % HASHES);
}

export function isHashed(cookie: number): boolean {
  return cookie >= FIRST_HASHED;
}

/** Puts the entries in order; two of one cookie are told apart by their names. Precondition: none of them is removed. */
export function putInOrder(directory: DirectoryNode): void {
  const { order } = directory;
  order.sort((a, b) => a.cookie - b.cookie || (a.name < b.name ? -1 : 1));
  for (let at = 1; at < order.length; at++) {
    if (order[at].cookie <= order[at - 1].cookie) order[at].cookie = order[at - 1].cookie + 1;
  }
  directory.ordered = true;
}

/** The position of the first entry after a cookie. Precondition: they are in order. */
export function firstAfter(order: readonly Entry[], cookie: number): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (order[middle].cookie <= cookie) low = middle + 1;
    else high = middle;
  }
  return low;
}
