// SPDX-License-Identifier: MIT
/**
 * File names are bytes, not text. Within the engine a name is a ByteString: a
 * JavaScript string with one character (0 to 255) a byte, which V8 stores in
 * one byte a character and hashes quickly as a map key. Text is decoded only to
 * be shown, and encoded only where a person typed it.
 */

declare global {
  // Node's byte-string methods, left out of its published types; half the cost of toString('latin1').
  interface Buffer {
    latin1Slice(start?: number, end?: number): string;
    latin1Write(text: string, offset?: number, length?: number): number;
  }
}

/** A string with one character a byte (latin1). */
export type ByteString = string;

export function fromText(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** For display: bytes that are not UTF-8 become U+FFFD, so this does not go back. */
export function toText(name: ByteString): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

/** Path in whatever form `node:fs` takes it, as bytes. */
export function fromPath(path: string | Uint8Array): ByteString {
  return typeof path === 'string' ? fromText(path) : Buffer.from(path).toString('latin1');
}

export function joinPath(directory: ByteString, name: ByteString): ByteString {
  return directory === '' || directory === '/' ? `${directory}${name}` : `${directory}/${name}`;
}

/** The components of a path; empty ones and `.` are dropped, `..` is kept for the caller to judge. */
export function components(path: ByteString): ByteString[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
