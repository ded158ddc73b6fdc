// SPDX-License-Identifier: MIT
/** Input that is almost right: samples of a corpus with some bytes changed, by a seed that is printed. */
import type { Random } from './random.js';

const BYTES = [0, 1, 2, 0x2e, 0x2f, 0x7f, 0x80, 0xff];
const WORDS = [0, 1, 2 ** 16 - 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 4096, 65536];
const LONGS = [0n, 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n];

/** Names that lead elsewhere, where somebody does not look. */
const NAMES = ['../outside/canary', '..', '/', './/', '../', '/etc/passwd', 'in-the-way/canary', '\0'];

type Change = (random: Random, bytes: Buffer, corpus: readonly Buffer[]) => Buffer;

/** A range of the bytes, from which it may be that nothing is taken. */
function range(random: Random, { length }: Buffer): [from: number, to: number] {
  const from = random.below(length + 1);
  return [from, from + random.below(Math.min(64, length - from) + 1)];
}

function at(random: Random, bytes: Buffer, size: number, write: (place: number) => void): Buffer {
  if (bytes.length >= size) write(random.below(bytes.length - size + 1));
  return bytes;
}

const CHANGES: Change[] = [
  (random, bytes) => at(random, bytes, 1, (place) => void (bytes[place] ^= 1 << random.below(8))),
  (random, bytes) => at(random, bytes, 1, (place) => void (bytes[place] = random.pick(BYTES))),
  (random, bytes) => at(random, bytes, 4, (place) => void bytes.writeUInt32LE(random.pick(WORDS), place)),
  (random, bytes) => at(random, bytes, 8, (place) => void bytes.writeBigUInt64LE(random.pick(LONGS), place)),
  (random, bytes) => {
    const [from, to] = range(random, bytes);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  (random, bytes) => {
    const [from, to] = range(random, bytes);
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
  },
  (random, bytes) => {
    const name = Buffer.from(random.pick(NAMES));
    // Often where a record begins.
    const place = random.chance(50)
      ? random.below(bytes.length / 512 + 1) * 512
      : random.below(bytes.length + 1);
    name.copy(bytes, Math.min(place, bytes.length));
    return bytes;
  },
  (random, bytes) => bytes.subarray(0, random.below(bytes.length + 1)),
  (random, bytes, corpus) => {
    const other = random.pick(corpus);
    return Buffer.concat([
      bytes.subarray(0, random.below(bytes.length + 1)),
      other.subarray(random.below(other.length + 1)),
    ]);
  },
];

/** A sample with one to four changes; the sample stays as it is. */
export function mutate(random: Random, sample: Buffer, corpus: readonly Buffer[]): Buffer {
  let bytes = Buffer.from(sample);
  for (let count = 1 + random.below(4); count > 0; count--)
    bytes = Buffer.from(random.pick(CHANGES)(random, bytes, corpus));
  return bytes;
}

/** How often: `FUZZ_RUNS` times as often as usual, for those who have the time. */
export function runs(usual: number): number {
  return usual * Number(process.env.FUZZ_RUNS ?? 1);
}
