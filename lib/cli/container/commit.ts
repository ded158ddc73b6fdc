// SPDX-License-Identifier: MIT
/** `tsoverlay export` and `tsoverlay commit`, of containers, mounts, images and uppers. */
import { statSync } from 'node:fs';
import { OverlayError } from '../../base/errors.js';
import { layersOfMount } from '../../container/upkeep/layers-in-use.js';
import { packView } from '../../image/pack/pack.js';
import { commitUpper } from '../../image/store/create-image.js';
import { findImage, type Image, listImages } from '../../image/store/images.js';
import { syncBelow } from '../../image/store/staging.js';
import { Store } from '../../image/store/store.js';
import { layersOf, type MountRecordFile, readRecords } from '../../mount/records.js';
import { openUnion } from '../../overlay/open/open.js';
import type { Arguments } from '../commands/table.js';
import { lockContent, notesFrom, printCreated } from '../image/archives.js';
import { writeOut } from '../image/write-out.js';
import { imageLayers } from '../mount/image-layers.js';
import { realTarget } from '../mount/targets.js';
import { commitContainer, containerNamed, exportContainer } from './contents.js';

/** A mount's merged view, a container's, or an image's. */
export async function exportView({ root, source, output }: Arguments<'export'>): Promise<void> {
  const target = realTarget(source);
  const record = readRecords().find((known) => known.target === target);
  const container = record === undefined ? containerNamed(root, source) : undefined;
  if (container !== undefined) {
    await exportContainer(container, (archive) => writeOut(archive, output));
    return;
  }
  settleMount('export', record);
  const store = record === undefined ? Store.open(root) : undefined;
  using _lock = store === undefined ? undefined : await lockContent(store);
  const layers = store === undefined ? layersOf(record!) : imageLayers(store, findImage(store, source).image);
  const union = openUnion(layers);
  try {
    await writeOut(packView(union), output);
  } finally {
    union.close();
  }
}

export async function commit(args: Arguments<'commit'>): Promise<void> {
  const store = Store.open(args.root);
  using _lock = await lockContent(store);
  const path = realTarget(args.source);
  const record = readRecords().find(({ target, upper }) => target === path || upper === path);
  settleMount('commit', record);
  const notes = { ...notesFrom(args, args.reference, `commit ${args.source}`), author: args.author };
  const container = record === undefined ? containerNamed(args.root, args.source) : undefined;
  if (container !== undefined) {
    printCreated(await commitContainer(container, notes, args.pause));
    return;
  }
  const base =
    args.image === undefined ? baseOf(store, record, args.source) : findImage(store, args.image).image;
  const upper = record?.upper ?? path;
  if (statSync(upper, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new OverlayError({
      operation: 'commit',
      path: args.source,
      reason: 'it is neither a container nor a mount nor an upper directory',
    });
  }
  // What is mounted knows its own lower layers, wherever the image has them.
  const layers = record?.upper == null ? { ...imageLayers(store, base), upper } : layersOf(record);
  printCreated(await commitUpper(store, base, layers, notes));
}

/**
 * Makes the layers of a live mount, if it is one, tell what the mount shows: what
 * programs wrote by a mapping is in the kernel's cache until it is written back. With
 * copies in the background only the server knows what a file holds.
 */
function settleMount(operation: string, record: MountRecordFile | undefined): void {
  if (record === undefined) return;
  if (record.copyUp !== 'lazy') {
    syncBelow(record.target);
    return;
  }
  throw new OverlayError({
    operation,
    path: record.target,
    reason: 'it is mounted with copyup=lazy, so large files may be unfinished',
    remedy: `unmount it first with \`tsoverlay unmount ${record.target}\`, then give its upper`,
  });
}

/** The image that a mount's lower layers are. */
function baseOf(store: Store, record: MountRecordFile | undefined, source: string): Image {
  const remedy = 'name the image that it was mounted on with --image';
  if (record === undefined) {
    throw new OverlayError({
      operation: 'commit',
      path: source,
      reason: 'it is not mounted, so its image is not known',
      remedy,
    });
  }
  if (record.upper === null) {
    throw new OverlayError({
      operation: 'commit',
      path: source,
      reason: 'it is mounted read-only: there is nothing to commit',
    });
  }
  const layers = layersOfMount(store, record)?.join();
  const image = listImages(store).find(({ config }) => config.rootfs.diff_ids.join() === layers);
  if (image !== undefined) return image;
  throw new OverlayError({
    operation: 'commit',
    path: source,
    reason: 'its layers are those of no image in the store',
    remedy,
  });
}
