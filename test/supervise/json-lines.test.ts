// SPDX-License-Identifier: MIT
/** Values between processes, one a line. */
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { lineOf, readValue, readValues, writeValue } from '../../lib/supervise/json-lines.js';

const LIMITS = { longest: 100 };

/** What comes of bytes that arrive in pieces of a size. */
async function valuesOf(bytes: Buffer, size: number): Promise<unknown[]> {
  const stream = new PassThrough();
  for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size));
  stream.end();
  const values: unknown[] = [];
  for await (const value of readValues(stream, LIMITS)) values.push(value);
  return values;
}

t.test('values come whole and in order, wherever the stream is cut', async (t) => {
  const value = fc.jsonValue({ maxDepth: 1 }).filter((one) => lineOf(one).length <= LIMITS.longest);
  await fc.assert(
    fc.asyncProperty(fc.array(value), fc.integer({ min: 1, max: 40 }), async (values, size) => {
      const bytes = Buffer.from(values.map(lineOf).join(''));
      t.strictSame(JSON.stringify(await valuesOf(bytes, size)), JSON.stringify(values));
    }),
    { numRuns: 50, verbose: true },
  );
});

t.test('a line that the stream ends in is no value', async (t) => {
  t.strictSame(await valuesOf(Buffer.from('1\n2\n[3'), 2), [1, 2]);
});

t.test('no JSON, and a line that is too long, are refused', async (t) => {
  await t.rejects(valuesOf(Buffer.from('1\n{\n'), 9), { name: 'SyntaxError' });
  await t.rejects(valuesOf(Buffer.alloc(101, '1'), 10), { message: 'it sends too much' });
});

t.test(
  'of one value the rest of the stream is left alone, and who hangs up before it is told of',
  async (t) => {
    const stream = new PassThrough();
    const first = readValue(stream, LIMITS);
    writeValue(stream, { a: 1 });
    t.strictSame(await first, { a: 1 });
    t.notOk(stream.destroyed);

    for (const [sent, message] of [
      ['{"a":', 'it hung up'],
      ['', 'it hung up'],
      ['1'.repeat(101), 'it sends too much'],
    ] as const) {
      const cut = new PassThrough();
      const value = readValue(cut, LIMITS);
      cut.end(sent);
      await t.rejects(value, { message }, JSON.stringify(sent.slice(0, 9)));
    }
    const nonsense = new PassThrough();
    const value = readValue(nonsense, LIMITS);
    nonsense.end('nonsense\n');
    await t.rejects(value, { name: 'SyntaxError' });
  },
);
