// SPDX-License-Identifier: MIT
/** Archives that ADD takes apart: tar, plain or compressed by gzip, bzip2, xz or zstd. */
import type { Readable } from 'node:stream';
import { fromText } from '../../base/bytes.js';
import { check, OverlayError } from '../../base/errors.js';
import { makeShownDirectory } from '../../image/store/staging.js';
import { type Compression, compressionOf, decompressed } from '../../image/tar/compression.js';
import { decodeHeader } from '../../image/tar/format.js';
import { TarReader } from '../../image/tar/reader.js';
import { archiveLimit, DEFAULT_LIMITS, LayerUnpacker } from '../../image/unpack/unpack.js';
import { Marks } from '../../overlay/formats/marks.js';
import { Fd, O_DIRECTORY, O_RDONLY, openPath } from '../../sys/files.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';

export type ArchiveKind = 'tar' | Exclude<Compression, 'none'>;

/** As many bytes as one must see to know what a file is. */
export const ARCHIVE_START = 512;

/** By its first bytes, as Docker does it; undefined for what is no archive. */
export function archiveKind(start: Buffer): ArchiveKind | undefined {
  const compression = compressionOf(start);
  if (compression !== 'none') return compression;
  return start.length === ARCHIVE_START && decodeHeader(start) !== undefined ? 'tar' : undefined;
}

/** The tar archive within. */
export function archiveOf(source: Readable, kind: ArchiveKind, what: string): Promise<Readable> {
  return decompressed(source, kind === 'tar' ? 'none' : kind, what, archiveLimit(DEFAULT_LIMITS));
}

export interface Unpacking {
  kind: ArchiveKind;
  /** Does not exist yet. */
  directory: string;
  /** For messages. */
  name: string;
  signal: AbortSignal;
}

/** Unpacks into a new directory. Throws an OverlayError for what is no archive after all. */
export async function unpackArchive(
  source: Readable,
  { kind, directory, name, signal }: Unpacking,
): Promise<void> {
  makeShownDirectory(directory);
  using root = new Fd(
    check(openPath(fromText(directory), O_RDONLY | O_DIRECTORY), { operation: 'open', path: directory }),
  );
  const unpacker = new LayerUnpacker(
    root.number,
    name,
    new Marks(!hasTrustedAttributes()),
    DEFAULT_LIMITS,
    'archive',
  );
  const reader = new TarReader(unpacker, name);
  try {
    for await (const chunk of await archiveOf(source, kind, name)) {
      signal.throwIfAborted();
      reader.write(chunk as Buffer);
    }
    reader.finish();
    unpacker.finish();
  } catch (cause) {
    if (cause instanceof OverlayError || signal.aborted) throw cause;
    throw new OverlayError({ operation: 'unpack', path: name, reason: (cause as Error).message, cause });
  } finally {
    unpacker.close();
  }
}
