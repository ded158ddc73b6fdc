// SPDX-License-Identifier: MIT
/** Opening a union: every check that a set of layers must pass, and its root. */
import { readFileSync, realpathSync } from 'node:fs';
import { OverlayError, UsageError } from '../base/errors.js';
import { Rollback } from '../base/rollback.js';
import { close, Fd } from '../sys/files.js';
import { listMounts } from '../sys/mounts.js';
import { Stat, statFd } from '../sys/stat.js';
import { xattrIs } from '../sys/xattrs.js';
import { type Layer, openLower, openUpper, type WritableLayer } from './layer.js';
import { Marks } from './marks.js';
import { Union } from './union.js';
import { WorkDirectory } from './work.js';

/** As overlayfs has it (OVL_MAX_STACK). */
export const MAX_LOWERS = 500;

export interface LayerSet {
  /** Read-only layers, top first. */
  lowers: readonly string[];
  /** The writable layer; without it the union is read-only. */
  upper?: string | undefined;
  /** A directory on the upper's file system that only this union uses. */
  work?: string | undefined;
  /** Nothing can be changed, though there is an upper. */
  readOnly?: boolean | undefined;
  /** Marks are kept in `user.overlay.*`, for use without privilege. */
  userxattr?: boolean | undefined;
  /** Directories of lower layers can be renamed; default true. */
  redirectDirectories?: boolean | undefined;
  /** Nothing is synced to disk. */
  volatile?: boolean | undefined;
}

/**
 * Opens the layers and makes the root node, which holds one reference.
 * Throws UsageError for a set that cannot be meant, OverlayError for one that
 * does not work; nothing stays open then.
 */
export function openUnion(set: LayerSet): Union {
  checkSet(set);
  using undo = new Rollback();
  const marks = new Marks(set.userxattr === true);
  const lowers: Layer[] = [];
  let writable: WritableLayer | null = null;
  let work: WorkDirectory | null = null;
  if (set.upper !== undefined && set.work !== undefined && set.readOnly !== true) {
    checkPlacement(set.upper, set.work, set.lowers);
    writable = openUpper(set.upper, set.work);
    const { upper, workFd } = writable;
    undo.push(() => void close(upper.fd));
    using workRoot = new Fd(workFd);
    checkSameFileSystem(writable, set.upper, set.work);
    work = WorkDirectory.open(workRoot.number, set.work, upper.fd, set.upper, marks);
    undo.push(() => work?.close());
    if (set.volatile === true) work.markVolatile(set.work);
  }
  const readOnlyPaths =
    writable === null && set.upper !== undefined ? [set.upper, ...set.lowers] : set.lowers;
  for (const [index, path] of readOnlyPaths.entries()) {
    const layer = openLower(path, index + 1);
    lowers.push(layer);
    undo.push(() => void close(layer.fd));
  }
  const features = {
    redirectDirectories: set.redirectDirectories !== false,
    volatile: set.volatile === true,
  };
  const union = new Union(writable?.upper ?? null, lowers, work, marks, features, descriptorLimit());
  makeRoot(union);
  undo.commit();
  return union;
}

function makeRoot(union: Union): void {
  const root = union.nodes.addDirectory();
  root.upper = union.upper?.root ?? null;
  root.lowers = union.lowers.map((layer) => layer.root);
  for (const lower of root.lowers) {
    lower.xattrWhiteouts = xattrIs(lower.layer.fd, '.', union.marks.opaque, 'x');
  }
  const known = union.lowers[0] ?? union.upper!;
  const low = Number(known.inode & 0xffffffffn);
  union.numbers.compute(known.fileSystem, low, Number(known.inode >> 32n));
  root.inodeLow = union.numbers.low;
  root.inodeHigh = union.numbers.high;
  root.references = 1;
  union.root = root;
}

function checkSet(set: LayerSet): void {
  if (set.lowers.length === 0 && set.upper === undefined) {
    throw new UsageError('no layer is given', 'name at least one with lowerdir=DIRECTORY');
  }
  if (set.lowers.length > MAX_LOWERS) {
    throw new UsageError(`${set.lowers.length} lower layers are given, at most ${MAX_LOWERS} are allowed`);
  }
  if (set.upper !== undefined && set.work === undefined && set.readOnly !== true) {
    throw new UsageError(
      'upperdir is given without workdir',
      "add workdir=DIRECTORY, an empty directory on the upper's file system",
    );
  }
  if (set.work !== undefined && set.upper === undefined) {
    throw new UsageError('workdir is given without upperdir', 'add upperdir=DIRECTORY or leave workdir out');
  }
}

/** Paths that overlap would make the union see, or change, its own inside. */
function checkPlacement(upperPath: string, workPath: string, lowers: readonly string[]): void {
  const upper = resolve(upperPath);
  const work = resolve(workPath);
  if (upper === undefined || work === undefined) return;
  if (upper === work) throw overlap('work', workPath, 'it is the upper directory');
  if (isWithin(work, upper)) throw overlap('work', workPath, 'it lies inside the upper directory');
  if (isWithin(upper, work)) throw overlap('upper', upperPath, 'it lies inside the work directory');
  for (const lowerPath of lowers) {
    const lower = resolve(lowerPath);
    if (lower === undefined) continue;
    if (lower === upper) throw overlap('upper', upperPath, 'it is a lower layer as well');
    if (isWithin(upper, lower))
      throw overlap('upper', upperPath, `it lies inside the lower layer ${lowerPath}`);
    if (isWithin(lower, upper)) throw overlap('lower', lowerPath, 'it lies inside the upper directory');
    if (lower === work || isWithin(work, lower)) {
      throw overlap('work', workPath, `it lies inside the lower layer ${lowerPath}`);
    }
    if (isWithin(lower, work)) throw overlap('lower', lowerPath, 'it lies inside the work directory');
  }
  refuseKernelMount(upper, work);
}

function overlap(kind: string, path: string, reason: string): OverlayError {
  return new OverlayError({
    operation: `use ${kind} directory`,
    path,
    reason,
    remedy: 'layers, upper and work must be separate directories',
  });
}

/** A path that cannot be resolved is reported when it is opened, with its kind. */
function resolve(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function isWithin(path: string, directory: string): boolean {
  return path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/** The kernel's own overlayfs locks its upper where no other program sees it: its mount options tell. */
function refuseKernelMount(upper: string, work: string): void {
  for (const mount of listMounts()) {
    if (mount.type !== 'overlay') continue;
    const options = mount.options.split(',');
    if (options.includes(`upperdir=${upper}`) || options.includes(`workdir=${work}`)) {
      throw new OverlayError({
        operation: 'use upper directory',
        path: upper,
        reason: `the kernel overlay mounted at ${mount.target} uses it`,
        remedy: 'unmount that first',
      });
    }
  }
}

function checkSameFileSystem({ upper, workFd }: WritableLayer, upperPath: string, workPath: string): void {
  const stat = new Stat();
  if (statFd(workFd, stat) === 0 && stat.fileSystem === upper.fileSystem) return;
  throw new OverlayError({
    operation: 'use work directory',
    path: workPath,
    reason: `it is not on the same file system as the upper directory ${upperPath}`,
    remedy: "give an empty directory on the upper's file system",
  });
}

/** How many descriptors this process may have open; some are left for everything else. */
function descriptorLimit(): number {
  const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
  return line === null ? 1024 : Math.min(Number(line[1]), 65536) - 64;
}
