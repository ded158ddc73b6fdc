// SPDX-License-Identifier: MIT
/** One entry of a tar archive, put together from its header and what was said of it before. */
import type { ByteString } from '../base/bytes.js';
import { type PaxRecords, parseSparseMap, paxNumber, paxTime } from './pax.js';
import { type RawHeader, type Segment, type TarEntry, TYPES } from './tar-format.js';

const XATTR = 'SCHILY.xattr.';
/** libarchive's: the name percent-encoded, the value in base64. */
const LIBARCHIVE_XATTR = 'LIBARCHIVE.xattr.';

export interface Extensions {
  pax: PaxRecords;
  /** From GNU's long headers. */
  name: ByteString | undefined;
  target: ByteString | undefined;
  /** Numbers of a sparse map that was found outside of the records. */
  sparse: readonly number[];
}

/** The entry, or what is wrong with it. */
export function composeEntry(header: RawHeader, extensions: Extensions): TarEntry | string {
  const { pax } = extensions;
  const type = Object.hasOwn(TYPES, header.flag) ? TYPES[header.flag] : undefined;
  if (type === undefined) return `an entry of type ${JSON.stringify(header.flag)} is not known`;
  const time = pax.has('mtime') ? paxTime(pax.get('mtime')!) : { seconds: header.mtime, nanoseconds: 0 };
  const uid = numberOf(pax, 'uid', header.uid);
  const gid = numberOf(pax, 'gid', header.gid);
  const segments = segmentsOf(pax, extensions.sparse);
  const size = numberOf(pax, 'GNU.sparse.realsize', numberOf(pax, 'GNU.sparse.size', header.size));
  if (!isId(uid) || !isId(gid)) return 'an entry has no proper owner';
  if (time === undefined || !Number.isSafeInteger(time.seconds)) return 'an entry has no proper time';
  if (segments === undefined || !isSize(size)) return 'the map of a sparse file is malformed';
  const last = segments?.at(-1);
  if (last !== undefined && last.offset + last.size > size) return 'the map of a sparse file is malformed';
  return {
    name: textOf(pax, 'GNU.sparse.name') ?? textOf(pax, 'path') ?? extensions.name ?? header.name,
    type,
    mode: header.mode,
    uid,
    gid,
    size: type === 'file' ? size : 0,
    modifySeconds: time.seconds,
    modifyNanoseconds: time.nanoseconds,
    target: textOf(pax, 'linkpath') ?? extensions.target ?? header.target,
    deviceMajor: header.deviceMajor,
    deviceMinor: header.deviceMinor,
    xattrs: xattrsOf(pax),
    segments,
  };
}

function isId(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 0xffffffff;
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function textOf(pax: PaxRecords, key: string): ByteString | undefined {
  const value = pax.get(key);
  return value === undefined || value.length === 0 ? undefined : value.latin1Slice(0, value.length);
}

function numberOf(pax: PaxRecords, key: string, otherwise: number): number {
  const value = pax.get(key);
  return value === undefined ? otherwise : (paxNumber(value) ?? Number.NaN);
}

/** Null for a file that is not sparse, undefined for a map that makes no sense. */
function segmentsOf(pax: PaxRecords, found: readonly number[]): Segment[] | null | undefined {
  const map = pax.get('GNU.sparse.map');
  if (map !== undefined) return parseSparseMap(map.toString('latin1').split(',').map(Number));
  const isSparse = found.length > 0 || pax.has('GNU.sparse.realsize') || pax.has('GNU.sparse.major');
  return isSparse ? parseSparseMap(found) : null;
}

function xattrsOf(pax: PaxRecords): Map<ByteString, Buffer> {
  const xattrs = new Map<ByteString, Buffer>();
  for (const [key, value] of pax) {
    if (key.startsWith(LIBARCHIVE_XATTR)) {
      const name = decodePercent(key.slice(LIBARCHIVE_XATTR.length));
      xattrs.set(name, Buffer.from(value.toString('latin1'), 'base64'));
    }
  }
  for (const [key, value] of pax) if (key.startsWith(XATTR)) xattrs.set(key.slice(XATTR.length), value);
  return xattrs;
}

function decodePercent(text: ByteString): ByteString {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}
