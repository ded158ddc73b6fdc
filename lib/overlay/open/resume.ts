// SPDX-License-Identifier: MIT
/**
 * A union goes from one server to the next: what is handed on, and how the next one goes
 * on with it. Nothing is looked for by path and nothing is checked again: the descriptors
 * are the layers, and the journal says what the kernel knows.
 *
 * The order matters. What the disk shows half done is done first, by the request that
 * had begun it (Resumption.intent), and only then what nothing refers to is cleared away (settle).
 */
import type { ByteString } from '../../base/bytes.js';
import { overlayDebug } from '../../base/debug.js';
import { type Errno, errnoName } from '../../base/errno.js';
import { check } from '../../base/errors.js';
import { restoreTimes } from '../changes/redo.js';
import { resumeCopies, resumeOrphanCopies } from '../copy-up/lazy-recovery.js';
import type { Marks } from '../formats/marks.js';
import type { Intent } from '../journal/intent.js';
import type { Journal } from '../journal/journal.js';
import type { Commit, Recording } from '../journal/recorded.js';
import { Recovered } from '../journal/recovered.js';
import { IndexDirectory } from '../layers/index-directory.js';
import { type Layer, RealDirectory } from '../layers/layer.js';
import type { LayerSet } from '../layers/layer-set.js';
import type { LayerWatch } from '../layers/layer-watch.js';
import type { UpperWays } from '../layers/upper-probe.js';
import { INCOMPATIBLE, WorkDirectory } from '../layers/work.js';
import { restoreLinked } from '../names/restore.js';
import { orphanOf } from '../nodes/node.js';
import type { Union } from '../nodes/union.js';
import { joinUnion, type RootInSight } from './open.js';

/** A layer as it is handed on: JSON, with a position in the list of descriptors. */
interface LayerFacts {
  path: string;
  index: number;
  isUpper: boolean;
  fileSystem: number;
  inode: string;
  uuid: string;
  override: ByteString | null;
  readsFiles?: boolean;
  descriptor: number;
}

/** As versions handed it on that did not choose an index. */
type FormerWays = Omit<UpperWays, 'noIndex'>;

/** What a new server must know of a union, beside its options and its journal; positions stand for descriptors. */
export interface UnionFacts {
  upper: LayerFacts | null;
  lowers: LayerFacts[];
  dataLayers: LayerFacts[];
  roots: RootInSight[];
  work: { fd: number; locks: number[]; ways: UpperWays | FormerWays | undefined } | null;
  index: number | null;
}

/** What is handed on, and the descriptors that it names by their position. */
export function handOn(union: Union): { facts: UnionFacts; descriptors: number[] } {
  const descriptors: number[] = [];
  const position = (fd: number): number => descriptors.push(fd) - 1;
  const layer = (from: Layer): LayerFacts => ({
    path: from.path,
    index: from.index,
    isUpper: from.isUpper,
    fileSystem: from.fileSystem,
    inode: from.inode.toString(),
    uuid: from.uuid.toString('hex'),
    override: from.override,
    readsFiles: from.readsFiles,
    descriptor: position(from.fd),
  });
  const work = union.work?.descriptors;
  const facts: UnionFacts = {
    upper: union.upper === null ? null : layer(union.upper),
    lowers: union.lowers.map(layer),
    dataLayers: union.dataLayers.map(layer),
    roots: union.root.lowers.map((root) => ({
      lower: union.lowers.indexOf(root.layer),
      xattrWhiteouts: root.xattrWhiteouts,
    })),
    work:
      work === undefined
        ? null
        : { fd: position(work.fd), locks: work.locks.map(position), ways: union.work!.ways },
    index: union.index === null ? null : position(union.index.fd),
  };
  return { facts, descriptors };
}

function layerFrom(facts: LayerFacts, descriptors: readonly number[], set: LayerSet): Layer {
  const { path, index, isUpper, fileSystem, override } = facts;
  const layer = {
    path,
    index,
    isUpper,
    fd: descriptors[facts.descriptor],
    fileSystem,
    inode: BigInt(facts.inode),
    uuid: Buffer.from(facts.uuid, 'hex'),
    override,
    // Versions that did not tell layers apart read the files in all of them.
    readsFiles: facts.readsFiles ?? set.whiteout !== 'overlay',
  };
  const root = new RealDirectory(layer as Layer, null, '');
  return Object.assign(layer, { root });
}

/** A union that goes on. */
export interface Resumption {
  union: Union;
  /** The last request that was done. */
  commit: Commit | null;
  /** How often it had made the kernel count on nodes: ids and counts in turn. */
  references: readonly number[];
  /** What the request that was in hand was about to do: its halves of the unique number, and the intent. */
  intent: { unique: number; uniqueHigh: number; intent: Intent } | null;
  /** To be called when the request that was in hand has been served. Throws an OverlayError. */
  settle(): void;
}

/** Goes on with a union of an earlier server. Throws an OverlayError. */
export function resumeUnion(
  set: LayerSet,
  facts: UnionFacts,
  descriptors: readonly number[],
  journal: Journal,
  watch: LayerWatch,
): Resumption {
  const layer = (one: LayerFacts): Layer => layerFrom(one, descriptors, set);
  const work = (marks: Marks): WorkDirectory | null => {
    if (facts.work === null) return null;
    const { fd, locks, ways } = facts.work;
    const held = { fd: descriptors[fd], locks: locks.map((position) => descriptors[position]) };
    // Versions that did not choose made one where it was asked for.
    const noIndex = facts.index === null ? 'it was not asked for' : '';
    return WorkDirectory.resume(held, marks, { noIndex, ...(ways ?? formerWays(set)) });
  };
  const union = joinUnion(
    set,
    (marks) => ({
      upper: facts.upper === null ? null : layer(facts.upper),
      lowers: facts.lowers.map(layer),
      dataLayers: facts.dataLayers.map(layer),
      work: work(marks),
      index: facts.index === null ? null : IndexDirectory.of(descriptors[facts.index], marks),
    }),
    facts.roots,
  );
  union.watch.current = watch;
  const recording = journal.read();
  takeOver(union, journal, recording);
  const { commit, intent, lastReferences: references } = recording;
  if (intent === null) restoreLinked(union);
  return {
    union,
    commit,
    references,
    intent: intent === null ? null : { ...intent, intent: JSON.parse(intent.text) as Intent },
    settle: () => settle(union),
  };
}

/** Versions that did not look at the upper took only one that has devices, or wrote files. */
function formerWays({ whiteout, userxattr }: LayerSet): FormerWays {
  const can = {
    whiteoutDevices: true,
    renameWhiteout: true,
    renameExchange: true,
    unnamedFiles: true,
    trustedAttributes: userxattr !== true,
    userAttributes: userxattr === true,
    reflinks: false,
    fileHandles: false,
  };
  return { form: whiteout === 'aufs' ? 'file' : 'device', can };
}

function takeOver(union: Union, journal: Journal, recording: Recording): void {
  union.journal = journal;
  union.nodes.startAt(recording.nextId);
  if (recording.nodes.size > 0) union.recovered = new Recovered(recording.nodes);
  if (!union.writable) return;
  const { times } = recording;
  if (times !== null) tolerate('times of a directory', restoreTimes(union, times));
  check(resumeCopies(union), { operation: 'go on with copies' });
}

function settle(union: Union): void {
  restoreLinked(union);
  if (!union.writable) return;
  if (union.watch.current.areChangesSuspended) {
    // Tidying up would wait with the upper; the copies are looked at again before each request.
    union.unresumed.add('');
    return;
  }
  tolerate('copies without a file', resumeOrphanCopies(union));
  // As at the first mount, where it comes before the nodes.
  if (union.index !== null) tolerate('the index', union.index.removeForgotten());
  const inUse = new Set(INCOMPATIBLE);
  const orphans = [...union.nodes.values()].map(orphanOf);
  for (const { orphan } of union.recovered?.values() ?? []) orphans.push(orphan);
  for (const orphan of orphans) if (orphan !== null) inUse.add(orphan);
  tolerate('the work directory', union.work!.clear(inUse));
}

/** What cannot be tidied up now, on a disk that is full or read-only, is no reason not to serve: the next mount does it. */
function tolerate(what: string, status: Errno): void {
  if (status < 0) overlayDebug('%s stays as it is: %s', what, errnoName(status));
}
