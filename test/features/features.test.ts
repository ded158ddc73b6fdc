// SPDX-License-Identifier: MIT
/**
 * The README's table of features, cell by cell: each row is tried on all three file
 * systems, first as they are mounted by default, then with the option that may bring
 * the feature, and what comes out must be what the table says.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Layers, makeLayers, run, scratch, shell, until } from '../support/ground.js';

const program = join(process.cwd(), 'bin/tsoverlay');

interface Feature {
  /** As the table's first column has it. */
  row: string;
  /** Fills the one lower layer; `two` is a further one below it. */
  lower: string;
  two?: string;
  /** Options to try when the plain mount does not have it; `{two}` is the further layer. */
  option?: string;
  /** Runs in the mount; the feature is there when it exits with 0. */
  probe: string;
  /** Runs in a second mount of the same layers. */
  again?: string;
}

const python = (text: string): string => `python3 - <<'END'\n${text}\nEND`;

const FEATURES: Feature[] = [
  {
    row: 'rename of a lower directory',
    lower: 'mkdir d; touch d/f',
    option: 'redirect_dir=on',
    probe: python("import os; os.rename('d', 'e'); assert os.listdir('e') == ['f']"),
  },
  {
    row: 'hard links are kept over copy-up',
    lower: 'echo x > a; ln a b',
    option: 'index=on',
    probe: 'echo y >> a; test "$(cat a)" = "$(cat b)"; test $(stat -c %h a) = 2',
    // The untouched name first: one that was read before could come from memory.
    again: 'test "$(tail -n 1 b)" = y; test "$(tail -n 1 a)" = y; test $(stat -c %h a) = 2',
  },
  {
    row: 'a change of owner copies no data',
    lower: 'head -c 300000 /dev/urandom > f',
    option: 'metacopy=on',
    probe: 'chown 5 f; test $(du -k ../upper/f | cut -f 1) -lt 100; test $(stat -c %u f) = 5',
  },
  {
    row: '`.wh.` files of AUFS and image layers hide names',
    lower: 'touch .wh.gone',
    two: 'touch gone',
    probe: 'test ! -e gone',
  },
  {
    row: 'whiteouts in attributes',
    lower:
      'mkdir d; touch d/gone; setfattr -n trusted.overlay.whiteout -v y d/gone; setfattr -n trusted.overlay.opaque -v x d',
    two: 'mkdir d; echo low > d/gone',
    probe: 'ls d > /dev/null; test ! -e d/gone',
  },
  {
    row: 'layers that only hold data',
    lower:
      'truncate -s 5 f; setfattr -n trusted.overlay.metacopy f; setfattr -n trusted.overlay.redirect -v /blob f',
    two: 'echo data > blob',
    option: 'metacopy=on,redirect_dir=on,lowerdir={lower}::{two}',
    probe: 'test "$(cat f)" = data; test ! -e blob',
  },
  {
    row: 'who opened a file before its copy-up sees later writes',
    lower: 'echo old > f',
    probe: 'exec 3< f; echo new > f; test "$(cat <&3)" = new',
  },
  {
    row: 'a shared mapping sees writes after copy-up',
    lower: 'echo old > f',
    probe: python(
      "import mmap, os\nm = mmap.mmap(os.open('f', os.O_RDONLY), 0, mmap.MAP_SHARED, mmap.PROT_READ); assert m[:3] == b'old'\nos.pwrite(os.open('f', os.O_RDWR), b'new', 0); assert m[:3] == b'new'",
    ),
  },
  {
    row: 'a running program cannot be written to',
    lower: 'cp /bin/sleep program',
    probe:
      './program 30 & sleep 0.1; if echo x 2>/dev/null >> program; then status=1; else status=0; fi; kill $!; exit $status',
  },
  {
    row: 'an inode number stays over copy-up',
    lower: 'echo x > f',
    option: 'xino=on',
    probe: 'before=$(stat -c %i f); echo y >> f; test $(stat -c %i f) = $before',
  },
  {
    row: 'files without a name (O_TMPFILE)',
    lower: 'touch f',
    probe: python(
      "import ctypes, os; fd = os.open('.', os.O_TMPFILE | os.O_RDWR); assert ctypes.CDLL(None).linkat(-100, b'/proc/self/fd/%d' % fd, -100, b'named', 0x400) == 0; os.stat('named')",
    ),
  },
  {
    row: 'ids shown shifted (`uidmapping=`)',
    lower: 'touch f',
    option: 'uidmapping=0:100000:65536',
    probe: 'test $(stat -c %u f) = 100000',
  },
  {
    row: 'owners and modes kept in attributes',
    lower: 'touch f',
    option: 'xattr_permissions=2',
    probe: 'chown 5 f; test $(stat -c %u f) = 5; test $(stat -c %u ../upper/f) = 0',
  },
];

type Mount = (layers: Layers, options: string) => boolean;

const works = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0;

const GROUNDS: Record<string, Mount> = {
  tsoverlay: (layers, options) => works(program, '-o', options, layers.target),
  'kernel overlayfs': (layers, options) =>
    works('mount', '-t', 'overlay', 'overlay', '-o', options, layers.target),
  'fuse-overlayfs 1.10': (layers, options) => works('fuse-overlayfs', '-o', options, layers.target),
};

/** Mounts afresh, tries the feature, and leaves nothing mounted. */
async function tried(t: Test, feature: Feature, mount: Mount, more: string): Promise<boolean> {
  const layers = makeLayers(scratch(t), 2);
  shell(feature.lower, layers.lowers[0]);
  shell(feature.two ?? '', layers.lowers[1]);
  const filled = more.replace('{lower}', layers.lowers[0]).replace('{two}', layers.lowers[1]);
  const lowers = filled.includes('lowerdir=') ? '' : `lowerdir=${layers.lowers.join(':')},`;
  const options = `${lowers}upperdir=${layers.upper},workdir=${layers.work}${filled === '' ? '' : `,${filled}`}`;
  for (const probe of [feature.probe, feature.again]) {
    if (probe === undefined) continue;
    if (!mount(layers, options)) return false;
    const { status } = spawnSync('bash', ['-ec', probe], { cwd: layers.target });
    run('umount', layers.target);
    await until(() => spawnSync('pgrep', ['-f', layers.target]).status === 1, 'the server to end');
    if (status !== 0) return false;
  }
  return true;
}

async function cell(t: Test, feature: Feature, mount: Mount): Promise<string> {
  if (await tried(t, feature, mount, '')) return 'yes';
  return feature.option !== undefined && (await tried(t, feature, mount, feature.option))
    ? 'by option'
    : 'no';
}

/** The README's table: what it says by row and column. */
function readTable(): Map<string, Map<string, string>> {
  const lines = readFileSync('README.md', 'utf8').split('\n');
  const start = lines.findIndex((line) => line.startsWith('| tried on each |'));
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  const cells = (line: string): string[] =>
    line
      .split('|')
      .slice(1, -1)
      .map((text) => text.trim());
  const [head, , ...rows] = lines.slice(start, end).map(cells);
  return new Map(
    rows.map((row) => [row[0], new Map(head.slice(1).map((name, column) => [name, row[column + 1]]))]),
  );
}

const table = readTable();

t.test('the table has a row for each feature, and a column for each file system', async (t) => {
  t.strictSame(
    [...table.keys()],
    FEATURES.map(({ row }) => row),
  );
  for (const row of table.values()) t.strictSame([...row.keys()], Object.keys(GROUNDS));
});

for (const feature of FEATURES) {
  t.test(feature.row, async (t) => {
    for (const [name, mount] of Object.entries(GROUNDS)) {
      t.equal(await cell(t, feature, mount), table.get(feature.row)?.get(name), name);
    }
  });
}
