// SPDX-License-Identifier: MIT
/** What is written to the journal about nodes. Without a journal nothing is, and nothing is asked of the disk for it. */
import type { Errno } from '../../base/errno.js';
import type { Stat } from '../../sys/stat.js';
import type { Journal } from '../journal/journal.js';
import type { RecordedNode, RecordedPlace } from '../journal/recorded.js';
import { type LowerPlace, sourceOf, type Where } from './file-content.js';
import { type DirectoryNode, type FileNode, type OverlayNode, orphanOf } from './node.js';
import type { Union } from './union.js';

/** A node that the kernel comes to count on, with the directories that lead to it. */
export function recordNode(union: Union, node: OverlayNode): void {
  const { journal } = union;
  if (journal === null) return;
  for (let at: OverlayNode | null = node; at !== null && !at.recorded && at !== union.root; at = at.parent) {
    writeNode(journal, at, 0);
    at.recorded = true;
  }
}

function writeNode(journal: Journal, node: OverlayNode, references: number): void {
  const linked = !node.isDirectory() && node.linkKeys !== null;
  const { id, type, inodeLow, inodeHigh } = node;
  journal.node({ id, type, references, inodeLow, inodeHigh }, linked, node.parent?.id ?? 0, node.name);
  const orphan = orphanOf(node);
  if (orphan !== null) journal.orphan(node.id, orphan);
  if (!node.isDirectory() || node.lowers.length === 0) return;
  const positions = positionsOf(node);
  if (positions !== null) journal.lowers(node.id, positions);
}

/** A directory that was renamed or redirected is found by its marks, and not by its name. */
function positionsOf({ lowers, parent, name }: DirectoryNode): number[] | null {
  const positions: number[] = [];
  for (const lower of lowers) {
    const position = lower.name === name ? (parent?.lowers.indexOf(lower.parent!) ?? -1) : -1;
    if (position < 0 || lower.xattrWhiteouts) return null;
    positions.push(position);
  }
  return positions;
}

/** Its first name is another, or gone. */
export function recordName(union: Union, node: OverlayNode): void {
  if (node.recorded) union.journal?.name(node.id, node.parent?.id ?? 0, node.name);
}

/** Another object stands for a file from now on. */
export function setWhere(union: Union, node: FileNode, where: Where): void {
  const former = orphanOf(node);
  node.where = where;
  const orphan = orphanOf(node);
  if (node.recorded && orphan !== former) union.journal?.orphan(node.id, orphan);
}

/** It shows another inode number now. */
export function recordInode(union: Union, node: OverlayNode): void {
  if (node.recorded) union.journal?.inode(node);
}

/** Where a file is that is about to lose its last name, as far as that is in lower layers. */
export function recordPlaces(union: Union, node: FileNode): void {
  const { journal } = union;
  if (journal === null || !node.recorded) return;
  const source = sourceOf(node.data);
  if (node.where.kind === 'lower') journal.place(node.id, false, placeOf(node.where));
  if (source !== null) journal.place(node.id, true, placeOf(source));
}

function placeOf({ directory, name }: LowerPlace): RecordedPlace {
  const above = directory.path();
  return { layer: directory.layer.index, path: above === '' ? name : `${above}/${name}` };
}

/** A directory is gone for all who look for it. `remains`: what those who are in it see. */
export function recordDead(union: Union, node: OverlayNode, remains: Stat | null): void {
  if (node.recorded && remains !== null) union.journal?.dead(node.id, remains);
}

/** Makes every change known so far take effect; for changes that no request asked for. */
export function commitQuietly(union: Union): Errno {
  union.journal?.commit(0, 0);
  return 0;
}

/** Begins a request; first the journal is shortened, if it is time. */
export function beginRequest(union: Union, unique: number, uniqueHigh: number): void {
  const { journal } = union;
  if (journal === null) return;
  if (journal.isLong) journal.startAnew(() => writeAll(union, journal));
  journal.begin(unique, uniqueHigh);
}

/** Everything that counts: the nodes that are known, and those that nobody has asked for since the restart. */
function writeAll(union: Union, journal: Journal): void {
  journal.next(union.nodes.nextId);
  for (const node of union.nodes.values()) if (node.recorded) writeKnown(union, journal, node);
  for (const node of union.recovered?.values() ?? []) writeRecovered(journal, node);
}

function writeKnown(union: Union, journal: Journal, node: OverlayNode): void {
  if (node.isDirectory()) {
    writeNode(journal, node, node.references);
    if (node.remains !== null) journal.dead(node.id, node.remains);
    return;
  }
  // A copy in flight counts on its file, too, and does so again when it is gone on with.
  writeNode(journal, node, node.references - (node.data.kind === 'lazy' ? 1 : 0));
  if (node.names.length === 0) recordPlaces(union, node);
}

function writeRecovered(journal: Journal, node: RecordedNode): void {
  journal.node(node, node.linked, node.parent, node.name);
  if (node.orphan !== null) journal.orphan(node.id, node.orphan);
  if (node.lower !== null) journal.place(node.id, false, node.lower);
  if (node.data !== null) journal.place(node.id, true, node.data);
  if (node.dead !== null) journal.dead(node.id, node.dead);
  if (node.lowers !== null) journal.lowers(node.id, node.lowers);
}
