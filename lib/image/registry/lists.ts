// SPDX-License-Identifier: MIT
/** Listings of a registry, which come in pages (distribution-spec, "Content Discovery"). */
import { OverlayError } from '../../base/errors.js';
import { parseObject } from '../model/documents.js';
import { type Document, RegistryError } from './answer.js';
import type { RegistryHttp } from './http.js';

const LARGEST_PAGE = 64 << 20;
const ENTRIES_A_PAGE = 1000;
const MOST_PAGES = 10_000;

/** All repositories of a registry, sorted. */
export function listRepositories(http: RegistryHttp): Promise<string[]> {
  return listPages(http, '_catalog', 'registry:catalog:*', 'repositories');
}

/** All entries of a listing under `path`, sorted; each page names the next in a Link header. */
export async function listPages(
  http: RegistryHttp,
  path: string,
  scope: string,
  key: string,
): Promise<string[]> {
  const what = `${http.endpoint.host}/${path}`;
  const found = new Set<string>();
  const seen = new Set<string>();
  for (let next: string | undefined = path; next !== undefined && !seen.has(next); ) {
    if (seen.size >= MOST_PAGES) {
      throw new OverlayError({
        operation: 'list',
        path: what,
        reason: `it has more than ${MOST_PAGES} pages`,
      });
    }
    seen.add(next);
    const page: Document = await fetchPage(http, next, scope, what, next === path);
    for (const entry of entriesOf(page.bytes, key, what)) found.add(entry);
    const link = nextLink(String(page.headers.link ?? ''));
    next = link === undefined ? undefined : http.resolve(link, page.url).href;
  }
  return [...found].sort();
}

/** The first is asked for with many entries; a registry that allows fewer is left its own number. */
async function fetchPage(
  http: RegistryHttp,
  path: string,
  scope: string,
  what: string,
  isFirst: boolean,
): Promise<Document> {
  const ask = (where: string): Promise<Document> => http.read({ path: where, scope }, LARGEST_PAGE, what);
  if (!isFirst) return ask(path);
  try {
    return await ask(`${path}?n=${ENTRIES_A_PAGE}`);
  } catch (failure) {
    const isLimit = failure instanceof RegistryError && [400, 405, 413, 422].includes(failure.refusal.status);
    if (isLimit) return ask(path);
    throw failure;
  }
}

/** Null and absent are Go's empty list. */
function entriesOf(bytes: Buffer, key: string, what: string): string[] {
  const listed = parseObject(bytes, what)[key] ?? [];
  if (Array.isArray(listed) && listed.every((item) => typeof item === 'string')) return listed;
  throw new OverlayError({ operation: 'read', path: what, reason: `${key} is no list of names` });
}

/** The target of the link to the next page, as it is written (RFC 8288, 3). */
export function nextLink(header: string): string | undefined {
  const links = /<([^>]*)>((?:\s*;\s*[^\s=;,]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)/g;
  for (const [, target, parameters] of header.matchAll(links)) {
    const pairs = [...parameters.matchAll(/;\s*([^\s=;,]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?/g)];
    // The first rel counts, and may name several relations (3.3).
    const [, , quoted, plain] = pairs.find(([, name]) => name.toLowerCase() === 'rel') ?? [];
    if ((quoted ?? plain ?? '').toLowerCase().split(/\s+/).includes('next')) return target;
  }
  return undefined;
}
