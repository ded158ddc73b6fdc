// SPDX-License-Identifier: MIT
/** `tsoverlay images`: what the store has, as `docker images` shows it, with what an image shares with others. */

import { type ImageUsage, usageOf } from '../../image/collect.js';
import { type Digest, shortId } from '../../image/digest.js';
import { findImage, type Image, listImages } from '../../image/images.js';
import { familiarRepository, parseName, parseReference, repositoryOf } from '../../image/reference.js';
import { Store } from '../../image/store.js';
import { type Filters, globMatches, parseFilters } from '../filters.js';
import { age, decimalSize } from '../format.js';
import { type Column, printListing, type Row } from '../listing.js';
import type { ListArguments } from './arguments.js';

const NONE = '<none>';

const COLUMNS: readonly Column[] = [
  { title: 'REPOSITORY', field: 'Repository' },
  { title: 'TAG', field: 'Tag' },
  { title: 'DIGEST', field: 'Digest' },
  { title: 'IMAGE ID', field: 'ID' },
  { title: 'CREATED', field: 'CreatedSince' },
  { title: 'SIZE', field: 'Size' },
  { title: 'SHARED', field: 'SharedSize' },
  { title: 'UNIQUE', field: 'UniqueSize' },
];

/** Milliseconds since 1970; an image need not say when it was made. */
export function createdAt({ config }: Image): number {
  const time = Date.parse(config.created ?? '');
  return Number.isNaN(time) ? 0 : time;
}

export function shownId(id: Digest, whole: boolean): string {
  return whole ? id : shortId(id);
}

function keeps(images: readonly Image[], filters: Filters, store: Store): Set<Image> {
  const moment = (text: string): number => createdAt(findImage(store, text).image);
  const passes: Record<string, (image: Image, value: string) => boolean> = {
    dangling: ({ names }, value) => (names.length === 0) === (value !== 'false'),
    label: ({ config }, value) => {
      const [key, ...wanted] = value.split('=');
      const label = config.config?.Labels?.[key];
      return label !== undefined && (wanted.length === 0 || label === wanted.join('='));
    },
    before: (image, value) => createdAt(image) < moment(value),
    since: (image, value) => createdAt(image) > moment(value),
    reference: ({ names }, value) => names.some((name) => matchesReference(name, value)),
  };
  const kept = images.filter((image) =>
    [...filters].every(([key, values]) =>
      // Several references are alternatives; all else must hold together, as Docker has it.
      key === 'reference'
        ? values.some((value) => passes[key](image, value))
        : values.every((value) => passes[key](image, value)),
    ),
  );
  return new Set(kept);
}

function matchesReference(name: string, pattern: string): boolean {
  const reference = parseName(name);
  const repository = familiarRepository(reference);
  return (
    globMatches(pattern, repository) ||
    globMatches(pattern, `${repository}:${reference.tag}`) ||
    globMatches(pattern, name)
  );
}

/** `references`: only names that match one of these are shown, if there are any. */
function rowsOf({ image, size, shared }: ImageUsage, whole: boolean, references: readonly string[]): Row[] {
  const common = {
    ID: shownId(image.id, whole),
    CreatedSince: image.config.created === undefined ? 'N/A' : age(image.config.created),
    CreatedAt: image.config.created ?? 'N/A',
    Size: decimalSize(size),
    VirtualSize: decimalSize(size),
    SharedSize: decimalSize(shared),
    UniqueSize: decimalSize(size - shared),
    Containers: 'N/A',
  };
  const digestFor = (repository: string): string =>
    image.repositoryDigests.find((digest) => digest.startsWith(`${repository}@`))?.split('@')[1] ?? NONE;
  if (image.names.length === 0) {
    const digest = image.repositoryDigests[0];
    const repository = digest === undefined ? NONE : familiarRepository(parseName(digest));
    return [{ Repository: repository, Tag: NONE, Digest: digest?.split('@')[1] ?? NONE, ...common }];
  }
  const isAsked = (name: string): boolean =>
    references.length === 0 || references.some((pattern) => matchesReference(name, pattern));
  return image.names.filter(isAsked).map((name) => {
    const reference = parseName(name);
    return {
      Repository: familiarRepository(reference),
      Tag: reference.tag ?? NONE,
      Digest: digestFor(repositoryOf(reference)),
      ...common,
    };
  });
}

export function listImagesCommand(args: ListArguments): void {
  const store = Store.open(args.root);
  const images = listImages(store);
  const filters = parseFilters(args.filter, ['dangling', 'label', 'before', 'since', 'reference']);
  const kept = keeps(images, filters, store);
  const wanted = args.repository === undefined ? undefined : parseName(args.repository);
  const rows = usageOf(store, images)
    .filter(({ image }) => kept.has(image))
    .sort((a, b) => createdAt(b.image) - createdAt(a.image))
    .flatMap((usage) => rowsOf(usage, args['no-trunc'], filters.get('reference') ?? []))
    .filter(
      (row) =>
        wanted === undefined ||
        (row.Repository === familiarRepository(wanted) &&
          (wanted.tag === undefined || row.Tag === parseReference(args.repository!).tag)),
    );
  const columns = args.digests ? COLUMNS : COLUMNS.filter(({ field }) => field !== 'Digest');
  printListing(rows, columns, 'ID', args);
}
