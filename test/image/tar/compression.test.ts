// SPDX-License-Identifier: MIT
/** Compressed layers: the same bytes however they come, and readable by everybody. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { gzipCompressor } from '../../../lib/image/tar/compression.js';

/** Compresses what comes in pieces of that size. */
async function compress(bytes: Buffer, size: number): Promise<Buffer> {
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
  return await buffer(Readable.from(pieces, { objectMode: false }).pipe(gzipCompressor()));
}

t.test('bytes are compressed and come back the same, in pieces of any size', async (t) => {
  const mixed = Buffer.concat([
    randomBytes(700_000),
    Buffer.alloc(2_000_000, 'text '),
    randomBytes(1_500_001),
  ]);
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from('a'),
    mixed.subarray(0, 1 << 20),
    mixed.subarray(0, 2 << 20),
    mixed,
  ]) {
    const whole = await compress(bytes, Math.max(1, bytes.length));
    for (const size of [4096, 65_537, 1 << 20, 3_000_000])
      t.ok((await compress(bytes, size)).equals(whole), `${bytes.length} bytes by ${size}`);
    t.ok(gunzipSync(whole).equals(bytes), 'zlib reads it');
    const gnu = spawnSync('gzip', ['-dc'], { input: whole, maxBuffer: 1 << 24 });
    t.equal(gnu.status, 0, String(gnu.stderr));
    t.ok(gnu.stdout.equals(bytes), 'and GNU gzip');
    const python = spawnSync(
      'python3',
      ['-c', 'import gzip,sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))'],
      { input: whole, maxBuffer: 1 << 24 },
    );
    t.ok(python.stdout.equals(bytes), 'and Python');
  }
});
