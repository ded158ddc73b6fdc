// SPDX-License-Identifier: MIT
/**
 * pax records, `LENGTH KEY=VALUE\n`: what does not fit a header (pax(1), "pax
 * Extended Header"). Values are bytes: extended attributes hold any.
 */
import type { ByteString } from '../../base/bytes.js';
import type { Segment } from './format.js';

export type PaxRecords = Map<ByteString, Buffer>;

/** The records of an extended header; undefined where they are malformed. Sparse maps of format 0.0 repeat their keys and come joined by commas. */
export function decodePax(bytes: Buffer): PaxRecords | undefined {
  const records: PaxRecords = new Map();
  const map: Buffer[] = [];
  for (let at = 0; at < bytes.length && !isFilling(bytes, at); ) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 || space - at > 10 ? '' : bytes.latin1Slice(at, space);
    const length = /^\d+$/.test(digits) ? Number(digits) : Number.NaN;
    const end = at + length;
    if (!Number.isInteger(length) || end > bytes.length || bytes[end - 1] !== 0x0a) return undefined;
    const equals = bytes.indexOf(0x3d, space);
    if (equals < 0 || equals >= end) return undefined;
    const key = bytes.latin1Slice(space + 1, equals);
    const value = Buffer.from(bytes.subarray(equals + 1, end - 1));
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') map.push(value, COMMA);
    else records.set(key, value);
    at = end;
  }
  if (map.length > 0) records.set('GNU.sparse.map', Buffer.concat(map.slice(0, -1)));
  return records;
}

const COMMA = Buffer.from(',');

/** Some fill the last block up with NULs and count them. */
function isFilling(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0 && bytes.subarray(at).every((byte) => byte === 0);
}

/** The bytes of an extended header, its records in the order of their keys. */
export function encodePax(records: PaxRecords): Buffer {
  const keys = [...records.keys()].sort((a, b) => (a < b ? -1 : 1));
  return Buffer.concat(
    keys.map((key) => {
      const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), records.get(key)!, Buffer.from('\n')]);
      // The length counts its own digits.
      let length = rest.length + 1;
      while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
}

/** A decimal count; undefined where the value is none or not exact. */
export function paxNumber(value: Buffer): number | undefined {
  const digits = value.toString('latin1');
  const number = Number(digits);
  return /^-?\d+$/.test(digits) && Number.isSafeInteger(number) ? number : undefined;
}

/** Seconds with a fraction, exact to the nanosecond: `1700000000.123456789`. */
export function paxTime(value: Buffer): { seconds: number; nanoseconds: number } | undefined {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(value.toString('latin1'));
  if (match === null) return undefined;
  const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  const seconds = Number(match[2]);
  if (match[1] === '') return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: -seconds, nanoseconds: 0 }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}

export function formatPaxTime(seconds: number, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds);
  const [whole, part] = seconds < 0 ? [seconds + 1, 1e9 - nanoseconds] : [seconds, nanoseconds];
  const fraction = String(part).padStart(9, '0').replace(/0+$/, '');
  return `${seconds < 0 && whole === 0 ? '-0' : whole}.${fraction}`;
}

/** `offset,size,offset,size…`; undefined for a map that goes back or is cut off. */
export function parseSparseMap(numbers: readonly number[]): Segment[] | undefined {
  if (numbers.length % 2 !== 0) return undefined;
  const segments: Segment[] = [];
  let end = 0;
  for (let at = 0; at < numbers.length; at += 2) {
    const [offset, size] = [numbers[at], numbers[at + 1]];
    if (!Number.isSafeInteger(offset + size) || offset < end || size < 0) return undefined;
    end = offset + size;
    if (size > 0) segments.push({ offset, size });
  }
  return segments;
}
