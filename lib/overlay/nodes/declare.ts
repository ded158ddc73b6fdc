// SPDX-License-Identifier: MIT
/** Intents of changes: secured right before the step that they describe, and found again by the server after. */
import type { ByteString } from '../../base/bytes.js';
import type { Stat } from '../../sys/stat.js';
import type { Intent, Losing } from '../journal/intent.js';
import type { OverlayNode } from './node.js';
import type { Union } from './union.js';

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
  if (node.isDirectory() || node.where.kind !== 'index') return null;
  const { name, lowerLinks } = node.where.indexed;
  return { name, lowerLinks, orphan: union.work!.temporaryName() };
}
