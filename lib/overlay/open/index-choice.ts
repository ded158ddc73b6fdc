// SPDX-License-Identifier: MIT
/**
 * Whether an upper gets an index. It does where nobody has said otherwise and the upper can
 * hold one; where it cannot, hard links break at copy-up, as with the kernel's `index=off`.
 * Only who asks for an index by name is refused without it (ovl_get_indexdir in
 * fs/overlayfs/super.c refuses too, and falls back where uuids do not tell file systems apart).
 *
 * An upper that was used without an index goes on without: what was copied up before is not
 * in it. An upper that holds nothing begins anew, whatever its work directory has left.
 */
import { realpathSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { type ByteString, fromText, toText } from '../../base/bytes.js';
import { overlayDebug } from '../../base/debug.js';
import { ENODATA, EOPNOTSUPP, ESTALE } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import { listDirectory, rename } from '../../sys/entries.js';
import { close, Fd, O_DIRECTORY, O_NOFOLLOW, O_PATH, openAt, openPath } from '../../sys/files.js';
import { openReadable } from '../../sys/handles.js';
import { BTRFS_MAGIC, FUSE_MAGIC, fileSystemType } from '../../sys/mounts.js';
import { overridesModes } from '../../sys/privilege.js';
import { getXattr, removeXattr, setXattr } from '../../sys/xattrs.js';
import type { Marks } from '../formats/marks.js';
import { encodeOrigin } from '../formats/origin.js';
import { IndexDirectory } from '../layers/index-directory.js';
import type { Layer } from '../layers/layer.js';
import type { LayerSet } from '../layers/layer-set.js';
import type { WorkDirectory } from '../layers/work.js';
import type { Union } from '../nodes/union.js';

export interface IndexGround {
  workRoot: number;
  workPath: string;
  work: WorkDirectory;
  upper: Layer;
  lowers: readonly Layer[];
  marks: Marks;
}

/** Whether an index is asked for by name, as the option that does it; '' where it is not. */
export function askedForIndex({ index, nfsExport }: LayerSet): string {
  if (index !== undefined) return index ? 'index=on' : '';
  return nfsExport === true ? 'nfs_export=on' : '';
}

/** The index of an upper that is written, or why it has none. Throws an OverlayError where one was asked for and cannot be had. */
export function chooseIndex(set: LayerSet, ground: IndexGround): IndexDirectory | string {
  const { upper, lowers } = ground;
  if (set.index === false) return 'index=off is given';
  if (lowers.length === 0) return 'there is no lower layer';
  const wanted = askedForIndex(set);
  const obstacle = obstacleIn(upper, lowers);
  if (wanted !== '') {
    if (obstacle !== undefined) throw refusal(wanted, obstacle);
    return openAndPoint(ground);
  }
  try {
    if (obstacle !== undefined) return `${obstacle.path}: ${obstacle.reason}`;
    return unsuited(ground) ?? settleEarlier(ground) ?? openAndPoint(ground);
  } catch (failure) {
    if (!(failure instanceof OverlayError)) throw failure;
    overlayDebug('%s has no index: %s', upper.path, failure.message);
    return failure.reason ?? failure.message;
  }
}

function refusal(wanted: string, { path, reason }: Obstacle): OverlayError {
  const operation = `use with ${wanted}`;
  return new OverlayError({ operation, path, errno: EOPNOTSUPP, reason, remedy: `leave ${wanted} out` });
}

/** What is put up with where an index is asked for, and none is chosen for. */
function unsuited({ work, upper, lowers, marks }: IndexGround): string | undefined {
  if (work.ways.form === 'file') return 'whiteouts are .wh. files there';
  if (marks.inUser && !overridesModes()) return 'an ordinary user cannot mark files that are not writable';
  const passing = [upper, ...lowers].find(({ fd }) => fileSystemType(fd) === FUSE_MAGIC);
  return passing && `${passing.path}: file handles of a FUSE file system do not outlive its mount`;
}

interface Obstacle {
  path: string;
  reason: string;
}

/** What makes an index impossible, and the layer that does. */
function obstacleIn(upper: Layer, lowers: readonly Layer[]): Obstacle | undefined {
  const mute = [upper, ...lowers].find((layer) => encodeOrigin(layer, layer.fd, '').length === 0);
  if (mute !== undefined) return { path: mute.path, reason: 'its file system has no file handles' };
  // Subvolumes of btrfs count as file systems of their own here, and their handles tell them apart.
  const known = lowers.filter(({ fd }) => fileSystemType(fd) !== BTRFS_MAGIC);
  for (const [at, layer] of known.entries()) {
    const alike = known.slice(0, at).find(({ uuid }) => uuid.equals(layer.uuid));
    if (alike !== undefined && alike.fileSystem !== layer.fileSystem)
      return { path: layer.path, reason: `no UUID tells its file system from that of ${alike.path}` };
  }
  return undefined;
}

/** Judges what an earlier mount has left: why the upper goes on without an index, if it has to. */
function settleEarlier({ workRoot, work, upper, marks }: IndexGround): string | undefined {
  const left = openAt(workRoot, 'index', O_PATH | O_DIRECTORY | O_NOFOLLOW);
  const isMarked = left >= 0 && typeof getXattr(left, '.', marks.upper) !== 'number';
  if (left >= 0) close(left);
  if (!isEmpty(upper)) return isMarked ? undefined : 'the upper was used without an index before';
  const story = { operation: 'begin the index anew', path: upper.path };
  // It may name lower layers that the upper was used with before it was emptied.
  const removed = removeXattr(upper.fd, '.', marks.origin);
  if (removed !== -ENODATA) check(removed, story);
  if (left < 0) return undefined;
  // The former index would bring changes back that were thrown away.
  const aside = work.temporaryName();
  check(rename(workRoot, 'index', work.fd, aside), story);
  check(work.discardTree(aside), story);
  return undefined;
}

function isEmpty({ fd, path }: Layer): boolean {
  const story = { operation: 'list upper directory', path };
  using readable = new Fd(check(openReadable(fd), story));
  let empty = true;
  check(
    listDirectory(readable.number, () => {
      empty = false;
      return false;
    }),
    story,
  );
  return empty;
}

function openAndPoint({ workRoot, workPath, upper, lowers, marks }: IndexGround): IndexDirectory {
  const index = IndexDirectory.open(workRoot, workPath, upper, lowers, marks);
  const way = fromText(relative(realpathSync(upper.path), realpathSync(workPath)));
  const status = setXattr(upper.fd, '.', marks.index, Buffer.from(way, 'latin1'));
  if (status < 0) index.close();
  check(status, { operation: 'mark upper directory', path: upper.path });
  return index;
}

/**
 * The index of an upper that is only read, perhaps beside its mount: names that were never
 * touched are still in lower layers, and what they show is in the index. Null where there is
 * none, or one of other layers. Nothing is written.
 */
export function findIndex(
  set: LayerSet,
  [upper, ...lowers]: readonly Layer[],
  marks: Marks,
): IndexDirectory | null {
  if (set.index === false || upper === undefined || lowers.length === 0) return null;
  if (!isMark(upper.fd, marks.origin, encodeOrigin(lowers[0], lowers[0].fd, ''))) return null;
  return openOwn(upper, marks, set.work);
}

/**
 * To be asked before an upper is packed over layers that its index does not belong to. Throws an
 * OverlayError where there may be names that show a file of the upper in its own lower layers alone.
 */
export function refuseStranded({ lowers: [upper], marks }: Union): void {
  const index = openOwn(upper, marks);
  const isStranded = index?.reachesBelow() === true;
  index?.close();
  if (!isStranded) return;
  throw new OverlayError({
    operation: 'pack upper directory',
    path: upper.path,
    errno: ESTALE,
    reason: 'it changes hard links whose other names only the layers know that it was mounted over',
    remedy: 'mount it over these, and give the mount',
  });
}

/** The index that an upper says is its own, and that says the same. */
function openOwn(upper: Layer, marks: Marks, work = pointedTo(upper, marks)): IndexDirectory | null {
  if (work === undefined) return null;
  const fd = openPath(fromText(join(work, 'index')), O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (fd < 0) return null;
  if (isMark(fd, marks.upper, encodeOrigin(upper, upper.fd, '', true))) return IndexDirectory.of(fd, marks);
  close(fd);
  return null;
}

function isMark(fd: number, mark: ByteString, expected: Buffer): boolean {
  const present = getXattr(fd, '.', mark);
  return expected.length > 0 && typeof present !== 'number' && present.equals(expected);
}

/** Where the upper says that its work directory lies. */
function pointedTo({ fd, path }: Layer, marks: Marks): string | undefined {
  const way = getXattr(fd, '.', marks.index);
  return typeof way === 'number' ? undefined : resolve(realpathSync(path), toText(way.latin1Slice()));
}
