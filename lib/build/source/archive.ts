// SPDX-License-Identifier: MIT
/** Archives that ADD takes apart: tar, plain or compressed by gzip, bzip2, xz or zstd. */
import { mkdirSync } from 'node:fs';
import { Duplex, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { childProcesses } from '../../base/builtins.js';
import { fromText } from '../../base/bytes.js';
import { check, OverlayError } from '../../base/errors.js';
import { compressionOf, decompressor } from '../../image/compression.js';
import { decodeHeader } from '../../image/tar-format.js';
import { TarReader } from '../../image/tar-reader.js';
import { DEFAULT_LIMITS, LayerUnpacker } from '../../image/unpack.js';
import { Marks } from '../../overlay/marks.js';
import { Fd, O_DIRECTORY, O_RDONLY, openPath } from '../../sys/files.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';

export type ArchiveKind = 'tar' | 'gzip' | 'bzip2' | 'xz' | 'zstd';

const MAGIC: [kind: ArchiveKind, bytes: string][] = [
  ['bzip2', '425a68'],
  ['xz', 'fd377a585a00'],
];

/** As many bytes as one must see to know what a file is. */
export const ARCHIVE_START = 512;

/** By its first bytes, as Docker does it; undefined for what is no archive. */
export function archiveKind(start: Buffer): ArchiveKind | undefined {
  const hex = start.toString('hex', 0, 8);
  const compression = compressionOf(start);
  if (compression !== 'none') return compression;
  const byTools = MAGIC.find(([, magic]) => hex.startsWith(magic))?.[0];
  if (byTools !== undefined) return byTools;
  return start.length === ARCHIVE_START && decodeHeader(start) !== undefined ? 'tar' : undefined;
}

/** Node has no decompressor for these; the tools have, and are everywhere. */
function byTool(program: string, what: string): Duplex {
  const child = childProcesses().spawn(program, ['-dc'], { stdio: ['pipe', 'pipe', 'pipe'] });
  const stream = Duplex.from({ writable: child.stdin, readable: child.stdout });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.on('error', (cause) =>
    stream.destroy(
      new OverlayError({
        operation: 'unpack',
        path: what,
        reason: `there is no ${program} on this machine`,
        remedy: `install ${program}, or compress the archive by gzip`,
        cause,
      }),
    ),
  );
  child.on('exit', (code) => {
    if (code !== 0)
      stream.destroy(
        new OverlayError({ operation: 'unpack', path: what, reason: said.trim() || `${program} failed` }),
      );
  });
  return stream;
}

/** Ends with what is inside; ends the source when it is ended itself. */
export async function decompressed(source: Readable, kind: ArchiveKind, what: string): Promise<Readable> {
  const byNode = kind === 'gzip' || kind === 'zstd' ? await decompressor(kind) : undefined;
  const stream = byNode ?? (kind === 'tar' ? undefined : byTool(kind, what));
  if (stream === undefined) return source;
  // A failure of either is the reader's to see.
  pipeline(source, stream).catch((failure) => stream.destroy(failure as Error));
  return stream as unknown as Readable;
}

/** Unpacks into a new directory. Throws an OverlayError for what is no archive after all. */
export async function unpackArchive(
  source: Readable,
  kind: ArchiveKind,
  directory: string,
  what: string,
  signal: AbortSignal,
): Promise<void> {
  mkdirSync(directory, { mode: 0o755 });
  using root = new Fd(
    check(openPath(fromText(directory), O_RDONLY | O_DIRECTORY), { operation: 'open', path: directory }),
  );
  const unpacker = new LayerUnpacker(
    root.number,
    what,
    new Marks(!hasTrustedAttributes()),
    DEFAULT_LIMITS,
    'archive',
  );
  const reader = new TarReader(unpacker, what);
  try {
    for await (const chunk of await decompressed(source, kind, what)) {
      signal.throwIfAborted();
      reader.write(chunk as Buffer);
    }
    reader.finish();
    unpacker.finish();
  } catch (cause) {
    if (cause instanceof OverlayError || signal.aborted) throw cause;
    throw new OverlayError({ operation: 'unpack', path: what, reason: (cause as Error).message, cause });
  } finally {
    unpacker.close();
  }
}
