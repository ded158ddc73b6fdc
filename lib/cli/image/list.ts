// SPDX-License-Identifier: MIT
/** `tsoverlay images`: what the store has, as `docker images` shows it, with what an image shares with others. */
import { type Digest, shortId } from '../../image/model/digest.js';
import { familiarRepository, parseName, parseReference, repositoryOf } from '../../image/model/reference.js';
import { type ImageUsage, usageOf } from '../../image/store/collect.js';
import { findImage, type Image, listImages } from '../../image/store/images.js';
import { Store } from '../../image/store/store.js';
import type { Arguments } from '../commands/table.js';
import { type Filters, globMatches, hasLabel, parseFilters, parseMoment, truthOf } from '../words/filters.js';
import { age, decimalSize } from '../words/format.js';
import { type Column, printListing, type Row } from '../words/listing.js';

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

type Test = (image: Image) => boolean;

const FILTERS = ['dangling', 'label', 'before', 'since', 'until', 'reference'];

/** What an image must be to be listed. Values are read before anything is, so that one that is none is refused. */
function testsOf(filters: Filters, store: Store): Test[] {
  const madeAt = (text: string): number => createdAt(findImage(store, text).image);
  const {
    dangling,
    label = [],
    before = [],
    since = [],
    until = [],
    reference,
  } = Object.fromEntries(filters);
  const isDangling = dangling && truthOf('dangling', dangling);
  const earliest = Math.min(...before.map(madeAt), ...until.map((text) => parseMoment(text)));
  const latest = Math.max(...since.map(madeAt));
  return [
    ({ names }) => isDangling === undefined || isDangling === (names.length === 0),
    ({ config }) => label.every((text) => hasLabel(config.config?.Labels, text)),
    (image) => createdAt(image) < earliest && createdAt(image) > latest,
    // Several references are alternatives, as Docker has it.
    ({ names }) =>
      reference === undefined ||
      names.some((name) => reference.some((pattern) => matchesReference(name, pattern))),
  ];
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
    image.repositoryDigests.findLast((digest) => digest.startsWith(`${repository}@`))?.split('@')[1] ?? NONE;
  const isAsked = (name: string): boolean =>
    references.length === 0 || references.some((pattern) => matchesReference(name, pattern));
  const tagged = image.names.map((name) => repositoryOf(parseName(name)));
  const untagged = image.repositoryDigests.map((digest) => repositoryOf(parseName(digest)));
  // A repository that knows the image by its digest alone has a line of its own, as Docker has it.
  const others = [...new Set(untagged)].filter((repository) => !tagged.includes(repository));
  const rows = [...image.names.filter(isAsked), ...(references.length === 0 ? others : [])].map((name) => {
    const reference = parseName(name);
    const Digest = digestFor(repositoryOf(reference));
    return { Repository: familiarRepository(reference), Tag: reference.tag ?? NONE, Digest, ...common };
  });
  const isBare = image.names.length === 0 && others.length === 0;
  return isBare ? [{ Repository: NONE, Tag: NONE, Digest: NONE, ...common }] : rows;
}

export function images(args: Arguments<'images'>): void {
  const store = Store.open(args.root);
  const images = listImages(store);
  const filters = parseFilters(args.filter, FILTERS);
  const tests = testsOf(filters, store);
  const wanted = args.repository === undefined ? undefined : parseName(args.repository);
  const rows = usageOf(store, images)
    .filter(({ image }) => tests.every((test) => test(image)))
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
