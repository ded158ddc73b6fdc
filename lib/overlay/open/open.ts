// SPDX-License-Identifier: MIT
/** Opening a union: every check that a set of layers must pass, and its root. */
import { overlayDebug } from '../../base/debug.js';
import type { Errno } from '../../base/errno.js';
import { check } from '../../base/errors.js';
import { Rollback } from '../../base/rollback.js';
import { close, Fd } from '../../sys/files.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { limitOf } from '../../sys/programs.js';
import { Stat, statFd } from '../../sys/stat.js';
import { getXattr, setXattr } from '../../sys/xattrs.js';
import { finishEarlierCopies } from '../copy-up/lazy-recovery.js';
import { Marks } from '../formats/marks.js';
import { applyOverride, encodeOverride, overrideFor } from '../formats/override-stat.js';
import { idMapping } from '../layers/id-mapping.js';
import type { Layer } from '../layers/layer.js';
import { checkPlacement, checkSameFileSystem, checkSet } from '../layers/layer-checks.js';
import { mayHoldFileWhiteouts, settleUpper } from '../layers/layer-format.js';
import { isWritten, type LayerSet, lowerPaths } from '../layers/layer-set.js';
import { openLower, openUpper } from '../layers/open-layer.js';
import { chooseForm, probeUpper, type UpperWays } from '../layers/upper-probe.js';
import { WorkDirectory } from '../layers/work.js';
import { hasOpaqueFile } from '../names/file-whiteouts.js';
import { holdsMarkedWhiteouts } from '../names/whiteouts.js';
import { Union, type UnionLayers } from '../nodes/union.js';
import { askedForIndex, chooseIndex, findIndex } from './index-choice.js';

/** A union uses no more, however many this process may have. */
const MOST_DESCRIPTORS = 65536;
const DESCRIPTORS_FOR_OTHERS = 64;

/**
 * Opens the layers and makes the root node, which holds one reference.
 * Throws UsageError for a set that cannot be meant, OverlayError for one that
 * does not work; nothing stays open then.
 */
export function openUnion(set: LayerSet): Union {
  checkSet(set);
  using undo = new Rollback();
  if (isWritten(set)) checkPlacement(set.upper, set.work, [...set.lowers, ...(set.dataLowers ?? [])]);
  const lowers = openLowers(lowerPaths(set), 1, undo);
  const dataLayers = openLowers(set.dataLowers ?? [], lowers.length + 1, undo);
  const union = joinUnion(set, (marks) => {
    for (const layer of [...lowers, ...dataLayers])
      layer.readsFiles = mayHoldFileWhiteouts(set.whiteout ?? 'both', marks, layer);
    const writable = isWritten(set) ? openWritable(set, set.upper, set.work, marks, lowers, undo) : null;
    if (writable !== null) return { lowers, dataLayers, ...writable };
    const index = set.upper === undefined ? null : findIndex(set, lowers, marks);
    if (index !== null) undo.push(() => index.close());
    return { lowers, dataLayers, upper: null, work: null, index };
  });
  undo.push(() => {
    union.files.closeAll();
    union.directories.closeAll();
  });
  if (union.writable) {
    check(finishEarlierCopies(union), { operation: 'finish copies that were cut short', path: set.work });
  }
  undo.commit();
  return union;
}

/** The lower layers whose roots are merged, by their position, and whether their roots say that files may be whiteouts. */
export interface RootInSight {
  lower: number;
  xattrWhiteouts: boolean;
}

/** Makes a union of layers that are open. `roots`: what an earlier server found of them. */
export function joinUnion(
  set: LayerSet,
  open: (marks: Marks) => UnionLayers,
  roots?: readonly RootInSight[],
): Union {
  const marks = new Marks(set.userxattr ?? !hasTrustedAttributes());
  const features = {
    redirects: set.redirectDir ?? 'on',
    metacopy: set.metacopy === true,
    lazyCopyUp: set.copyUp === 'lazy',
    keepsNodes: set.nfsExport === true,
    staticLinkCount: set.staticLinkCount === true,
    ids: idMapping(set),
    whiteouts: set.whiteout ?? 'both',
    exactLinkCounts: askedForIndex(set) !== '',
    sync: set.volatile !== true && set.sync !== false,
  };
  const union = new Union(open(marks), marks, features, descriptorLimit());
  makeRoot(union, roots ?? rootsInSight(union));
  return union;
}

function openLowers(paths: readonly string[], first: number, undo: Rollback): Layer[] {
  return paths.map((path, index) => {
    const layer = openLower(path, first + index);
    undo.push(() => void close(layer.fd));
    return layer;
  });
}

/** The upper with its work directory and, if it has one, its index. */
function openWritable(
  set: LayerSet,
  upperPath: string,
  workPath: string,
  marks: Marks,
  lowers: readonly Layer[],
  undo: Rollback,
): Pick<UnionLayers, 'upper' | 'work' | 'index'> {
  const override = overrideFor(set.xattrPermissions ?? 0);
  const writable = openUpper(upperPath, workPath, override);
  const { upper, workFd } = writable;
  undo.push(() => void close(upper.fd));
  using workRoot = new Fd(workFd);
  checkSameFileSystem(writable, upperPath, workPath);
  const work = WorkDirectory.open(workRoot.number, workPath, upper, marks, (fd) => findWays(set, fd, marks));
  undo.push(() => work.close());
  upper.readsFiles = settleUpper(set.whiteout ?? 'both', work.ways.form, marks, upper);
  if (upper.override !== null)
    check(keepOwnership(upper, lowers), { operation: 'mark upper directory', path: upperPath });
  if (set.volatile === true) work.markVolatile(workPath);
  const index = chooseIndex(set, { workRoot: workRoot.number, workPath, work, upper, lowers, marks });
  if (typeof index === 'string') {
    work.ways.noIndex = index;
    return { upper, work, index: null };
  }
  undo.push(() => index.close());
  return { upper, work, index };
}

/** What the upper can do, and how it is written. Throws an OverlayError where it cannot hold what is asked for. */
function findWays(set: LayerSet, work: number, marks: Marks): UpperWays {
  const can = probeUpper(work);
  const asked = askedForIndex(set);
  const needsMarks = [
    ...(set.metacopy === true ? ['metacopy=on'] : []),
    ...(set.copyUp === 'lazy' ? ['copyup=lazy'] : []),
    ...(asked === '' ? [] : [asked]),
  ];
  const wanted = { whiteouts: set.whiteout ?? 'both', marks, needsMarks: needsMarks[0] ?? '' };
  const form = chooseForm(can, wanted, set.upper!);
  overlayDebug('upper %s: whiteouts are written as %s; %j', set.upper, form, can);
  return { form, can, noIndex: '' };
}

/** An upper whose root has the attribute is known for one that keeps owners and modes there. */
function keepOwnership({ fd, override }: Layer, lowers: readonly Layer[]): Errno {
  if (override === null || typeof getXattr(fd, '.', override) !== 'number') return 0;
  const stat = new Stat();
  const from = lowers[0]?.fd ?? fd;
  const status = statFd(from, stat);
  if (status < 0) return status;
  if (lowers.length > 0 && lowers[0].override !== null) applyOverride(lowers[0].override, from, '.', stat);
  return setXattr(fd, '.', override, encodeOverride(stat));
}

function makeRoot(union: Union, roots: readonly RootInSight[]): void {
  const root = union.nodes.addDirectory();
  root.upper = union.upper?.root ?? null;
  if (root.upper !== null)
    root.upper.xattrWhiteouts = holdsMarkedWhiteouts(union.marks, root.upper.layer.fd, '.');
  root.lowers = roots.map(({ lower }) => union.lowers[lower].root);
  for (const { lower, xattrWhiteouts } of roots) union.lowers[lower].root.xattrWhiteouts = xattrWhiteouts;
  const known = union.lowers[0] ?? union.upper!;
  const low = Number(known.inode & 0xffffffffn);
  union.numbers.number(root, known.fileSystem, low, Number(known.inode >> 32n));
  root.references = 1;
  union.root = root;
}

/** A layer's root ends the merge only by a file: the kernel does not look for a mark there. */
function rootsInSight(union: Union): RootInSight[] {
  if (union.upper !== null && hasOpaqueFile(union.upper, union.upper.fd, '.')) return [];
  const last = union.lowers.findIndex((layer) => hasOpaqueFile(layer, layer.fd, '.'));
  return union.lowers.slice(0, last < 0 ? undefined : last + 1).map(({ fd }, lower) => ({
    lower,
    xattrWhiteouts: holdsMarkedWhiteouts(union.marks, fd, '.'),
  }));
}

function descriptorLimit(): number {
  const { soft } = limitOf('NOFILE');
  return Math.min(soft < 0 ? MOST_DESCRIPTORS : soft, MOST_DESCRIPTORS) - DESCRIPTORS_FOR_OTHERS;
}
