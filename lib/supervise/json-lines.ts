// SPDX-License-Identifier: MIT
/** Values between processes, one a line (JSON Lines, jsonlines.org). */
import type { Readable, Writable } from 'node:stream';

export interface LineLimits {
  /** Characters of one line. */
  longest: number;
}

/**
 * The values that come, until the stream ends; a line that it ends in is none. Throws for what is no JSON, for a line
 * that is too long, and when the stream fails.
 */
export async function* readValues<T>(stream: Readable, { longest }: LineLimits): AsyncGenerator<T> {
  let received = '';
  for await (const chunk of stream.setEncoding('utf8')) {
    received += chunk;
    for (let end = received.indexOf('\n'); end >= 0; end = received.indexOf('\n')) {
      yield JSON.parse(received.slice(0, end)) as T;
      received = received.slice(end + 1);
    }
    if (received.length > longest) throw new Error('it sends too much');
  }
}

/**
 * Settles with the first value, and leaves the stream open. Rejects when the stream ends or fails before it, sends
 * what is no JSON, or a line that is too long.
 */
export function readValue<T>(stream: Readable, { longest }: LineLimits): Promise<T> {
  return new Promise((resolve, reject) => {
    let received = '';
    stream.setEncoding('utf8');
    stream.on('error', reject);
    stream.on('close', () => reject(new Error('it hung up')));
    stream.on('end', () => reject(new Error('it hung up')));
    stream.on('data', (chunk: string) => {
      received += chunk;
      const end = received.indexOf('\n');
      if (end < 0 && received.length <= longest) return;
      if (end < 0) {
        reject(new Error('it sends too much'));
        return;
      }
      try {
        resolve(JSON.parse(received.slice(0, end)) as T);
      } catch (failure) {
        reject(failure);
      }
    });
  });
}

/** A value as a line of its own. */
export function lineOf(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

export function writeValue(stream: Writable, value: unknown): void {
  stream.write(lineOf(value));
}
