// SPDX-License-Identifier: MIT
/** `tsoverlay tag`, `rmi` and `image prune`. */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { OverlayError, UsageError } from '../../base/errors.js';
import { readContainers } from '../../container/state/containers.js';
import { collectUnused, mountedLayers } from '../../container/upkeep/layers-in-use.js';
import { type Digest, shortId } from '../../image/model/digest.js';
import { familiarName, parseName, repositoryOf } from '../../image/model/reference.js';
import type { Collected } from '../../image/store/collect.js';
import { findImage, type Image, listImages } from '../../image/store/images.js';
import { forgetDigest, forgetImage, tagImage, untag } from '../../image/store/naming.js';
import { Store } from '../../image/store/store.js';
import type { Arguments } from '../commands/table.js';
import { confirm } from '../words/confirm.js';
import { hasLabel, parseFilters, parseMoment } from '../words/filters.js';
import { decimalSize } from '../words/format.js';
import { createdAt } from './list.js';

export async function tag({ root, source, name }: Arguments<'tag'>): Promise<void> {
  await tagImage(Store.open(root), source, name);
}

/** Where an image is mounted: a mount that has its topmost layer has it whole. */
function mountsOf(image: Image, mounted: ReadonlyMap<Digest, string[]>): string[] {
  const top = image.config.rootfs.diff_ids.at(-1);
  return top === undefined ? [] : (mounted.get(top) ?? []);
}

function shown(name: string): string {
  return familiarName(parseName(name));
}

export async function remove({ root, names, force }: Arguments<'rmi'>): Promise<void> {
  const store = Store.open(root);
  const mounted = mountedLayers(store);
  const failures: Error[] = [];
  for (const text of names) {
    try {
      await removeOne(store, text, force, mounted);
    } catch (failure) {
      if (!(failure instanceof OverlayError)) throw failure;
      failures.push(failure);
    }
  }
  report(await collectUnused(store));
  if (failures.length === 1) throw failures[0];
  for (const failure of failures) process.stderr.write(`tsoverlay: ${failure.message}\n`);
  if (failures.length > 0) process.exitCode = 1;
}

async function removeOne(
  store: Store,
  text: string,
  force: boolean,
  mounted: ReadonlyMap<Digest, string[]>,
): Promise<void> {
  const { image, name, repositoryDigest } = findImage(store, text);
  const only = name ?? repositoryDigest;
  const goes = only === undefined || isLast(image, only);
  if (goes) {
    if (!force) refuseContained(store, image, text);
    refuseMounted(store, image, text, mounted);
  }
  if (only === undefined && image.names.length > 1 && !force) {
    throw new OverlayError({
      operation: 'remove image',
      path: text,
      reason: `it has several names: ${image.names.map(shown).join(', ')}`,
      remedy: 'remove them by name, or give --force',
    });
  }
  for (const removed of only === undefined ? image.names : [only])
    process.stdout.write(`Untagged: ${shown(removed)}\n`);
  if (goes) {
    await forgetImage(store, image.manifestDigest);
    process.stdout.write(`Deleted: ${image.id}\n`);
  } else if (name !== undefined) await untag(store, name);
  else await forgetDigest(store, only);
}

/** Whether an image would be left with neither a name nor a digest of another repository. */
function isLast(image: Image, reference: string): boolean {
  const repository = repositoryOf(parseName(reference));
  const others = [...image.names, ...image.repositoryDigests].filter((other) => other !== reference);
  const isDigestOfIt = (other: string): boolean => {
    const { domain, path, tag, digest } = parseName(other);
    return tag === undefined && digest !== undefined && `${domain}/${path}` === repository;
  };
  return others.every((other) => !reference.includes('@') && isDigestOfIt(other));
}

/** The names of the containers that were made of an image. */
function containersOf(store: Store, image: Image): string[] {
  return readContainers(store)
    .filter(({ config }) => config.image.id === image.id)
    .map(({ config }) => config.name);
}

/** With --force the containers keep the layers, which go with the last of them. */
function refuseContained(store: Store, image: Image, text: string): void {
  const names = containersOf(store, image);
  if (names.length === 0) return;
  throw new OverlayError({
    operation: 'remove image',
    path: text,
    reason: `container ${names.join(', ')} was made of it`,
    remedy: `remove it first with \`tsoverlay rm ${names[0]}\`, or give --force`,
  });
}

/** Not even --force takes the layers of a mount away: the programs in it would lose their files. */
function refuseMounted(
  store: Store,
  image: Image,
  text: string,
  mounted: ReadonlyMap<Digest, string[]>,
): void {
  const ofContainers = join(realpathSync(store.root), 'containers');
  const targets = mountsOf(image, mounted).filter((target) => !target.startsWith(`${ofContainers}/`));
  if (targets.length === 0) return;
  throw new OverlayError({
    operation: 'remove image',
    path: text,
    reason: `it is mounted at ${targets.join(', ')}`,
    remedy: `unmount it first with \`tsoverlay unmount ${targets[0]}\``,
  });
}

function report(collected: Collected | undefined): void {
  if (collected === undefined) {
    process.stderr.write(
      'tsoverlay: others use the store; `tsoverlay image prune` gives the space back later\n',
    );
    return;
  }
  for (const diffId of collected.layers) process.stdout.write(`Deleted: ${diffId}\n`);
}

export async function prune(args: Arguments<'image prune'>): Promise<void> {
  const filters = parseFilters(args.filter, ['until', 'label', 'label!']);
  const what = args.all ? 'all images that nothing uses' : 'all images without a name';
  if (!args.force && !(await confirm(`This removes ${what} from the store. Go on?`))) {
    throw new UsageError('nothing was removed', 'answer y, or give --force');
  }
  const store = Store.open(args.root);
  const mounted = mountedLayers(store);
  const until = Math.min(
    ...(filters.get('until') ?? []).map((text) => parseMoment(text)),
    Number.POSITIVE_INFINITY,
  );
  const goes = (image: Image): boolean =>
    (args.all || image.names.length === 0) &&
    mountsOf(image, mounted).length === 0 &&
    containersOf(store, image).length === 0 &&
    (until === Number.POSITIVE_INFINITY || createdAt(image) < until) &&
    (filters.get('label') ?? []).every((label) => hasLabel(image.config.config?.Labels, label)) &&
    !(filters.get('label!') ?? []).some((label) => hasLabel(image.config.config?.Labels, label));
  const removed = listImages(store).filter(goes);
  for (const image of removed) await forgetImage(store, image.manifestDigest);
  const collected = await collectUnused(store);
  printPruned(removed, collected);
}

function printPruned(removed: readonly Image[], collected: Collected | undefined): void {
  if (removed.length > 0) process.stdout.write('Deleted Images:\n');
  for (const image of removed) {
    for (const name of image.names) process.stdout.write(`untagged: ${shown(name)}\n`);
    process.stdout.write(`deleted: ${shortId(image.id)}\n`);
  }
  report(collected);
  process.stdout.write(`Total reclaimed space: ${decimalSize(collected?.freed ?? 0)}\n`);
}
