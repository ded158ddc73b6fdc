// SPDX-License-Identifier: MIT
/**
 * Intents: what a request was about to do, so that a server that is asked for it again
 * can tell from the disk whether it was done (redo.ts), and knows what else belongs to it.
 */
import type { ByteString } from '../../base/bytes.js';
import type { Errno } from '../../base/errno.js';
import { Stat, statAt } from '../../sys/stat.js';
import type { OverlayNode } from '../node.js';
import type { Renaming } from '../rename.js';
import { gone, type Union } from '../union.js';

/** What becomes of a node that loses a name; 0 in the place of an id for one that the kernel does not know. */
export interface Losing {
  id: number;
  /** The name is the first one, by which the journal knows the node. */
  first: boolean;
  /** Where its content goes in the work directory. */
  orphan: ByteString | null;
  /** The name that is the first one then. */
  next: { parent: number; name: ByteString } | null;
  /** What is left of a directory for those who are in it. */
  remains: Stat | null;
  /** In the index, and where its content goes when that was the last name. */
  indexed: { name: ByteString; lowerLinks: number; orphan: ByteString } | null;
}

/** The object's inode in the upper is at the new name when it is done. */
export interface RenameIntent {
  kind: 'rename';
  inodeLow: number;
  inodeHigh: number;
  source: Pick<Losing, 'id' | 'first'>;
  target: Losing | null;
  exchange: boolean;
  /** A whiteout has come to the old name where it hides nothing. */
  removeWhiteout: boolean;
  /** The old name is whited out when the object has left it. */
  coverOldName: boolean;
  /** The old name is hidden by a file when it is free. */
  hideByFile: boolean;
}

export type Intent =
  /** A new name; it was free. */
  | { kind: 'create' }
  /** A further name; it was free. `orphan`: the content comes from the work directory. */
  | { kind: 'link'; orphan: boolean }
  | { kind: 'remove'; losing: Losing }
  | RenameIntent
  /** An attribute that is to be new, or is there and is to go. */
  | { kind: 'attribute' };

/** The most frequent one, made once. */
export const CREATE: Intent = { kind: 'create' };
const CREATE_TEXT = JSON.stringify(CREATE);

/** Secures an intent, right before the step. */
export function declare(union: Union, intent: Intent): void {
  union.journal?.intent(intent === CREATE ? CREATE_TEXT : JSON.stringify(intent));
}

/** The intent of the request that is served for the second time, if it is of this kind. */
export function declared<K extends Intent['kind']>(
  union: Union,
  kind: K,
): Extract<Intent, { kind: K }> | null {
  return union.redo?.kind === kind ? (union.redo as Extract<Intent, { kind: K }>) : null;
}

/** What is to be known of a node that is about to lose `name`. */
export function losingName(
  node: OverlayNode,
  parent: OverlayNode,
  name: ByteString,
  orphan: ByteString | null,
  remains: Stat | null = null,
): Losing {
  const position = node.names.findIndex((entry) => entry.directory === parent && entry.name === name);
  const after = position === 0 ? node.names[1] : undefined;
  return {
    id: node.recorded ? node.id : 0,
    first: position === 0,
    orphan,
    next: after === undefined ? null : { parent: after.directory.id, name: after.name },
    remains,
    indexed: null,
  };
}

/** What is to be known of the index when a file loses a name; null where it has no copy in it. */
export function losingIndexed(union: Union, node: OverlayNode): Losing['indexed'] {
  if (node.isDirectory() || !node.indexed?.copied) return null;
  const { name, lowerLinks } = node.indexed;
  return { name, lowerLinks, orphan: union.work!.temporaryName() };
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
