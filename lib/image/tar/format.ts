// SPDX-License-Identifier: MIT
/**
 * The blocks of a tar archive: POSIX ustar, with GNU's numbers and Sun's and
 * GNU's types (pax(1); GNU tar's manual, "Basic Tar Format"). Names are bytes.
 *
 *   name[100] mode[8] uid[8] gid[8] size[12] mtime[12] chksum[8] type[1] linkname[100]
 *   magic[6] version[2] uname[32] gname[32] devmajor[8] devminor[8] prefix[155]
 */
import type { ByteString } from '../../base/bytes.js';

export const BLOCK = 512;

export type TarType =
  | 'file'
  | 'hard link'
  | 'symlink'
  | 'character device'
  | 'block device'
  | 'directory'
  | 'fifo';

/** Any other is a file, as POSIX has it (pax(1), "typeflag") and GNU tar and Python take it; but see NO_FILE. */
export const TYPES: Readonly<Record<string, TarType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hard link',
  '2': 'symlink',
  '3': 'character device',
  '4': 'block device',
  '5': 'directory',
  '6': 'fifo',
  // GNU's incremental archives: the data are the names that the directory had.
  D: 'directory',
};

/** Types whose data are no file's: GNU's label of a volume and old list of names, Solaris's ACLs and attributes, star's inodes. */
export const NO_FILE: ReadonlySet<string> = new Set(['V', 'N', 'A', 'E', 'I']);
/** GNU's: the rest of a file that begins in another volume. */
export const CONTINUATION = 'M';

export const TYPE_FLAGS = Object.fromEntries(
  Object.entries(TYPES)
    .filter(([flag]) => /[0-6]/.test(flag))
    .map(([flag, type]) => [type, flag]),
) as Record<TarType, string>;

/** A stretch of a sparse file that has data. */
export interface Segment {
  offset: number;
  size: number;
}

export interface TarEntry {
  name: ByteString;
  type: TarType;
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of the file, holes included. */
  size: number;
  modifySeconds: number;
  modifyNanoseconds: number;
  /** What a link leads to. */
  target: ByteString;
  deviceMajor: number;
  deviceMinor: number;
  xattrs: Map<ByteString, Buffer>;
  /** Where a sparse file's data goes, in order; null for a file without holes. */
  segments: Segment[] | null;
}

/** A header as it stands in its block; the type is still a letter. */
export interface RawHeader {
  name: ByteString;
  flag: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  target: ByteString;
  deviceMajor: number;
  deviceMinor: number;
  isGnu: boolean;
}

/** Numbers are padded by blanks or NULs. */
const PADDING = /^[\0 ]+|[\0 ].*$/gs;

function text(block: Buffer, at: number, size: number): ByteString {
  const end = block.indexOf(0, at);
  return block.latin1Slice(at, end < 0 || end > at + size ? at + size : end);
}

/** Octal digits between blanks or NULs, or GNU's base 256; NaN for anything else. */
export function readNumber(block: Buffer, at: number, size: number): number {
  if ((block[at] & 0x80) !== 0) return readBinary(block, at, size);
  const digits = block.latin1Slice(at, at + size).replace(PADDING, '');
  if (digits === '') return 0;
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}

/** Two's complement in all bits but the first, the most significant byte first. */
function readBinary(block: Buffer, at: number, size: number): number {
  const isNegative = (block[at] & 0x40) !== 0;
  let value = BigInt(block[at] & 0x7f);
  for (let index = 1; index < size; index++) value = (value << 8n) | BigInt(block[at + index]);
  return Number(isNegative ? value - (1n << BigInt(size * 8 - 1)) : value);
}

export function isZero(block: Buffer): boolean {
  for (let at = 0; at < BLOCK; at += 8) {
    if (block.readUInt32LE(at) !== 0 || block.readUInt32LE(at + 4) !== 0) return false;
  }
  return true;
}

/** The sum of all bytes, those of the field itself taken for spaces. */
function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at];
  return sum;
}

/** Sun's tar took bytes for signed ones (GNU tar's manual, "Basic Tar Format"). */
function isChecksum(block: Buffer, claimed: number): boolean {
  const sum = checksum(block);
  if (claimed === sum) return true;
  let high = 0;
  for (let at = 0; at < BLOCK; at++) if ((at < 148 || at >= 156) && block[at] >= 0x80) high++;
  return claimed === sum - 256 * high;
}

/** star has times where others have the end of the prefix, and its own mark at the end of the block. */
const STAR_PREFIX_SIZE = 131;
const PREFIX_SIZE = 155;

function prefixOf(block: Buffer): ByteString {
  return text(block, 345, block.latin1Slice(508, 512) === 'tar\0' ? STAR_PREFIX_SIZE : PREFIX_SIZE);
}

/** Undefined where the block is no header. */
export function decodeHeader(block: Buffer): RawHeader | undefined {
  if (!isChecksum(block, readNumber(block, 148, 8))) return undefined;
  const magic = block.latin1Slice(257, 263);
  const isGnu = magic === 'ustar ';
  const prefix = magic === 'ustar\0' ? prefixOf(block) : '';
  const name = text(block, 0, 100);
  const isOld = magic !== 'ustar\0' && !isGnu;
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    flag: String.fromCharCode(block[156]),
    mode: readNumber(block, 100, 8) & 0o7777,
    uid: readNumber(block, 108, 8),
    gid: readNumber(block, 116, 8),
    size: readNumber(block, 124, 12),
    mtime: readNumber(block, 136, 12),
    target: text(block, 157, 100),
    deviceMajor: isOld ? 0 : readNumber(block, 329, 8),
    deviceMinor: isOld ? 0 : readNumber(block, 337, 8),
    isGnu,
  };
}

function putText(block: Buffer, at: number, value: ByteString): void {
  block.latin1Write(value, at, value.length);
}

function putOctal(block: Buffer, at: number, size: number, value: number): void {
  putText(block, at, `${value.toString(8).padStart(size - 1, '0')}\0`);
}

/** Whether a number fits the digits of a field. */
export function fitsOctal(value: number, size: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 8 ** (size - 1);
}

/** A block from fields that fit it: names of at most 100 bytes, numbers that fitsOctal. */
export function encodeHeader(header: Omit<RawHeader, 'isGnu'>): Buffer {
  const block = Buffer.alloc(BLOCK);
  putText(block, 0, header.name);
  putOctal(block, 100, 8, header.mode);
  putOctal(block, 108, 8, header.uid);
  putOctal(block, 116, 8, header.gid);
  putOctal(block, 124, 12, header.size);
  putOctal(block, 136, 12, header.mtime);
  putText(block, 156, header.flag);
  putText(block, 157, header.target);
  putText(block, 257, 'ustar\x0000');
  putOctal(block, 329, 8, header.deviceMajor);
  putOctal(block, 337, 8, header.deviceMinor);
  putText(block, 148, `${checksum(block).toString(8).padStart(6, '0')}\0 `);
  return block;
}
