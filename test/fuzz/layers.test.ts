// SPDX-License-Identifier: MIT
/** Layers made to mislead: marks of every kind with values that no tool writes. What is shown is of the layers, and ends. */
import { join } from 'node:path';
import t from 'tap';
import { digestOfSources } from '../../lib/build/copy/copy-digest.js';
import { SourceTree } from '../../lib/build/source/source-tree.js';
import { packView } from '../../lib/image/pack/pack.js';
import { TarReader } from '../../lib/image/tar/reader.js';
import { getAttributes } from '../../lib/overlay/data/attributes.js';
import { readData } from '../../lib/overlay/data/data.js';
import { listAttributes } from '../../lib/overlay/data/xattr.js';
import { completeListing } from '../../lib/overlay/names/listing.js';
import { findNode } from '../../lib/overlay/names/lookup.js';
import { readTarget } from '../../lib/overlay/names/walk.js';
import type { OverlayNode } from '../../lib/overlay/nodes/node.js';
import { acquire, release } from '../../lib/overlay/nodes/references.js';
import type { Union } from '../../lib/overlay/nodes/union.js';
import { openUnion } from '../../lib/overlay/open/open.js';
import { makeDirectory, makeLink, makeNode, makeSymlink } from '../../lib/sys/entries.js';
import {
  close,
  Fd,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_WRONLY,
  openAt,
  openPath,
  writeFully,
} from '../../lib/sys/files.js';
import { S_IFCHR, S_IFIFO, Stat } from '../../lib/sys/stat.js';
import { setXattr } from '../../lib/sys/xattrs.js';
import { makeLayers, scratch, shell } from '../support/ground.js';
import { runs } from '../support/mutation.js';
import { Random } from '../support/random.js';
import { snapshot } from '../support/snapshot.js';

const NAMES = [
  'a',
  'b',
  'c',
  'd',
  '.wh.a',
  '.wh.b',
  '.wh..wh..opq',
  '.wh..wh..plnk',
  '.wh.',
  'x'.repeat(255),
  '\xff\x01',
];
const CANARY = 'canary outside of all layers';

/** Values by the mark that they are for; others are mixed in. */
const VALUES: Record<string, readonly string[]> = {
  redirect: [
    'a',
    '/a',
    '/a/b',
    '/b/a',
    '..',
    '../..',
    '/../outside',
    'a/../../outside',
    '/',
    '',
    '/a/',
    '//a',
    '.',
    '/./a',
    'a\0b',
    '/'.repeat(300),
    `/${'d/'.repeat(2000)}`,
  ],
  opaque: ['y', 'x', 'z', '', 'yy', 'n'],
  metacopy: ['', '\0', '\0\x04\0\0', '\0\x24\0\x01'.padEnd(36, 'h'), 'x'.repeat(300)],
  origin: ['', '\0\xfb\x1d\x01', '\0\xfb\x1d\x01'.padEnd(29, '\x01'), 'r'.repeat(255)],
  whiteout: ['y', ''],
  whiteouts: ['y'],
  nlink: ['U+1', 'L-1', 'U+999999999999', 'x'],
  impure: ['y'],
  upper: ['\0\xfb\x1d'],
  protattr: ['\0'],
};
const MARKS = Object.keys(VALUES);

class LayerMaker {
  constructor(private readonly random: Random) {}

  fill(directory: number, depth: number): void {
    for (let count = this.random.below(6); count > 0; count--) this.#object(directory, depth);
  }

  #object(directory: number, depth: number): void {
    const { random } = this;
    const name = random.pick(NAMES);
    switch (random.below(8)) {
      case 0:
        makeNode(directory, name, S_IFCHR, 0);
        break;
      case 1:
        makeSymlink(
          directory,
          name,
          random.pick(['a', '/a/b', '../../../outside/file', '/etc/passwd', 'x'.repeat(4000)]),
        );
        break;
      case 2:
        makeLink(directory, random.pick(NAMES), directory, name);
        break;
      case 3:
        makeNode(directory, name, S_IFIFO | 0o644, 0);
        break;
      case 4:
      case 5:
        this.#file(directory, name);
        break;
      default:
        if (makeDirectory(directory, name, 0o755) >= 0 && depth > 0) {
          using fd = new Fd(openAt(directory, name, O_RDONLY | O_DIRECTORY));
          this.fill(fd.number, depth - 1);
        }
    }
    // What the file system will not have is not there.
    for (let count = random.below(3); count > 0; count--) this.#mark(directory, name);
  }

  #file(directory: number, name: string): void {
    const fd = openAt(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0o644);
    if (fd < 0) return;
    writeFully(fd, Buffer.from('of a layer'), 10, 0);
    close(fd);
  }

  #mark(directory: number, name: string): void {
    const { random } = this;
    const mark = random.pick(MARKS);
    const values = random.chance(80) ? VALUES[mark] : VALUES[random.pick(MARKS)];
    const prefix = random.chance(80)
      ? 'trusted.overlay.'
      : random.pick(['user.overlay.', 'trusted.overlay.overlay.', 'user.fuseoverlayfs.']);
    setXattr(directory, name, prefix + mark, Buffer.from(random.pick(values), 'latin1'));
  }
}

/** Looks at everything. Throws for content that is of no layer; answers how much there was. */
function lookAtAll(union: Union): number {
  let count = 0;
  const stat = new Stat();
  const buffer = Buffer.alloc(4096);
  const look = (node: OverlayNode): void => {
    if (++count > 100_000) throw new Error('there is no end to it');
    getAttributes(union, node, stat);
    listAttributes(union, node);
    readTarget(union, node);
    if (!node.isDirectory()) {
      const size = stat.isRegular ? readData(union, node, buffer, buffer.length, 0) : 0;
      if (size > 0 && buffer.toString('latin1', 0, size).includes(CANARY))
        throw new Error('it leads out of the layers');
      return;
    }
    if (completeListing(union, node) < 0) return;
    for (const name of [...node.entries.keys()]) {
      const child = findNode(union, node, name);
      if (typeof child === 'number') continue;
      acquire(child);
      look(child);
      release(union, child);
    }
  };
  look(union.root);
  return count;
}

t.test(
  'whatever marks layers have, no file outside them is shown and none is changed',
  { timeout: 300_000 },
  async (t) => {
    const random = Random.of(t);
    const base = scratch(t);
    let [seen, refused] = [0, 0];
    for (let round = 0; round < runs(300); round++) {
      const place = join(base, String(round));
      const layers = makeLayers(place, 3);
      shell(
        `mkdir outside; echo '${CANARY}' > outside/file; mkdir outside/a; cp outside/file outside/a/b`,
        place,
      );
      for (const path of layers.lowers) {
        using root = new Fd(openPath(path, O_RDONLY | O_DIRECTORY));
        new LayerMaker(random).fill(root.number, 4);
      }
      const before = [...layers.lowers, join(place, 'outside')].flatMap((path) => snapshot(path));
      const { lowers, upper, work } = layers;
      const options = [
        { lowers },
        { lowers, upper, work },
        { lowers, upper, work, metacopy: true, index: true },
        { lowers: lowers.slice(0, 2), dataLowers: [lowers[2]] },
      ];
      try {
        const union = openUnion(random.pick(options));
        seen += lookAtAll(union);
        union.close();
      } catch (failure) {
        // A layer that cannot be one is refused, by name.
        if ((failure as { operation?: string }).operation === undefined) throw failure;
        refused++;
      }
      const after = [...layers.lowers, join(place, 'outside')].flatMap((path) => snapshot(path));
      if (JSON.stringify(after) !== JSON.stringify(before)) t.strictSame(after, before);
      shell(`rm -rf ${place}`);
    }
    t.ok(seen > 1000, `${seen} objects were shown, ${refused} sets refused`);
  },
);

t.test(
  'a tree of 10,000 levels, with names of 255 bytes, is packed whole',
  { timeout: 120_000 },
  async (t) => {
    const layers = makeLayers(scratch(t), 1);
    const DEPTH = 10_000;
    let at = new Fd(openPath(layers.lowers[0], O_RDONLY | O_DIRECTORY));
    for (let level = 0; level < DEPTH; level++) {
      const name = level % 1000 === 0 ? 'n'.repeat(255) : 'd';
      makeDirectory(at.number, name, 0o755);
      const next = new Fd(openAt(at.number, name, O_RDONLY | O_DIRECTORY));
      at.close();
      at = next;
    }
    close(openAt(at.number, 'end', O_WRONLY | O_CREAT, 0o644));
    at.close();
    const union = openUnion(layers);
    let entries = 0;
    const reader = new TarReader(
      { entry: () => entries++, data: () => undefined, end: () => undefined },
      'deep',
    );
    for (const piece of packView(union)) reader.write(piece);
    reader.finish();
    union.close();
    t.equal(entries, DEPTH + 1, 'all of it is packed');
    const tree = new SourceTree({ lowers: layers.lowers }, 'deep', false);
    const found = tree.find('/');
    t.match(
      digestOfSources(found, () => false),
      /^sha256:/,
      'and is what a build may copy',
    );
    tree[Symbol.dispose]();
  },
);
