// SPDX-License-Identifier: MIT
/** `tsoverlay fsck` on layers with one of each fault, and on sound ones. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { mountOurs, shell } from '../support/ground.js';
import { open, prepare } from '../support/overlay.js';

const program = join(process.cwd(), 'bin/tsoverlay');

function fsck(cwd: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(program, ['fsck', ...args], { cwd, encoding: 'utf8' });
  return { status, stdout, stderr };
}

const mark = (name: string, value: string, path: string): string =>
  `setfattr -n trusted.overlay.${name} ${value === '' ? '' : `-v '${value}'`} ${path}`;

/** An upper over one lower with one of each fault that can be mended, and some that cannot. */
function faulty(t: Test): ReturnType<typeof prepare> {
  const layers = prepare(t, ['echo low > f; mkdir d; touch d/x; mkdir same']);
  shell(
    `mknod nothing c 0 0; mknod f c 0 0; touch .wh.neither
     mkdir o; ${mark('opaque', 'y', 'o')}; mknod o/x c 0 0
     mkdir r; ${mark('redirect', '/no/where', 'r')}; touch r/own
     mkdir same; ${mark('redirect', '../d', 'same')}; touch same/own
     mkdir odd; ${mark('opaque', 'q', 'odd')}
     mkdir pure; touch pure/c; ${mark('origin', '', 'pure/c')}
     touch bad; ${mark('origin', 'zz', 'bad')}
     truncate -s 9 lost; ${mark('metacopy', '', 'lost')}
     truncate -s 9 wrong; ${mark('metacopy', 'ab', 'wrong')}`,
    layers.upper,
  );
  return layers;
}

const EXPECTED = [
  ['/.wh.neither', 'whiteout over nothing'],
  ['/bad', 'malformed mark'],
  ['/lost', 'metacopy without data'],
  ['/nothing', 'whiteout over nothing'],
  ['/o/x', 'whiteout over nothing'],
  ['/odd', 'malformed mark'],
  ['/pure', 'missing impure mark'],
  ['/r', 'dangling redirect'],
  ['/same', 'malformed redirect'],
  ['/wrong', 'malformed mark'],
];

interface Reported {
  path: string;
  kind: string;
  repaired: boolean;
}

function report(base: string, ...flags: string[]): { status: number | null; findings: Reported[] } {
  const { status, stdout, stderr } = fsck(base, 'upper', 'lower0', '--json', ...flags);
  if (stderr !== '') throw new Error(stderr);
  const { findings } = JSON.parse(stdout) as { findings: Reported[] };
  return { status, findings: findings.sort((a, b) => (a.path < b.path ? -1 : 1)) };
}

t.test('each fault is found and said in words, and nothing else', async (t) => {
  const { base } = faulty(t);
  const { status, findings } = report(base);
  t.strictSame(
    findings.map(({ path, kind }) => [path, kind]),
    EXPECTED,
  );
  t.equal(status, 1);
  t.ok(findings.every(({ repaired }) => !repaired));
  const words = fsck(base, 'upper', 'lower0').stdout;
  t.match(words, /^upper: \/r: dangling redirect: no layer below has the directory \/no\/where$/m);
  t.match(words, /^10 found, 0 repaired$/m);
});

t.test('--repair mends what it can and changes nothing that is seen', async (t) => {
  const layers = faulty(t);
  const view = async (): Promise<string[]> => {
    const overlay = await open(t, layers);
    const names = [
      ...(await overlay.readdir('/')),
      ...(await overlay.readdir('/o')),
      ...(await overlay.readdir('/odd')),
      ...(await overlay.readdir('/pure')),
      ...(await overlay.readdir('/r')),
    ];
    await overlay.close();
    return names.sort();
  };
  const before = await view();
  const { status, findings } = report(layers.base, '--repair');
  t.equal(status, 1, 'something is left');
  t.strictSame(
    findings.filter(({ repaired }) => !repaired).map(({ path }) => path),
    ['/lost', '/wrong'],
  );
  t.strictSame(await view(), before);
  t.strictSame(
    report(layers.base).findings.map(({ path }) => path),
    ['/lost', '/wrong'],
  );
  t.ok(existsSync(join(layers.upper, 'f')), 'a whiteout over something stays');
});

t.test('what a mount wrote is sound; leftovers in work are found and removed', async (t) => {
  const layers = prepare(t, ['mkdir -p d/e; touch d/e/f; echo x > g; ln g h; mkdir gone']);
  const live = await mountOurs(t, layers, { index: true, metacopy: true });
  shell('mv d moved; rm g; chmod 600 h; rmdir gone; mkdir gone; echo a > moved/e/f', layers.target);
  t.match(fsck(layers.base, 'upper', 'lower0', '--work', 'work'), {
    status: 1,
    stderr: /a live mount uses it; unmount that first/,
  });
  await live.unmount();
  t.strictSame(fsck(layers.base, 'upper', 'lower0', '--work', 'work'), {
    status: 0,
    stdout: 'nothing is wrong\n',
    stderr: '',
  });
  shell("touch 'work/work/#1'; mkdir -p work/work/#2/deep work/work/incompat/volatile", layers.base);
  t.match(fsck(layers.base, 'upper', 'lower0', '--work', 'work').stdout, /3 found, 0 repaired/);
  t.match(fsck(layers.base, 'upper', 'lower0', '--work', 'work', '--repair').stdout, /3 found, 2 repaired/);
  t.notOk(existsSync(join(layers.work, 'work/#2')));
  t.ok(existsSync(join(layers.work, 'work/incompat/volatile')), 'that is for a person to judge');
});

t.test('a mistake in the call gets one line', async (t) => {
  const { base } = prepare(t, ['touch f']);
  t.match(fsck(base, 'none'), {
    status: 1,
    stderr: /^tsoverlay: open lower directory none: there is no such directory[^\n]*\n$/,
  });
  t.match(fsck(base, 'lower0', '--repare'), {
    status: 2,
    stderr: /unknown option --repare; did you mean --repair\?/,
  });
});

t.test('a layer of a live mount is not repaired', async (t) => {
  const layers = prepare(t, ['touch f']);
  await mountOurs(t, layers);
  t.match(fsck(layers.base, 'lower0', '--repair'), {
    status: 1,
    stderr: /the mount at .*merged uses it; unmount that first/,
  });
  t.equal(fsck(layers.base, 'lower0').status, 0);
});

t.test('a tree of 3,000 levels and a redirect loop cost time and nothing else', async (t) => {
  const layers = prepare(t, [
    'for i in $(seq 30); do p=$(printf "d/%.0s" $(seq 100)); mkdir -p $p; cd $p; done; touch end',
    'mkdir a b',
  ]);
  shell(`mkdir a b; ${mark('redirect', '/b', 'a')}; ${mark('redirect', '/a', 'b')}`, layers.lowers[0]);
  t.match(fsck(layers.base, 'lower0', 'lower1'), { status: 0, stdout: 'nothing is wrong\n' });
});
