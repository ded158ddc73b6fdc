// SPDX-License-Identifier: MIT
/**
 * Users and groups that are others on disk than in the view, as rootless
 * containers need it. The options are fuse-overlayfs's: `uidmapping=C:H:S` shows
 * the ids C to C + S of the layers as H and up, and stores them the other way
 * round; `squash_to_uid` shows everything as one user. An id without a mapping is
 * shown, and stored, as the overflow id (find_mapping in its main.c).
 */
import { UsageError } from '../../base/errors.js';

/** The kernel's own answer to an id that means nothing here (/proc/sys/kernel/overflowuid). */
const OVERFLOW_ID = 65534;
const LARGEST_ID = 0xfffffffe;
export const NO_ID = 0xffffffff;

/** A range of ids: `size` of them from `disk` on are shown from `shown` on. */
export interface IdRange {
  disk: number;
  shown: number;
  size: number;
}

export interface IdOptions {
  uidMapping?: readonly IdRange[] | undefined;
  gidMapping?: readonly IdRange[] | undefined;
  /** Every file is shown as this user's. */
  squashUid?: number | undefined;
  squashGid?: number | undefined;
}

/** Reads `C:H:S[:C:H:S…]`; Podman writes a colon before the first. Throws a UsageError. */
export function parseIdMapping(option: string, text: string): IdRange[] {
  const numbers = text
    .replace(/^:/, '')
    .split(':')
    .map((part) => toId(option, part));
  if (numbers.length % 3 !== 0) throw malformed(option, text);
  const ranges: IdRange[] = [];
  for (let at = 0; at < numbers.length; at += 3) {
    const [disk, shown, size] = numbers.slice(at, at + 3);
    if (size === 0 || disk + size - 1 > LARGEST_ID || shown + size - 1 > LARGEST_ID)
      throw malformed(option, text);
    ranges.push({ disk, shown, size });
  }
  return ranges;
}

/** Reads one id. Throws a UsageError. */
export function squashTo(option: string, text: string): number {
  return toId(option, text);
}

function toId(option: string, text: string): number {
  const id = /^\d+$/.test(text) ? Number(text) : -1;
  if (id < 0 || id > LARGEST_ID) throw malformed(option, text);
  return id;
}

function malformed(option: string, text: string): UsageError {
  const form = option.startsWith('squash') ? 'one id' : 'CONTAINER:HOST:SIZE, repeated';
  return new UsageError(`${option}=${text} is not possible`, `write ${form}`);
}

class IdMap {
  constructor(
    private readonly ranges: readonly IdRange[],
    private readonly squash: number | undefined,
  ) {}

  /** From the id on disk to the one that is seen. */
  show(id: number): number {
    if (this.squash !== undefined) return this.squash;
    if (this.ranges.length === 0) return id;
    const range = this.ranges.find(({ disk, size }) => id >= disk && id < disk + size);
    return range === undefined ? OVERFLOW_ID : id - range.disk + range.shown;
  }

  /** From an id that a user gives to the one on disk. "Leave it as it is" stays that. */
  store(id: number): number {
    if (id === NO_ID || this.ranges.length === 0) return id;
    const range = this.ranges.find(({ shown, size }) => id >= shown && id < shown + size);
    return range === undefined ? OVERFLOW_ID : id - range.shown + range.disk;
  }
}

export interface IdMapping {
  readonly users: IdMap;
  readonly groups: IdMap;
}

/** Null where ids are on disk what they are in the view. */
export function idMapping(options: IdOptions): IdMapping | null {
  const { uidMapping = [], gidMapping = [], squashUid, squashGid } = options;
  const plain = uidMapping.length === 0 && gidMapping.length === 0;
  if (plain && squashUid === undefined && squashGid === undefined) return null;
  return { users: new IdMap(uidMapping, squashUid), groups: new IdMap(gidMapping, squashGid) };
}
