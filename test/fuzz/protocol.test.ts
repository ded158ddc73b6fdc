// SPDX-License-Identifier: MIT
/** Messages on /dev/fuse that are almost what a kernel sends: each is answered or dropped, and nothing else happens. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Session } from '../../lib/fuse/session.js';
import { OverlayFileSystem } from '../../lib/mount/handler.js';
import { openUnion } from '../../lib/overlay/open/open.js';
import { makeLayers, run, scratch, shell } from '../support/ground.js';
import { mutate, runs } from '../support/mutation.js';
import { Random } from '../support/random.js';
import { snapshot } from '../support/snapshot.js';

const recording = JSON.parse(readFileSync('test/fuse/fixtures/linux-6.18.json', 'utf8')) as {
  request: string;
}[];
const corpus = recording.map(({ request }) => Buffer.from(request, 'hex'));
const MESSAGES = 150;

/** Sends messages to a session; answers how many were answered. Throws for an answer that is none. */
function converse(random: Random, session: Session): number {
  let answered = 0;
  for (let count = 0; count < MESSAGES; count++) {
    const sample = count < corpus.length ? corpus[count] : random.pick(corpus);
    const message = count === 0 || random.chance(30) ? Buffer.from(sample) : mutate(random, sample, corpus);
    // Mostly with the length that it has: others are dropped at the door.
    if (message.length >= 4 && random.chance(90)) message.writeUInt32LE(message.length, 0);
    message.copy(session.message.buffer);
    const length = session.serve(Math.min(message.length, session.message.buffer.length));
    if (length === 0) continue;
    answered++;
    const { buffer } = session.reply;
    const error = buffer.readInt32LE(4);
    const isHeader = buffer.readUInt32LE(0) === length && error <= 0 && error > -4096;
    if (!isHeader || !buffer.subarray(8, 16).equals(message.subarray(8, 16)))
      throw new Error(`${message.toString('hex')} is answered by ${buffer.toString('hex', 0, length)}`);
  }
  return answered;
}

t.test(
  'whatever comes is answered once, and lower layers stay as they are',
  { timeout: 300_000 },
  async (t) => {
    const random = Random.of(t);
    const base = join(scratch(t), 'small');
    let answered = 0;
    for (let round = 0; round < runs(25); round++) {
      // What a message asks to be allocated must not be the machine's memory.
      shell(`mkdir -p ${base}; mount -t tmpfs -o size=64m tsoverlay-test ${base}`);
      const layers = makeLayers(base, 2);
      shell('mkdir dir; echo low > file; echo x > dir/x', layers.lowers[0]);
      shell(`mkdir ${base}/outside; echo canary > ${base}/outside/file`);
      const seen = (): string[] =>
        [...layers.lowers, join(base, 'outside')].flatMap((path) => snapshot(path));
      const before = seen();
      const union = openUnion(layers);
      const faults: string[] = [];
      const session = new Session(new OverlayFileSystem(union), new Float64Array(64), (name, fault) =>
        faults.push(`${name}: ${fault instanceof Error ? fault.stack : fault}`),
      );
      answered += converse(random, session);
      union.close();
      t.strictSame(faults, []);
      t.strictSame(seen(), before);
      run('umount', base);
    }
    t.ok(answered > 500, `${answered} were answered`);
  },
);
