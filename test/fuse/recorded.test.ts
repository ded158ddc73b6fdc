// SPDX-License-Identifier: MIT
/**
 * Messages recorded from Linux 6.18 (protocol 7.45) while a shell listed, read,
 * wrote, renamed and removed files in a mount, played again to the engine over
 * the same layers, without a device. Answers must be what they were.
 */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { opcodeName } from '../../lib/fuse/requests.js';
import { Session } from '../../lib/fuse/session.js';
import { OverlayFileSystem } from '../../lib/mount/handler.js';
import { openUnion } from '../../lib/overlay/open/open.js';
import { shell } from '../support/ground.js';
import { exchange } from '../support/messages.js';
import { prepare } from '../support/overlay.js';

interface Recorded {
  name: string;
  /** The whole message, in hex. */
  request: string;
  /** Of the reply; absent where there was none. */
  error?: number;
  length: number;
  /** Node id of an entry that was answered. */
  node?: number;
}

const recording = JSON.parse(readFileSync('test/fuse/fixtures/linux-6.18.json', 'utf8')) as Recorded[];

t.test('recorded requests get the answers that they got', async (t) => {
  const layers = prepare(t, ['mkdir dir; echo low > file; echo x > dir/x']);
  const union = openUnion(layers);
  t.teardown(() => union.close());
  const faults: string[] = [];
  const session = new Session(new OverlayFileSystem(union), new Float64Array(64), (name, fault) =>
    faults.push(`${name}: ${fault}`),
  );
  for (const [index, { name, request, error, length, node }] of recording.entries()) {
    const message = Buffer.from(request, 'hex');
    t.equal(opcodeName(message.readUInt32LE(4)), name);
    const answer = exchange(session, message);
    const what = `${index}: ${name}`;
    t.equal(answer?.error, error, `${what}: error`);
    t.equal(answer === undefined ? 0 : answer.body.length + 16, length, `${what}: length`);
    if (answer !== undefined) t.equal(answer.unique, message.readBigUInt64LE(8), `${what}: unique`);
    if (node !== undefined) t.equal(Number(answer?.body.readBigUInt64LE(0)), node, `${what}: node`);
  }
  t.strictSame(faults, []);
  t.equal(
    shell('cat renamed; stat -c "%a %u:%g %s" file; ls', layers.upper),
    'data600 1:2 100\nfile\nlink\npipe\nrenamed\n',
  );
});
