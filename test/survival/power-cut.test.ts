// SPDX-License-Identifier: MIT
/**
 * Power cuts: the upper lies on a loop device, and its backing file is copied at points of the
 * program's work, as the disk would be found afterwards. From each copy the file system is
 * recovered and the overlay is mounted: what was synced is there, and what was not is there
 * whole or not at all.
 *
 * CUTS sets how many there are.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type Layers, makeLayers, mountOurs, run, scratch, shell } from '../support/ground.js';
import { Random } from '../support/random.js';

const cuts = Number(process.env.CUTS ?? 12);

const FILE_SYSTEMS: Record<string, { size: string; make: string; options: string }> = {
  // Writes its journal only when it must: what is on disk without a sync is as little as can be.
  ext4: { size: '48M', make: 'mkfs.ext4 -q', options: 'commit=300' },
  xfs: { size: '300M', make: 'mkfs.xfs -q', options: 'nouuid' },
};

interface Synced {
  /** By path: what must be read, or null for a name that must not be there. */
  files: Map<string, string | null>;
}

/** Mounts a copy of the disk as it was, and the overlay on it. */
async function recovered(
  t: Parameters<typeof mountOurs>[0],
  image: string,
  lowers: string[],
  options: string,
  look: (target: string, layers: Layers) => void,
): Promise<void> {
  const base = `${image}.mounted`;
  fs.mkdirSync(base);
  run('mount', '-o', `loop,${options}`, image, base);
  try {
    const layers = {
      lowers,
      upper: join(base, 'upper'),
      work: join(base, 'work'),
      target: `${image}.target`,
    };
    fs.mkdirSync(layers.target);
    const { unmount } = await mountOurs(t, layers);
    look(layers.target, layers);
    await unmount();
  } finally {
    run('umount', base);
    fs.rmSync(image);
  }
}

for (const [type, { size, make, options }] of Object.entries(FILE_SYSTEMS)) {
  t.test(`after a power cut what was synced is there, on ${type}`, async (t) => {
    const random = Random.of(t);
    const base = scratch(t);
    const { lowers } = makeLayers(base, 1);
    shell(
      'for d in 1 2 3; do mkdir -p d$d/e; for f in 1 2 3 4 5 6; do head -c 70000 /dev/zero | tr "\\0" $f > d$d/e/f$f; done; done',
      lowers[0],
    );
    // The directories themselves are on disk before the first cut: mkdir(1) syncs nothing.
    const image = join(base, 'disk');
    shell(
      `truncate -s ${size} disk; ${make} disk; mkdir disk.mounted; mount -o loop,${options} disk disk.mounted; mkdir disk.mounted/upper disk.mounted/work disk.target; sync -f disk.mounted`,
      base,
    );
    t.teardown(() => shell('mountpoint -q disk.mounted && umount disk.mounted || true', base));
    const layers = {
      lowers,
      upper: join(base, 'disk.mounted/upper'),
      work: join(base, 'disk.mounted/work'),
      target: join(base, 'disk.target'),
    };
    const { target, unmount } = await mountOurs(t, layers);
    const synced: Synced = { files: new Map() };
    const lowerContent = (path: string): string | null => {
      try {
        return fs.readFileSync(join(lowers[0], path), 'utf8');
      } catch {
        return null;
      }
    };
    let whole = 0;
    for (let cut = 0; cut < cuts; cut++) {
      const path = `d${1 + random.below(3)}/e/f${1 + random.below(8)}`;
      const content = `${cut} `.repeat(1 + random.below(20_000));
      const unsynced = `d${1 + random.below(3)}/e/u${cut}`;
      // Not synced: any of it may be lost.
      if (random.chance(50)) fs.chmodSync(join(target, `d${1 + random.below(3)}`), 0o700 + random.below(64));
      switch (random.below(3)) {
        case 0: {
          const fd = fs.openSync(join(target, path), 'w');
          fs.writeSync(fd, content);
          fs.fsyncSync(fd);
          fs.closeSync(fd);
          synced.files.set(path, content);
          break;
        }
        case 1: {
          // As editors and dpkg do it.
          const fd = fs.openSync(join(target, `${path}.new`), 'w');
          fs.writeSync(fd, content);
          fs.fsyncSync(fd);
          fs.closeSync(fd);
          fs.renameSync(join(target, `${path}.new`), join(target, path));
          syncDirectory(join(target, path, '..'));
          synced.files.set(path, content);
          break;
        }
        default:
          fs.rmSync(join(target, path), { force: true });
          syncDirectory(join(target, path, '..'));
          synced.files.set(path, null);
      }
      const copy = join(base, `cut${cut}`);
      run('cp', '--sparse=always', image, copy);
      await recovered(t, copy, lowers, options, (seen) => {
        for (const [name, expected] of synced.files) {
          const found = fs.existsSync(join(seen, name)) ? fs.readFileSync(join(seen, name), 'utf8') : null;
          t.ok(found === expected, `cut ${cut}: ${name}, ${describe(found)}, expected ${describe(expected)}`);
        }
        for (const d of [1, 2, 3]) {
          for (const f of [1, 2, 3, 4, 5, 6]) {
            const name = `d${d}/e/f${f}`;
            if (synced.files.has(name)) continue;
            t.ok(
              fs.readFileSync(join(seen, name), 'utf8') === lowerContent(name),
              `cut ${cut}: ${name} is as it was`,
            );
            whole++;
          }
        }
      });
      // Copied up and not synced: whole or not at all, at the next cut.
      fs.writeFileSync(join(target, unsynced), 'x'.repeat(random.below(5000)));
      const touched = `d${1 + random.below(3)}/e/f${1 + random.below(6)}`;
      if (fs.existsSync(join(target, touched))) fs.utimesSync(join(target, touched), cut, cut);
    }
    t.ok(whole > 0);
    await unmount();
  });
}

function syncDirectory(path: string): void {
  const fd = fs.openSync(path, 'r');
  fs.fsyncSync(fd);
  fs.closeSync(fd);
}

function describe(content: string | null): string {
  return content === null ? 'nothing' : `${content.length} bytes ${content.slice(0, 8)}`;
}
