// SPDX-License-Identifier: MIT
/**
 * A long day's work, after which the server has what it had at first: memory, descriptors,
 * nodes, and nothing in the work directory. The long figures are in native-notes/survival.md.
 *
 * SOAK_REQUESTS sets how much work; a hundred requests a second for 24 hours are 8,640,000.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { askServer } from '../../lib/mount/control.js';
import { residentMemoryOf } from '../../lib/sys/proc.js';
import { makeLayers, mountOurs, scratch, shell } from '../support/ground.js';

const wanted = Number(process.env.SOAK_REQUESTS ?? 80_000);
/** How often it is measured. */
const STAGES = 6;
/** Of the second measurement, when everything has been used: in per cent. */
const GROWTH = 25;

/** Every kind of change and every way of reading, in a tree that is taken away again. */
const ROUND = `
  mkdir work; cd work
  tar xf ../../source.tar
  find . -type f -exec stat -c %s {} + > sizes
  grep -r nothing-has-this . || true
  for d in tree/*; do mv $d $d.moved; done
  chmod -R go-rwx tree
  for f in $(seq 100); do ln sizes l$f; ln -s l$f s$f; setfattr -n user.a -v $f l$f; done
  for f in $(seq 200); do echo $f > a$f; mv a$f b$((f % 7)); done
  python3 -c '
import os
for i in range(100):
    fd = os.open("held", os.O_RDWR | os.O_CREAT)
    os.unlink("held")
    os.write(fd, b"x" * 5000)
    os.fsync(fd)
    os.close(fd)
'
  for f in ../lower/*; do echo more >> $f; done
  cd ..; rm -r work lower; mkdir lower; for f in $(seq 50); do echo $f > lower/f$f; done`;

t.test('after a long day the server has what it had at first', { timeout: 24 * 3600_000 }, async (t) => {
  const base = scratch(t);
  const layers = makeLayers(base, 2);
  shell('mkdir lower; for f in $(seq 50); do echo $f > lower/f$f; done', layers.lowers[1]);
  shell(
    'mkdir tree; for d in $(seq 20); do mkdir tree/$d; for f in $(seq 30); do head -c $((f * 150)) /dev/zero > tree/$d/f$f; done; done; tar cf source.tar tree; rm -r tree',
    base,
  );
  const { target, server, unmount } = await mountOurs(t, layers);
  const figures = () => askServer(server(), { command: 'figures' });
  const measured: { memory: number; descriptors: number; nodes: number }[] = [];
  let rounds = 0;
  for (let stage = 1; stage <= STAGES; stage++) {
    while ((await figures()).requests < (wanted * stage) / STAGES) {
      shell(ROUND, target);
      rounds++;
    }
    shell('sync; echo 2 > /proc/sys/vm/drop_caches; stat merged > /dev/null; sleep 0.3', base);
    const { nodes } = await figures();
    const memory = residentMemoryOf(server());
    const descriptors = readdirSync(`/proc/${server()}/fd`).length;
    measured.push({ memory, descriptors, nodes });
    t.comment(`stage ${stage} of ${STAGES}: ${memory} bytes, ${descriptors} descriptors, ${nodes} nodes`);
  }
  const { requests } = await figures();
  t.comment(`${requests} requests in ${rounds} rounds: ${JSON.stringify(measured)}`);
  const [, early] = measured;
  const late = measured.at(-1)!;
  t.ok(late.memory < early.memory * (1 + GROWTH / 100), `${early.memory} bytes, then ${late.memory}`);
  t.ok(
    late.descriptors <= early.descriptors + 5,
    `${early.descriptors} descriptors, then ${late.descriptors}`,
  );
  t.ok(late.nodes <= early.nodes + 10, `${early.nodes} nodes, then ${late.nodes}`);
  t.ok(readdirSync(join(layers.work, 'work')).length <= 1, 'nothing but the whiteout is left behind');
  await unmount();
});
