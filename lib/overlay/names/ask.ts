// SPDX-License-Identifier: MIT
/** What one real directory says to a name, and what the lower layers say together. */
import type { ByteString } from '../../base/bytes.js';
import { ENOENT, type Errno } from '../../base/errno.js';
import { Stat, statAt } from '../../sys/stat.js';
import { applyOverride } from '../formats/override-stat.js';
import type { RealDirectory } from '../layers/layer.js';
import type { DirectoryNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';
import { hasFileWhiteout, isReservedIn } from './file-whiteouts.js';
import { hides } from './whiteouts.js';

/** What a real directory says to a name: it has it, it hides it from here down, or it leaves it to the layers below. */
export type Answer = 'there' | 'hidden' | 'absent' | Errno;

/**
 * Asks a real directory for a name; if it is `there`, `out` holds its attributes. `mayHide`: whether there is
 * anything below that a `.wh.` file could hide, so that it is worth looking for one.
 */
export function askDirectory(
  union: Union,
  real: RealDirectory,
  name: ByteString,
  mayHide: boolean,
  out: Stat,
): Answer {
  if (isReservedIn(union, real, name)) return 'absent';
  const fd = union.directories.of(real);
  if (fd < 0) return gone(fd);
  const status = statAt(fd, name, out);
  if (status === 0 && real.layer.override !== null) applyOverride(real.layer.override, fd, name, out);
  if (status === 0) return hides(union, real, fd, name, out) ? 'hidden' : 'there';
  if (status !== -ENOENT) return status;
  if (!mayHide) return 'absent';
  const hidden = hasFileWhiteout(union, real, name);
  return typeof hidden === 'number' ? hidden : hidden ? 'hidden' : 'absent';
}

/**
 * Whether a lower layer shows `name` in this directory, so that removing it from
 * the upper needs a whiteout (ovl_lower_positive); or a negated errno.
 */
export function lowerHas(union: Union, directory: DirectoryNode, name: ByteString): boolean | Errno {
  if (!directory.merges) return false;
  const entry = directory.entries.get(name);
  if (entry?.below !== undefined) return entry.below;
  if (entry === undefined && directory.complete && !directory.whiteouts.has(name)) return false;
  const visible = askLowers(union, directory, name);
  if (typeof visible === 'boolean' && entry !== undefined) entry.below = visible;
  return visible;
}

/** For the attributes of what a lower layer has, of which nobody asks but whether it is there. */
const unread = new Stat();

function askLowers(union: Union, directory: DirectoryNode, name: ByteString): boolean | Errno {
  for (const [index, lower] of directory.lowers.entries()) {
    const answer = askDirectory(union, lower, name, index + 1 < directory.lowers.length, unread);
    if (answer === 'absent') continue;
    if (answer === 'there') return true;
    return answer === 'hidden' ? false : answer;
  }
  return false;
}
