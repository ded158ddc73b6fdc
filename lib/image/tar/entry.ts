// SPDX-License-Identifier: MIT
/** One entry of a tar archive, put together from its header and what was said of it before. */
import type { ByteString } from '../../base/bytes.js';
import { type RawHeader, type Segment, type TarEntry, type TarType, TYPES } from './format.js';
import { type PaxRecords, parseSparseMap, paxNumber, paxTime } from './pax.js';

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
  const name = textOf(pax, 'GNU.sparse.name') ?? textOf(pax, 'path') ?? extensions.name ?? header.name;
  const type = typeOf(header, name);
  const mtime = recordOf(pax, 'mtime');
  const time = mtime !== undefined ? paxTime(mtime) : { seconds: header.mtime, nanoseconds: 0 };
  const uid = asId(numberOf(pax, 'uid', header.uid));
  const gid = asId(numberOf(pax, 'gid', header.gid));
  const segments = segmentsOf(pax, extensions.sparse);
  const size = numberOf(pax, 'GNU.sparse.realsize', numberOf(pax, 'GNU.sparse.size', header.size));
  if (!isId(uid) || !isId(gid)) return 'an entry has no proper owner';
  if (time === undefined || !Number.isSafeInteger(time.seconds)) return 'an entry has no proper time';
  if (segments === undefined || !isSize(size)) return 'the map of a sparse file is malformed';
  const { deviceMajor, deviceMinor } = header;
  const isDevice = type === 'character device' || type === 'block device';
  if (isDevice && !(deviceMajor >= 0 && deviceMinor >= 0)) return 'a device has no proper number';
  const last = segments?.at(-1);
  if (last !== undefined && last.offset + last.size > size) return 'the map of a sparse file is malformed';
  return {
    name,
    type,
    mode: header.mode,
    uid,
    gid,
    size: type === 'file' ? size : 0,
    modifySeconds: time.seconds,
    modifyNanoseconds: time.nanoseconds,
    target: textOf(pax, 'linkpath') ?? extensions.target ?? header.target,
    deviceMajor,
    deviceMinor,
    xattrs: xattrsOf(pax),
    segments,
  };
}

/** Before POSIX a directory was a file whose name ends in a slash. What has data is a file all the same. */
function typeOf({ flag, size }: RawHeader, name: ByteString): TarType {
  const type = Object.hasOwn(TYPES, flag) ? TYPES[flag] : 'file';
  return type === 'file' && size === 0 && name.endsWith('/') ? 'directory' : type;
}

/** Some write the ids at the upper end as negative numbers. */
function asId(value: number): number {
  return value < 0 && value >= -0x80000000 ? value + 2 ** 32 : value;
}

function isId(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 0xffffffff;
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** An empty value takes back what was said before, and the header counts (pax(1), "pax Extended Header"). */
function recordOf(pax: PaxRecords, key: string): Buffer | undefined {
  const value = pax.get(key);
  return value === undefined || value.length === 0 ? undefined : value;
}

function textOf(pax: PaxRecords, key: string): ByteString | undefined {
  const value = recordOf(pax, key);
  return value?.latin1Slice(0, value.length);
}

export function numberOf(pax: PaxRecords, key: string, otherwise: number): number {
  const value = recordOf(pax, key);
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
