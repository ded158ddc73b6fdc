// SPDX-License-Identifier: MIT
/** Archives that are almost right, in the formats of the corpus: unpacked beneath their directory, or refused. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fromText } from '../../lib/base/bytes.js';
import { OverlayError } from '../../lib/base/errors.js';
import { TarReader } from '../../lib/image/tar/reader.js';
import { LayerUnpacker, type UnpackWay } from '../../lib/image/unpack/unpack.js';
import { Marks } from '../../lib/overlay/formats/marks.js';
import { Fd, O_DIRECTORY, O_RDONLY, openPath } from '../../lib/sys/files.js';
import { scratch, shell } from '../support/ground.js';
import { mutate, runs } from '../support/mutation.js';
import { Random } from '../support/random.js';
import { snapshot } from '../support/snapshot.js';

const CORPUS = 'test/fuzz/corpus/tar';
const LIMITS = { size: 1 << 24, entries: 2000 };

/** Headers with the right checksum reach further. */
function mendChecksums(bytes: Buffer): Buffer {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    if (bytes.toString('latin1', at + 257, at + 262) !== 'ustar') continue;
    bytes.fill(0x20, at + 148, at + 156);
    const sum = bytes.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
  }
  return bytes;
}

t.test(
  'an archive is unpacked beneath its directory, or refused in one line',
  { timeout: 300_000 },
  async (t) => {
    const random = Random.of(t);
    const base = scratch(t);
    const corpus = readdirSync(CORPUS).map((name) => readFileSync(join(CORPUS, name)));
    t.ok(corpus.length >= 4);
    mkdirSync(join(base, 'outside'));
    writeFileSync(join(base, 'outside/canary'), 'canary');
    shell('ln -s ../outside in-the-way', base);
    const before = snapshot(join(base, 'outside'));
    let [whole, refused] = [0, 0];
    for (let count = 0; count < runs(1500); count++) {
      const archive = mendChecksums(mutate(random, random.pick(corpus), corpus));
      const way: UnpackWay = random.chance(50) ? 'layer' : 'copy';
      const target = join(base, 'target');
      mkdirSync(target);
      using root = new Fd(openPath(fromText(target), O_RDONLY | O_DIRECTORY));
      const unpacker = new LayerUnpacker(root.number, 'layer', new Marks(false), LIMITS, way);
      const reader = new TarReader(unpacker, 'layer');
      try {
        const step = 1 + random.below(2000);
        for (let at = 0; at < archive.length; at += step) reader.write(archive.subarray(at, at + step));
        reader.finish();
        unpacker.finish();
        whole++;
      } catch (failure) {
        refused++;
        if (!(failure instanceof OverlayError) || failure.message.includes('\n'))
          throw new Error(`${archive.toString('base64')}: ${(failure as Error).stack}`);
      } finally {
        unpacker.close();
        rmSync(target, { recursive: true, force: true });
      }
    }
    t.strictSame(snapshot(join(base, 'outside')), before, 'nothing outside was touched');
    t.strictSame(readdirSync(base).sort(), ['in-the-way', 'outside']);
    t.ok(whole > 50 && refused > 50, `${whole} were unpacked, ${refused} refused`);
  },
);
