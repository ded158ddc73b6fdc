// SPDX-License-Identifier: MIT
/**
 * Reads the arguments of calls in the shape of node:fs. What is accepted is checked here; how a
 * bad argument is refused, Node itself says: its own function is called on the empty path, where
 * it can do nothing but judge its arguments.
 */
import * as fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { type ByteString, fromPath } from '../base/bytes.js';
import { codedError } from './errors.js';

/** A path as node:fs takes it: text in UTF-8, bytes, or a `file:` URL. */
export type Path = string | Uint8Array | URL;

type Judge = (value: never) => unknown;

/** How Node judges a path, by the name it has in its error. */
const pathJudges = {
  path: (path: string) => fs.statSync(path),
  oldPath: (path: string) => fs.renameSync(path, ''),
  newPath: (path: string) => fs.renameSync('', path),
  existingPath: (path: string) => fs.linkSync(path, ''),
  src: (path: string) => fs.copyFileSync(path, ''),
  dest: (path: string) => fs.copyFileSync('', path),
  target: (path: string) => fs.symlinkSync(path, ''),
  prefix: (path: string) => fs.mkdtempSync(path),
} satisfies Record<string, Judge>;

function refuse(name: string, value: unknown, judge: Judge): never {
  try {
    judge(value as never);
  } catch (refused) {
    if (/^ERR_/.test((refused as NodeJS.ErrnoException).code ?? '') || refused instanceof URIError)
      throw refused;
  }
  throw invalidValue(name, value, 'is invalid');
}

export function invalidValue(name: string, value: unknown, reason: string): TypeError {
  const kind = name.includes('.') ? 'property' : 'argument';
  const text = `The ${kind} '${name}' ${reason}. Received ${inspect(value)}`;
  return codedError(new TypeError(text), 'ERR_INVALID_ARG_VALUE');
}

export function readPath(value: unknown, name: keyof typeof pathJudges = 'path'): ByteString {
  const path = value instanceof URL ? fileURLToPath(value) : value;
  if (typeof path !== 'string' && !(path instanceof Uint8Array)) refuse(name, path, pathJudges[name]);
  const bytes = fromPath(path);
  if (bytes.includes('\0')) refuse(name, path, pathJudges[name]);
  return bytes;
}

/** Options that may be an encoding alone. */
export function readOptions<Options extends object>(
  value: unknown,
): Partial<Options> & { encoding?: unknown } {
  if (value === undefined || value === null || typeof value === 'function') return {};
  const options = typeof value === 'string' ? { encoding: value } : value;
  if (typeof options !== 'object') refuse('options', value, (bad) => fs.readlinkSync('', bad));
  const { encoding, signal } = options as { encoding?: unknown; signal?: unknown };
  readEncoding(encoding, true);
  if (signal !== undefined && !(typeof signal === 'object' && signal !== null && 'aborted' in signal)) {
    throw invalidType('options.signal', 'an instance of AbortSignal', signal);
  }
  return options as Partial<Options>;
}

/** Options that are an object or nothing. */
export function readObject<Options extends object>(value: unknown, judge: Judge): Partial<Options> {
  if (value === undefined) return {};
  if (value === null || typeof value !== 'object' || Array.isArray(value)) refuse('options', value, judge);
  return value as Partial<Options>;
}

export function readEncoding(value: unknown, allowsBuffer = false): BufferEncoding | undefined {
  if (value === undefined || value === null || (allowsBuffer && value === 'buffer')) return undefined;
  if (!Buffer.isEncoding(value as string)) refuse('encoding', value, (bad) => fs.readlinkSync('', bad));
  return value as BufferEncoding;
}

/** A name or path in the form that was asked for: text, or bytes where `encoding` is `buffer`. */
export function encodeName(bytes: ByteString, encoding: unknown): string | Buffer {
  const buffer = Buffer.from(bytes, 'latin1');
  return encoding === 'buffer' ? buffer : buffer.toString(readEncoding(encoding) ?? 'utf8');
}

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } = fs.constants;
const WRITE = O_TRUNC | O_CREAT;
const ADD = O_APPEND | O_CREAT;

const FLAGS: Record<string, number> = {
  r: O_RDONLY,
  rs: O_RDONLY | O_SYNC,
  'r+': O_RDWR,
  'rs+': O_RDWR | O_SYNC,
  w: WRITE | O_WRONLY,
  wx: WRITE | O_WRONLY | O_EXCL,
  'w+': WRITE | O_RDWR,
  'wx+': WRITE | O_RDWR | O_EXCL,
  a: ADD | O_WRONLY,
  ax: ADD | O_WRONLY | O_EXCL,
  as: ADD | O_WRONLY | O_SYNC,
  'a+': ADD | O_RDWR,
  'ax+': ADD | O_RDWR | O_EXCL,
  'as+': ADD | O_RDWR | O_SYNC,
};
/** Node takes the two letters in either order. */
for (const name of Object.keys(FLAGS)) {
  if (/^.[sx]/.test(name)) FLAGS[name[1] + name[0] + name.slice(2)] = FLAGS[name];
}

export function readFlags(value: unknown, otherwise = O_RDONLY): number {
  if (value === undefined || value === null) return otherwise;
  const flags = typeof value === 'string' ? FLAGS[value] : value;
  if (typeof flags !== 'number' || (flags | 0) !== flags) {
    refuse('flags', value, (bad) => fs.openSync('', bad));
  }
  return flags;
}

/** Permission bits, as a number or as octal text. */
export function readMode(value: unknown, otherwise?: number): number {
  const mode =
    value === undefined || value === null
      ? otherwise
      : typeof value === 'string' && /^[0-7]+$/.test(value)
        ? Number.parseInt(value, 8)
        : value;
  if (typeof mode !== 'number' || mode >>> 0 !== mode) refuse('mode', value, (bad) => fs.chmodSync('', bad));
  return mode;
}

/** An owner or group; -1, which leaves it as it is, is the highest number to the kernel. */
export function readId(value: unknown, name: 'uid' | 'gid'): number {
  if (!Number.isInteger(value) || (value as number) < -1 || (value as number) > 0xffffffff) {
    refuse(name, value, (bad) => (name === 'uid' ? fs.chownSync('', bad, 0) : fs.chownSync('', 0, bad)));
  }
  return (value as number) >>> 0;
}

/** By the rules of Node's toUnixTimestamp (lib/internal/fs/utils.js): a number before the epoch is now. */
function readSeconds(value: unknown): number {
  if (value instanceof Date) return value.getTime() / 1000;
  const isText = typeof value === 'string';
  const seconds = isText ? Number(value) : value;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) {
    refuse('time', value, (bad) => fs.utimesSync('', bad, bad));
  }
  return seconds < 0 && !isText ? Date.now() / 1000 : seconds;
}

/** A time in seconds since the epoch, as text too, or a date; answers seconds and nanoseconds. */
export function readTime(value: unknown): [number, number] {
  const seconds = readSeconds(value);
  const whole = Math.floor(seconds);
  // libuv gives the kernel microseconds; rounded, as a fraction of seconds is rarely exact.
  const micros = Math.min(999_999, Math.floor((seconds - whole) * 1e6 + 0.01));
  return [whole, micros * 1000];
}

export function readBoolean(value: unknown, name: string): boolean {
  if (value === undefined) return false;
  if (typeof value !== 'boolean') throw invalidType(name, 'of type boolean', value);
  return value;
}

/** A whole number within bounds. */
export function readInteger(
  value: unknown,
  name: string,
  low: number,
  high = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < low || value > high) throw outOfRange(name, `>= ${low} && <= ${high}`, value);
  return value;
}

export function outOfRange(name: string, range: string, value: unknown): RangeError {
  const text = `The value of "${name}" is out of range. It must be ${range}. Received ${inspect(value)}`;
  return codedError(new RangeError(text), 'ERR_OUT_OF_RANGE');
}

export function invalidType(name: string, expected: string, value: unknown): TypeError {
  const kind = name.includes('.') ? 'property' : 'argument';
  const text = `The "${name}" ${kind} must be ${expected}. Received ${describe(value)}`;
  return codedError(new TypeError(text), 'ERR_INVALID_ARG_TYPE');
}

/** As Node describes what it got in place of what it wants. */
function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value === 'object') {
    const { name } = (value as object).constructor ?? {};
    return name ? `an instance of ${name}` : inspect(value, { depth: -1 });
  }
  return `type ${typeof value} (${inspect(value, { colors: false })})`;
}
