// SPDX-License-Identifier: MIT
/**
 * The bytes of a tar archive, the same for the same entries: plain ustar headers,
 * and a pax header only before an entry that does not fit one (names over 100
 * bytes, names that are not ASCII, large numbers, fractions of seconds, attributes).
 */
import type { ByteString } from '../../base/bytes.js';
import { BLOCK, encodeHeader, fitsOctal, type TarEntry, TYPE_FLAGS } from './format.js';
import { encodePax, formatPaxTime, type PaxRecords } from './pax.js';

const NAME_SIZE = 100;
/** What the pax header itself is called; only tools that do not know pax show it. */
const PAX_NAME = 'PaxHeaders/entry';

function isPlain(text: ByteString): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the portable characters are a range of codes
  return text.length <= NAME_SIZE && /^[\x01-\x7f]*$/.test(text);
}

function recordsFor(entry: TarEntry): PaxRecords {
  const records: PaxRecords = new Map();
  const put = (key: string, value: string): void => void records.set(key, Buffer.from(value, 'latin1'));
  if (!isPlain(entry.name)) put('path', entry.name);
  if (!isPlain(entry.target)) put('linkpath', entry.target);
  if (!fitsOctal(entry.uid, 8)) put('uid', String(entry.uid));
  if (!fitsOctal(entry.gid, 8)) put('gid', String(entry.gid));
  if (!fitsOctal(entry.size, 12)) put('size', String(entry.size));
  if (entry.modifyNanoseconds !== 0 || !fitsOctal(entry.modifySeconds, 12)) {
    put('mtime', formatPaxTime(entry.modifySeconds, entry.modifyNanoseconds));
  }
  for (const [name, value] of entry.xattrs) records.set(`SCHILY.xattr.${name}`, value);
  return records;
}

function fitted(value: number, size: number): number {
  return fitsOctal(value, size) ? value : 0;
}

/** What stands before an entry's data. Sparse files are written whole: `segments` is not looked at. */
export function headerOf(entry: TarEntry): Buffer {
  const records = recordsFor(entry);
  const main = encodeHeader({
    name: entry.name.slice(0, NAME_SIZE),
    flag: TYPE_FLAGS[entry.type],
    mode: entry.mode,
    uid: fitted(entry.uid, 8),
    gid: fitted(entry.gid, 8),
    size: fitted(entry.size, 12),
    mtime: fitted(entry.modifySeconds, 12),
    target: entry.target.slice(0, NAME_SIZE),
    deviceMajor: entry.deviceMajor,
    deviceMinor: entry.deviceMinor,
  });
  if (records.size === 0) return main;
  const body = encodePax(records);
  const extended = encodeHeader({
    name: PAX_NAME,
    flag: 'x',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: 0,
    target: '',
    deviceMajor: 0,
    deviceMinor: 0,
  });
  return Buffer.concat([extended, body, paddingAfter(body.length), main]);
}

/** Zeros up to the next block. */
export function paddingAfter(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What ends an archive. */
export const END_OF_ARCHIVE: Buffer = Buffer.alloc(2 * BLOCK);

/** A small file of an archive, whole. */
export function fileEntry(name: ByteString, content: Uint8Array, modifySeconds = 0): Buffer {
  const header = headerOf(plainEntry(name, content.length, modifySeconds));
  return Buffer.concat([header, content, paddingAfter(content.length)]);
}

/** A file that root may write and all may read. */
export function plainEntry(name: ByteString, size: number, modifySeconds = 0): TarEntry {
  return {
    name,
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size,
    modifySeconds,
    modifyNanoseconds: 0,
    target: '',
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: new Map(),
    segments: null,
  };
}
