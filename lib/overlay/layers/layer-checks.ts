// SPDX-License-Identifier: MIT
/** Checks of a set of layers: what cannot be meant, and directories that lie in each other. */
import { realpathSync } from 'node:fs';
import { OverlayError, UsageError } from '../../base/errors.js';
import { listMounts } from '../../sys/mounts.js';
import { Stat, statFd } from '../../sys/stat.js';
import type { LayerSet } from './layer-set.js';
import type { WritableLayer } from './open-layer.js';

/** As overlayfs has it (OVL_MAX_STACK). */
const MAX_LOWERS = 500;

/** Throws UsageError for a set that contradicts itself. */
export function checkSet(set: LayerSet): void {
  // Programs in JavaScript have no compiler that says so.
  if (!Array.isArray(set?.lowers)) {
    throw new UsageError(
      'lowers is not a list of directories',
      "give it as in { lowers: ['/base'], upper: '/upper', work: '/work' }",
    );
  }
  if (set.lowers.length === 0 && set.upper === undefined) {
    throw new UsageError('no layer is given', 'name at least one with lowerdir=DIRECTORY');
  }
  const count = set.lowers.length + (set.dataLowers?.length ?? 0);
  if (count > MAX_LOWERS) {
    throw new UsageError(`${count} lower layers are given, at most ${MAX_LOWERS} are allowed`);
  }
  if (set.metacopy === true && (set.redirectDir ?? 'on') !== 'on') {
    throw new UsageError(
      `metacopy=on does not go with redirect_dir=${set.redirectDir}`,
      'leave one of them out',
    );
  }
  if (set.nfsExport === true && (set.metacopy === true || set.index === false)) {
    // As ovl_fs_params_verify has it.
    throw new UsageError(
      `nfs_export=on does not go with ${set.metacopy === true ? 'metacopy=on' : 'index=off'}`,
      'leave one of them out',
    );
  }
  if (count > 0 && set.lowers.length === 0) {
    throw new UsageError('only data-only layers are given', 'name a lower layer before them');
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
export function checkPlacement(upperPath: string, workPath: string, lowers: readonly string[]): void {
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

export function checkSameFileSystem(
  { upper, workFd }: WritableLayer,
  upperPath: string,
  workPath: string,
): void {
  const stat = new Stat();
  if (statFd(workFd, stat) === 0 && stat.fileSystem === upper.fileSystem) return;
  throw new OverlayError({
    operation: 'use work directory',
    path: workPath,
    reason: `it is not on the same file system as the upper directory ${upperPath}`,
    remedy: "give an empty directory on the upper's file system",
  });
}
