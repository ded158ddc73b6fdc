// SPDX-License-Identifier: MIT
/** A name of a file whose copy is in the index gets its link in the upper (ovl_link_up in fs/overlayfs/copy_up.c). */
import type { Errno } from '../../base/errno.js';
import { changeTimes, makeLink } from '../../sys/entries.js';
import { Stat, statAt } from '../../sys/stat.js';
import type { Indexed } from '../layers/index-directory.js';
import { setImpure } from '../names/impure.js';
import type { Entry } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';

/**
 * Gives a name its link in the upper, if it has none. Precondition: the file is in the index,
 * and the name's directory in the upper. Answers 0 or a negated errno.
 */
export function linkUp(union: Union, indexed: Indexed, entry: Entry): Errno {
  const { directory, name } = entry;
  const index = union.index!;
  const dir = union.directories.of(directory.upper!);
  if (dir < 0) return gone(dir);
  const times = new Stat();
  if (statAt(dir, name, times) === 0) return 0;
  let status = setImpure(union, directory);
  if (status >= 0) status = index.markLinks(indexed, 'lower');
  if (status >= 0) status = statAt(dir, '.', times);
  if (status >= 0) union.journal?.times(directory.upper!.path(), times);
  if (status >= 0) status = makeLink(index.fd, indexed.name, dir, name);
  if (status >= 0) status = changeTimes(dir, '.', times);
  if (status >= 0) status = index.markLinks(indexed, 'copy');
  if (status < 0) return status;
  entry.places = null;
  entry.below = true;
  return 0;
}
