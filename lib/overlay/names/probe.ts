// SPDX-License-Identifier: MIT
/** Asks the layers of a merged directory for a name that has no node yet. */
import type { ByteString } from '../../base/bytes.js';
import { ENOENT, type Errno } from '../../base/errno.js';
import type { Measured } from '../nodes/measured.js';
import type { DirectoryNode, OverlayNode } from '../nodes/node.js';
import type { Union } from '../nodes/union.js';
import { askDirectory } from './ask.js';
import { foundFile } from './file-lookup.js';
import { gatherDirectory } from './gather.js';

/** The new node of what the layers have of a name; `measured` says what was read of it. Or a negated errno. */
export function probe(
  union: Union,
  directory: DirectoryNode,
  name: ByteString,
  places: readonly number[] | null,
  measured: Measured,
): OverlayNode | Errno {
  const { stat } = measured;
  const last = directory.lowers.length;
  for (let place = directory.upper === null ? 1 : 0; place <= last; place++) {
    if (places !== null && !places.includes(place)) continue;
    const real = place === 0 ? directory.upper! : directory.lowers[place - 1];
    const answer = askDirectory(union, real, name, places === null && place < last, stat);
    if (answer === 'absent') {
      directory.misses++;
      continue;
    }
    if (answer !== 'there') return answer === 'hidden' ? -ENOENT : answer;
    if (stat.isDirectory) return gatherDirectory(union, directory, { name, place, places, stat });
    return foundFile(union, directory, place, name, measured);
  }
  return -ENOENT;
}
