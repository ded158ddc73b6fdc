// SPDX-License-Identifier: MIT
/** A file of a source that ADD takes apart. */
import { Readable } from 'node:stream';
import { toText } from '../../base/bytes.js';
import { check } from '../../base/errors.js';
import { decodeHeader } from '../../image/tar/format.js';
import { MissingTool } from '../../image/tar/tool-decompressor.js';
import { readData } from '../../overlay/data/data.js';
import { S_IFREG } from '../../sys/stat.js';
import { ARCHIVE_START, type ArchiveKind, archiveKind, archiveOf, unpackArchive } from './archive.js';
import { type Found, SourceTree } from './source-tree.js';

const CHUNK = 1 << 20;

/** Its bytes, or the first of them. */
function* contentOf({ tree, node, path }: Found, most = Number.MAX_SAFE_INTEGER): Generator<Buffer> {
  const story = { operation: 'read', path: toText(path) };
  for (let at = 0; at < most; ) {
    const buffer = Buffer.alloc(Math.min(CHUNK, most - at));
    const count = check(readData(tree.union, node, buffer, buffer.length, at), story);
    if (count === 0) return;
    yield buffer.subarray(0, count);
    at += count;
  }
}

/** Of what kind of archive it is. A file that is only compressed is none. */
export async function archiveKindOf(found: Found, signal: AbortSignal): Promise<ArchiveKind | undefined> {
  if (found.node.type !== S_IFREG) return undefined;
  const kind = archiveKind(Buffer.concat([...contentOf(found, ARCHIVE_START)]));
  if (kind === undefined || kind === 'tar') return kind;
  const inner = await firstBytes(Readable.from(contentOf(found)), kind, toText(found.path), signal);
  return inner.length >= ARCHIVE_START && decodeHeader(inner.subarray(0, ARCHIVE_START)) !== undefined
    ? kind
    : undefined;
}

/** As many as there are, or none of what cannot be decompressed. */
async function firstBytes(
  source: Readable,
  kind: ArchiveKind,
  what: string,
  signal: AbortSignal,
): Promise<Buffer> {
  let start = Buffer.alloc(0);
  try {
    for await (const chunk of await archiveOf(source, kind, what)) {
      start = Buffer.concat([start, chunk as Buffer]);
      if (start.length >= ARCHIVE_START) break;
    }
  } catch (failure) {
    signal.throwIfAborted();
    // What begins like an archive and is damaged is a file, as with Docker.
    if (failure instanceof MissingTool) throw failure;
  }
  return start;
}

/** What an archive holds, as a source; `directory` does not exist yet. */
export async function openArchive(
  found: Found,
  kind: ArchiveKind,
  directory: string,
  signal: AbortSignal,
): Promise<SourceTree> {
  const name = toText(found.path);
  await unpackArchive(Readable.from(contentOf(found)), { kind, directory, name, signal });
  return new SourceTree({ lowers: [directory] }, name, true);
}
