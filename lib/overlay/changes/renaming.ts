// SPDX-License-Identifier: MIT
/** One rename, as its parts hand it on. */
import type { ByteString } from '../../base/bytes.js';
import type { Errno } from '../../base/errno.js';
import { Stat, statAt } from '../../sys/stat.js';
import type { RenameIntent } from '../journal/intent.js';
import { declare, losingName } from '../nodes/declare.js';
import type { DirectoryNode, OverlayNode } from '../nodes/node.js';
import { gone, type Union } from '../nodes/union.js';

/** One rename: what goes where, and what is there now. */
export interface Renaming {
  from: DirectoryNode;
  fromName: ByteString;
  to: DirectoryNode;
  toName: ByteString;
  source: OverlayNode;
  target: OverlayNode | null;
}

/** Secures the intent of a rename whose source and directories are in the upper. Answers 0 or a negated errno. */
export function declareRename(
  union: Union,
  { from, fromName, source }: Renaming,
  rest: Pick<RenameIntent, 'target' | 'exchange' | 'removeWhiteout' | 'coverOldName' | 'hideByFile'>,
): Errno {
  if (union.journal === null) return 0;
  const stat = new Stat();
  const dir = union.directories.of(from.upper!);
  const status = dir < 0 ? dir : statAt(dir, fromName, stat);
  if (status < 0) return gone(status);
  const { inodeLow, inodeHigh } = stat;
  const { id, first } = losingName(source, from, fromName, null);
  declare(union, { kind: 'rename', inodeLow, inodeHigh, source: { id, first }, ...rest });
  return 0;
}
