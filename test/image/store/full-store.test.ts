// SPDX-License-Identifier: MIT
/** A store whose file system is full to the last block or the last inode: what is there can be removed, and that gives space back. */
import { closeSync, mkdirSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { run, scratch, shell } from '../../support/ground.js';
import { type Cli, storeCli } from '../../support/images.js';

const INODES = 500;

interface Ground {
  cli: Cli;
  /** Where the store's file system is mounted. */
  mounted: string;
}

const FILE_SYSTEMS: Record<string, (place: string) => void> = {
  tmpfs: (place) =>
    void run('mount', '-t', 'tmpfs', '-o', `size=16m,nr_inodes=${INODES}`, 'tsoverlay-test', place),
  ext4: (place) =>
    void shell(
      `truncate -s 32M ${place}.img; mkfs.ext4 -F -q -m 0 -N ${INODES} ${place}.img; mount -o loop ${place}.img ${place}`,
    ),
};

const FILLINGS: Record<string, { fill: (place: string) => void; lack: RegExp }> = {
  block: { fill: fillBlocks, lack: /no space is left on the device; free some/ },
  inode: { fill: fillInodes, lack: /no inodes are left on the device; free some/ },
};

/** Until not a byte more can be written. */
function fillBlocks(place: string): void {
  const fd = openSync(join(place, 'filler'), 'w');
  for (const size of [1 << 20, 4096, 1]) untilFull(() => writeSync(fd, Buffer.alloc(size)));
  closeSync(fd);
}

function fillInodes(place: string): void {
  mkdirSync(join(place, 'fillers'));
  let number = 0;
  untilFull(() => writeFileSync(join(place, 'fillers', String(number++)), ''));
}

function untilFull(act: () => void): void {
  for (;;) {
    try {
      act();
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code === 'ENOSPC') return;
      throw failure;
    }
  }
}

/** A store of its own file system, with an image of two megabytes and a small one that a container was made of. */
async function prepare(t: Test, fileSystem: string): Promise<Ground> {
  const base = scratch(t);
  const mounted = join(base, 'small');
  mkdirSync(mounted);
  FILE_SYSTEMS[fileSystem](mounted);
  t.teardown(() => run('umount', '-l', mounted));
  const cli = storeCli(t, base, 'small/store');
  shell(
    'mkdir large small-root; head -c 2M /dev/urandom > large/data; echo x > small-root/f; tar -C large -cf large.tar .; tar -C small-root -cf app.tar .',
    base,
  );
  await cli.ok('import', join(base, 'large.tar'), 'large:1');
  await cli.ok('import', join(base, 'app.tar'), 'app');
  await cli.ok('create', '--network', 'none', '--name', 'c1', 'app', 'true');
  return { cli, mounted };
}

const used = (path: string): number => Number.parseInt(run('du', '-sk', path), 10);

for (const fileSystem of Object.keys(FILE_SYSTEMS)) {
  for (const [last, { fill, lack }] of Object.entries(FILLINGS)) {
    t.test(
      `${fileSystem}, full to the last ${last}: images and containers are removed, the rest says what is full`,
      async (t) => {
        const { cli, mounted } = await prepare(t, fileSystem);
        fill(mounted);
        const archive = join(cli.base, 'large.tar');
        for (const words of [
          ['import', archive, 'more'],
          ['create', 'app', 'true'],
          ['tag', 'app', 'x:1'],
        ]) {
          const outcome = await cli.run(...words);
          t.match(outcome.stderr, lack, words[0]);
          t.not(outcome.status, 0);
        }
        t.strictSame(readdirSync(join(cli.root, 'staging')), [], 'what failed has left nothing');
        await cli.ok('rm', 'c1');
        t.equal(await cli.ok('ps', '-aq'), '');
        const before = used(cli.root);
        await cli.ok('rmi', 'large:1');
        t.ok(used(cli.root) < before - 2000, 'space is given back');
        await cli.ok('image', 'prune', '--all', '--force');
        t.equal(await cli.ok('images', '-q'), '');
        t.match(await cli.ok('system', 'check'), /nothing is wrong|whole|ok/i);
      },
    );
  }
}
