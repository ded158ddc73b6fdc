// SPDX-License-Identifier: MIT
/** copyup=lazy: the first write does not wait, nothing is lost, and in the end it is a plain copy. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Layers, makeLayers, mountOurs, run, scratch, shell, until } from '../support/ground.js';
import { open } from '../support/overlay.js';
import { Random } from '../support/random.js';

const SIZE = 64 << 20;
const FILL = `head -c ${SIZE} /dev/urandom > big; cp big same; mkdir d; cp big d/deep`;

function prepare(t: Test): Layers {
  const layers = makeLayers(scratch(t), 1);
  shell(FILL, layers.lowers[0]);
  return layers;
}

const isWhole = (path: string): boolean =>
  shell(`getfattr -h -n trusted.overlay.metacopy ${path} 2>&1 || true`).includes('No such attribute');

t.test('what is read is always old and new together, and the copy becomes whole by itself', async (t) => {
  const layers = prepare(t);
  const live = await mountOurs(t, layers, { copyUp: 'lazy' });
  shell(
    `cp ${layers.lowers[0]}/same ../model
     for f in big ../model; do
       printf first | dd of=$f conv=notrunc bs=1 seek=100 status=none
       printf second | dd of=$f conv=notrunc bs=1 seek=${(40 << 20) + 65530} status=none
       head -c 300000 /dev/zero | dd of=$f conv=notrunc bs=300000 seek=20 status=none
       printf end | dd of=$f conv=notrunc bs=1 seek=${SIZE + 5000} status=none
     done
     cmp big ../model`,
    layers.target,
  );
  const copy = join(layers.upper, 'big');
  await until(() => isWhole(copy), 'the copy to be whole');
  t.equal(
    shell(
      `cmp ${copy} model && cmp merged/big model && cmp lower0/big lower0/same && echo same`,
      join(layers.upper, '..'),
    ),
    'same\n',
  );
  t.strictSame(readdirSync(join(layers.work, 'work/lazy')), []);
  t.equal(statSync(copy).nlink, 1);
  await live.unmount();
});

t.test('the first write copies one chunk, and closing completes the copy', async (t) => {
  const layers = prepare(t);
  // Without a mount nothing works in the background, so what the write itself did can be seen.
  const overlay = await open(t, layers, { copyUp: 'lazy' });
  const copy = join(layers.upper, 'big');
  await overlay.write('/big', 'x', 5);
  t.ok(statSync(copy).blocks * 512 <= 64 << 10, 'one chunk');
  t.equal(statSync(copy).size, SIZE);
  t.equal((await overlay.readFile('/big')).subarray(5, 6).toString(), 'x');
  await overlay.rename('/d', '/moved');
  t.ok(isWhole(copy), 'a directory that moves may have one below it');
  await overlay.write('/same', 'y', 0);
  await overlay.close();
  t.ok(isWhole(join(layers.upper, 'same')));
  t.equal(
    shell(
      'head -c 6 upper/big | tail -c 1; cmp <(tail -c +7 upper/big) <(tail -c +7 lower0/same) && echo rest',
      join(layers.upper, '..'),
    ),
    'xrest\n',
  );
});

t.test('renames, links, truncation and sync find the whole file', async (t) => {
  const layers = prepare(t);
  await mountOurs(t, layers, { copyUp: 'lazy' });
  const write = (name: string): string => `printf x | dd of=${name} conv=notrunc bs=1 status=none`;
  shell(
    `${write('big')}; mv big moved; ${write('d/deep')}; mv d e; ${write('same')}; sync same; ln same again`,
    layers.target,
  );
  for (const name of ['moved', 'e/deep', 'again']) {
    t.equal(
      shell(
        `head -c 1 ${name}; cmp <(tail -c +2 ${name}) <(tail -c +2 ${layers.lowers[0]}/same) && echo rest`,
        layers.target,
      ),
      'xrest\n',
      name,
    );
    t.ok(isWhole(join(layers.upper, name)), name);
  }
  shell('truncate -s 10000000 moved; truncate -s 20000000 moved', layers.target);
  t.equal(
    shell(
      `tail -c +10000001 moved | tr -d '\\0' | wc -c; head -c 10000000 moved | tail -c +2 | cmp - <(head -c 10000000 ${layers.lowers[0]}/same | tail -c +2) && echo rest`,
      layers.target,
    ),
    '0\nrest\n',
  );
});

t.test('a removed file is read and written by who has it open', async (t) => {
  const layers = prepare(t);
  const live = await mountOurs(t, layers, { copyUp: 'lazy' });
  t.equal(
    shell(
      'exec 3<> big; printf abc >&3; rm big; cat /proc/self/fd/3 | tail -c +4 | cmp - <(tail -c +4 same) && echo rest; head -c 3 /proc/self/fd/3',
      layers.target,
    ),
    'rest\nabc',
  );
  await live.unmount();
  t.strictSame(
    readdirSync(join(layers.work, 'work')).filter((name) => name !== 'lazy'),
    [],
  );
});

t.test('after a kill at a random moment the next mount has everything that was written', async (t) => {
  const layers = prepare(t);
  const random = Random.of(t, 'LAZY_SEED');
  const base = join(layers.upper, '..');
  shell('cp lower0/same model', base);
  for (let round = 0; round < 6; round++) {
    const live = await mountOurs(t, layers, { copyUp: 'lazy' });
    const writes = Array.from({ length: 1 + random.below(8) }, () => ({
      at: random.below(SIZE),
      size: 1 + random.below(200_000),
    }));
    for (const { at, size } of writes) {
      shell(
        `head -c ${size} /dev/urandom > piece; for f in merged/big model; do dd if=piece of=$f conv=notrunc oflag=seek_bytes seek=${at} bs=1M status=none; done`,
        base,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, random.below(30)));
    await live.killForGood();
    run('umount', '-l', layers.target);
    const again = await mountOurs(t, layers);
    t.equal(
      shell('cmp merged/big model && echo same', base),
      'same\n',
      `round ${round}: what was answered is there`,
    );
    t.ok(isWhole(join(layers.upper, 'big')));
    await again.unmount();
    shell('rm upper/big; cp lower0/same model', base);
  }
});
