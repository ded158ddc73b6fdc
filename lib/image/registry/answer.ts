// SPDX-License-Identifier: MIT
/**
 * What registries answer: documents, undone of what the way put around them, and
 * errors in the registry's own words (distribution-spec, "Error Codes").
 */
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import { type ErrorStory, OverlayError } from '../../base/errors.js';
import type { Response } from '../connection/http-transport.js';
import { parseObject } from '../model/documents.js';

/** An answer with the place that it came from, after redirects: what it names is relative to that (RFC 9110, 10.2.2). */
export interface Answer extends Response {
  url: URL;
}

/** An answer that was read whole. */
export interface Document extends Pick<Answer, 'url' | 'headers'> {
  bytes: Buffer;
}

/** What a registry says when it says no. */
export interface Refusal {
  status: number;
  /** Such as NAME_UNKNOWN, from a registry that keeps to the specification. */
  codes: readonly string[];
  /** All that it says, on one line; '' where it says nothing. */
  words: string;
  /** Milliseconds after which it wants to be asked again. */
  retryAfter: number;
}

export class RegistryError extends OverlayError {
  constructor(
    story: ErrorStory,
    readonly refusal: Refusal,
  ) {
    super(story);
  }
}

/** Whether a registry says that it does not have what was asked for. */
export function isAbsence(failure: unknown): failure is RegistryError {
  return failure instanceof RegistryError && failure.refusal.status === 404;
}

/** The connection ended before the answer did. */
export class CutOff extends Error {}

const LARGEST_ERROR = 64 * 1024;
const LONGEST_WORDS = 500;

/**
 * Reads an answer whole, if it is not larger than `limit`. Throws CutOff for one that
 * breaks off, or is shorter than `size`, and an OverlayError for what cannot be read.
 */
export async function readBody(answer: Response, limit: number, what: string, size = 0): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let received = 0;
  try {
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      received += chunk.length;
      if (received > limit) break;
      chunks.push(chunk);
    }
  } catch (cause) {
    throw new CutOff((cause as Error).message, { cause });
  } finally {
    answer.body.destroy();
  }
  if (received > limit) throw tooLarge(what, limit);
  const bytes = uncompressed(Buffer.concat(chunks), answer.headers['content-encoding'], limit, what);
  if (bytes.length < size) throw new CutOff(`${bytes.length} of ${size} bytes came`);
  return bytes;
}

function tooLarge(what: string, limit: number): OverlayError {
  return new OverlayError({ operation: 'read', path: what, reason: `it is larger than ${limit} bytes` });
}

/** Undoes the codings of an answer (RFC 9110, 8.4): some servers compress unasked, or keep files compressed and do not say so. */
function uncompressed(bytes: Buffer, encoding: string | undefined, limit: number, what: string): Buffer {
  const codings = (encoding ?? '').toLowerCase().split(/[\s,]+/);
  let plain = bytes;
  try {
    for (const coding of codings.reverse()) plain = decode(plain, coding, limit);
    // No JSON begins so.
    return isGzip(plain) ? gunzipSync(plain, { maxOutputLength: limit }) : plain;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(what, limit);
    const reason = `its compression (${codings.join(', ') || 'gzip'}) cannot be undone: ${(cause as Error).message}`;
    throw new OverlayError({ operation: 'read', path: what, reason, cause });
  }
}

function isGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function decode(bytes: Buffer, coding: string, limit: number): Buffer {
  const options = { maxOutputLength: limit };
  switch (coding) {
    case '':
    case 'identity':
      return bytes;
    case 'gzip':
    case 'x-gzip':
      // A proxy may have undone it and left the word.
      return isGzip(bytes) ? gunzipSync(bytes, options) : bytes;
    case 'deflate':
      return inflateSync(bytes, options);
    case 'br':
      return brotliDecompressSync(bytes, options);
    default:
      throw new Error('it is not known');
  }
}

type Words = Pick<Refusal, 'words' | 'codes'>;

/** What a registry, or its token server, says is wrong. */
export async function readWords(answer: Response): Promise<Words> {
  const none = Buffer.alloc(0);
  const bytes = await readBody(answer, LARGEST_ERROR, 'the answer').catch(() => none);
  return wordsOf(bytes, String(answer.headers['content-type'] ?? ''));
}

/** The same of an answer that was read. */
export function wordsOf(bytes: Buffer, type: string): Words {
  try {
    return fromJson(parseObject(bytes, 'the answer'));
  } catch {
    // An error page of a proxy says nothing that fits a line; a line of text may.
    const text = bytes.toString('utf8').trim();
    const isLine = /^text\/plain/i.test(type) && !/[<\n]/.test(text);
    return { words: isLine ? oneLine(text) : '', codes: [] };
  }
}

/** The list of the specification, or what servers that do not keep to it have instead. */
function fromJson(body: Record<string, unknown>): Words {
  const errors = Array.isArray(body.errors) ? body.errors.filter(isObject) : [];
  if (errors.length === 0) {
    // RFC 6749, 5.2: a code, and perhaps what it means here.
    const oauth = [body.error, body.error_description].filter(isText).join(': ');
    const said = [body.message, oauth, body.details].find(isText);
    return { words: oneLine(said ?? ''), codes: [] };
  }
  const words = errors.map(({ code, message, detail }) => {
    const named = [code, message].filter(isText).join(': ');
    return isText(detail) && detail !== message ? `${named} (${detail})` : named;
  });
  return { words: oneLine(words.join('; ')), codes: errors.map(({ code }) => code).filter(isText) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** What a stranger says goes to a terminal: without control characters, and not without an end. */
export function oneLine(text: string): string {
  const line = text.replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ').trim();
  return line.length > LONGEST_WORDS ? `${line.slice(0, LONGEST_WORDS)}…` : line;
}
