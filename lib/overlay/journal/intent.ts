import type { ByteString } from '../../base/bytes.js';
import type { Stat } from '../../sys/stat.js';

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
