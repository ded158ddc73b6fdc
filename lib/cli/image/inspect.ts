// SPDX-License-Identifier: MIT
/** `tsoverlay inspect` and `tsoverlay history`, in the shapes that Docker's users know. */
import { UsageError } from '../../base/errors.js';
import { chainIds, type Digest } from '../../image/model/digest.js';
import type { HistoryEntry } from '../../image/model/image-config.js';
import { familiarName, familiarRepository, parseName } from '../../image/model/reference.js';
import { layerSize } from '../../image/store/collect.js';
import { findImage, type Image } from '../../image/store/images.js';
import { Store } from '../../image/store/store.js';
import { age, decimalSize } from '../words/format.js';
import { compileTemplate } from '../words/go-template.js';
import { printListing } from '../words/listing.js';
import type { HistoryArguments, InspectArguments } from './arguments.js';
import { shownId } from './list.js';

/** As `docker image inspect` answers it. */
function describe(store: Store, image: Image): Record<string, unknown> {
  const { config, manifest } = image;
  const diffIds = config.rootfs.diff_ids;
  const paths = diffIds.map((diffId) => store.diffPath(diffId)).reverse();
  return {
    Id: image.id,
    RepoTags: image.names.map((name) => familiarName(parseName(name))),
    RepoDigests: image.repositoryDigests.map((name) => {
      const reference = parseName(name);
      return `${familiarRepository(reference)}@${reference.digest}`;
    }),
    Parent: '',
    Comment: config.history?.at(-1)?.comment ?? '',
    Created: config.created ?? '',
    Author: config.author ?? '',
    Config: config.config ?? {},
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: diffIds.reduce((sum, diffId) => sum + layerSize(store, diffId), 0),
    GraphDriver: { Name: 'tsoverlay', Data: { LowerDir: paths.join(':') } },
    RootFS: { Type: 'layers', Layers: diffIds, ChainIDs: chainIds(diffIds) },
    Descriptor: { mediaType: image.mediaType, digest: image.manifestDigest },
    Manifest: { Config: manifest.config.digest, Layers: manifest.layers },
  };
}

const KINDS = [undefined, 'container', 'image'];

/** A container where there is one of that name, else an image. */
async function describeNamed(store: Store, name: string, type: string | undefined): Promise<object> {
  const { findContainer, lookUpContainer } = await import('../../container/state/containers.js');
  const container =
    type === 'container'
      ? findContainer(store, name)
      : type === 'image'
        ? undefined
        : lookUpContainer(store, name);
  if (container === undefined) return describe(store, findImage(store, name).image);
  return (await import('../container/inspect.js')).describeContainer(container);
}

export async function inspect(args: InspectArguments): Promise<void> {
  if (!KINDS.includes(args.type))
    throw new UsageError(`--type ${args.type} is not possible`, 'it is container or image');
  const store = Store.open(args.root);
  const described: object[] = [];
  for (const name of args.names) described.push(await describeNamed(store, name, args.type));
  if (args.format === undefined || args.format === 'json') {
    process.stdout.write(`${JSON.stringify(described, null, 4)}\n`);
    return;
  }
  const template = compileTemplate(args.format);
  for (const image of described) process.stdout.write(`${template(image)}\n`);
}

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

export function history(args: HistoryArguments): void {
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
