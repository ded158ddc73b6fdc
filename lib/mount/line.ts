// SPDX-License-Identifier: MIT
/** One line from a stream: what servers and those who ask them say to each other. */
import type { Readable } from 'node:stream';

/**
 * Settles with the first line, without its newline. Rejects when the stream ends
 * or fails before it, or sends more than `longest` bytes.
 */
export function readLine(stream: Readable, longest: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    stream.setEncoding('utf8');
    stream.on('error', reject);
    stream.on('close', () => reject(new Error('it hung up')));
    stream.on('data', (chunk: string) => {
      received += chunk;
      const end = received.indexOf('\n');
      if (end >= 0) resolve(received.slice(0, end));
      else if (received.length > longest) reject(new Error('it sends too much'));
    });
  });
}
