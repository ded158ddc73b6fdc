// SPDX-License-Identifier: MIT
/**
 * JSON from outside. Tools are written in languages whose empty lists and texts come
 * out as null, as nothing or as what they are: all three mean the same, so a null is
 * taken out before anybody looks.
 */
import { OverlayError } from '../../base/errors.js';

export type Json = Record<string, unknown>;

export function refuse(what: string, reason: string): never {
  throw new OverlayError({ operation: 'read', path: what, reason });
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (item === null ? [] : [[key, withoutNulls(item)]])),
  );
}

/** Throws an OverlayError for what is no JSON object. */
export function parseObject(bytes: Uint8Array, what: string): Json {
  let value: unknown;
  try {
    // Leaves a byte order mark out (RFC 8259, 8.1).
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new OverlayError({ operation: 'read', path: what, reason: 'it is not JSON', cause });
  }
  if (!isObject(value)) refuse(what, 'it is no JSON object');
  return withoutNulls(value) as Json;
}

/** The list of a document, each item checked; what is left out is an empty one. */
export function listOf(document: Json, key: string, what: string): unknown[] {
  const value = document[key] ?? [];
  if (!Array.isArray(value)) refuse(what, `${key} is no list`);
  return value;
}

/** A text of a document; an empty one is none. */
export function textOf(document: Json, key: string, what: string): string | undefined {
  const value = document[key];
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string') refuse(what, `${key} is no text`);
  return value;
}

/** The bytes of a document, in one spelling, so that the same content has the same digest. */
export function encodeDocument(document: object): Buffer {
  return Buffer.from(JSON.stringify(document));
}
