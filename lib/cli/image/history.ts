// SPDX-License-Identifier: MIT
/** `tsoverlay history`, in the shape that Docker's users know. */
import type { Digest } from '../../image/model/digest.js';
import type { HistoryEntry } from '../../image/model/image-config.js';
import { layerSize } from '../../image/store/collect.js';
import { findImage, type Image } from '../../image/store/images.js';
import { Store } from '../../image/store/store.js';
import type { Arguments } from '../commands/table.js';
import { age, decimalSize } from '../words/format.js';
import { printListing } from '../words/listing.js';
import { shownId } from './list.js';

export interface HistoryStep {
  entry: HistoryEntry;
  /** The layer that the step made; undefined where it made none. */
  diffId: Digest | undefined;
}

/** What made each layer, bottom first; an image whose history is missing or does not fit has its layers alone. */
export function historyOf({ config }: Image): HistoryStep[] {
  const diffIds = config.rootfs.diff_ids;
  const history = config.history ?? [];
  if (history.filter(({ empty_layer: empty }) => empty !== true).length !== diffIds.length) {
    return diffIds.map((diffId) => ({ entry: {}, diffId }));
  }
  let next = 0;
  return history.map((entry) => ({
    entry,
    diffId: entry.empty_layer === true ? undefined : diffIds[next++],
  }));
}

const LONGEST_COMMAND = 45;

export function history(args: Arguments<'history'>): void {
  const store = Store.open(args.root);
  const { image } = findImage(store, args.name);
  const whole = args['no-trunc'];
  const steps = historyOf(image).reverse();
  const rows = steps.map(({ entry, diffId }, index) => {
    const command = (entry.created_by ?? '').replaceAll(/\s+/g, ' ');
    const size = diffId === undefined ? 0 : layerSize(store, diffId);
    return {
      // Only the top of an image has an id; what it was built from is not kept.
      ID: index === 0 ? shownId(image.id, whole) : '<missing>',
      CreatedSince: entry.created === undefined ? 'N/A' : age(entry.created),
      CreatedAt: entry.created ?? 'N/A',
      CreatedBy:
        whole || command.length <= LONGEST_COMMAND ? command : `${command.slice(0, LONGEST_COMMAND - 1)}…`,
      Size: args.human ? decimalSize(size) : String(size),
      Comment: entry.comment ?? '',
    };
  });
  const columns = [
    { title: 'IMAGE', field: 'ID' },
    { title: 'CREATED', field: args.human ? 'CreatedSince' : 'CreatedAt' },
    { title: 'CREATED BY', field: 'CreatedBy' },
    { title: 'SIZE', field: 'Size' },
    { title: 'COMMENT', field: 'Comment' },
  ];
  printListing(rows, columns, 'ID', args);
}
