// SPDX-License-Identifier: MIT
/** `tsoverlay system df` and `tsoverlay system check`. */
import { layersInUse, mountedLayers } from '../../container/upkeep/layers-in-use.js';
import { checkStore } from '../../image/store/check.js';
import { blobSize, layerSize, listBlobs, reachableFrom } from '../../image/store/collect.js';
import { listImages } from '../../image/store/images.js';
import { listLayers } from '../../image/store/layers.js';
import { listSteps } from '../../image/store/step-cache.js';
import { Store } from '../../image/store/store.js';
import type { Arguments } from '../commands/table.js';
import { decimalSize } from '../words/format.js';
import { printListing } from '../words/listing.js';

export function usage(args: Arguments<'system df'>): void {
  const store = Store.open(args.root);
  const mounted = mountedLayers(store);
  const images = listImages(store);
  const active = images.filter(({ config }) => config.rootfs.diff_ids.some((diffId) => mounted.has(diffId)));
  const kept = reachableFrom(active);
  const row = (
    type: string,
    sizes: Map<string, number>,
    used: ReadonlySet<string>,
    total: number,
    inUse: number,
  ) => {
    const all = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    const unused = [...sizes].filter(([id]) => !used.has(id)).reduce((sum, [, size]) => sum + size, 0);
    const percent = all === 0 ? 0 : Math.round((unused / all) * 100);
    return {
      Type: type,
      TotalCount: String(total),
      Active: String(inUse),
      Size: decimalSize(all),
      Reclaimable: `${decimalSize(unused)} (${percent}%)`,
    };
  };
  const layers = new Map(listLayers(store).map((diffId) => [diffId as string, layerSize(store, diffId)]));
  const blobs = new Map(listBlobs(store).map((digest) => [digest as string, blobSize(store, digest)]));
  const steps = listSteps(store);
  const ofImages = reachableFrom(images).layers;
  const built = new Map(
    steps.map(({ layer }) => [
      layer.diffId as string,
      layerSize(store, layer.diffId) + blobSize(store, layer.descriptor.digest),
    ]),
  );
  const builtInUse = steps.filter(({ layer }) => ofImages.has(layer.diffId)).length;
  const rows = [
    row('Images', layers, kept.layers, images.length, active.length),
    row('Blobs', blobs, kept.blobs, blobs.size, kept.blobs.size),
    row('Build cache', built, ofImages, steps.length, builtInUse),
  ];
  const columns = [
    { title: 'TYPE', field: 'Type' },
    { title: 'TOTAL', field: 'TotalCount' },
    { title: 'ACTIVE', field: 'Active' },
    { title: 'SIZE', field: 'Size' },
    { title: 'RECLAIMABLE', field: 'Reclaimable' },
  ];
  printListing(rows, columns, 'Type', args);
}

/** Exit code 0 when nothing is wrong or everything was mended, 1 otherwise. */
export async function check(args: Arguments<'system check'>): Promise<void> {
  const store = Store.open(args.root);
  const findings = await checkStore(store, args.repair, () => layersInUse(store));
  const faults = findings.filter(({ kind }) => kind !== 'garbage');
  if (args.json) process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
  else {
    for (const { kind, subject, what, repaired } of findings) {
      process.stdout.write(`${kind}: ${subject}: ${what}${repaired ? ' (repaired)' : ''}\n`);
    }
    const mended = faults.filter(({ repaired }) => repaired).length;
    process.stdout.write(
      faults.length === 0 ? 'nothing is wrong\n' : `${faults.length} found, ${mended} repaired\n`,
    );
  }
  if (faults.some(({ repaired }) => !repaired)) process.exitCode = 1;
}
