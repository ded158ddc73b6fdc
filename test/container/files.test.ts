// SPDX-License-Identifier: MIT
/** What containers change: the same from every storage driver; cp, diff, commit, export. */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { boxCli, btrfsScratch, PROGRAM } from '../support/containers.js';
import { run, scratch, shell } from '../support/ground.js';
import type { Cli } from '../support/images.js';

const DRIVERS = ['tsoverlay', 'overlay', 'btrfs', 'vfs'];

/** Changes of every kind that a layer can tell. */
const CHANGES = `echo new > /new; echo more >> /etc/group; rm /bin/vi; rm -r /home/ann; mkdir -p /d/e; echo f > /d/e/f
  mv /srv /moved; chmod 700 /tmp; ln -s new /link; ln /new /hard; chown -h 5:6 /bin/awk; mknod /pipe p; touch -d '2001-02-03 04:05:06' /new
  mkdir /etc2; cp -a /etc/passwd /etc2; rm /bin/ed; mkdir /bin/ed; echo x > /bin/ed/x`;

interface Seen {
  tree: string;
  diff: string;
  committed: string;
}

const DESCRIBE =
  "find / -xdev -path /proc -prune -o -path /sys -prune -o -path /dev -prune -o -exec stat -c '%n|%F|%a|%u:%g|%h|%N' {} + | grep -v -E '^/(\\||etc/(hosts|hostname|resolv.conf)\\|)' | sed 's/|directory|\\([^|]*|[^|]*\\)|[0-9]*/|directory|\\1/' | sort; cat /new /etc/group /d/e/f | md5sum; stat -c '%Y' /new";

async function change(cli: Cli, driver: string): Promise<Seen> {
  const name = `with-${driver}`;
  await cli.ok('run', '--name', name, '--storage-driver', driver, 'box', 'sh', '-ec', CHANGES);
  const diff = await cli.ok('diff', name);
  await cli.ok('commit', name, `${name}:1`);
  const tree = await cli.ok('run', '--rm', '--storage-driver', driver, `${name}:1`, 'sh', '-c', DESCRIBE);
  const committed = await cli.ok('run', '--rm', `${name}:1`, 'sh', '-c', DESCRIBE);
  await cli.ok('start', '-a', name).catch(() => undefined);
  return { tree, diff, committed };
}

t.test('every storage driver shows the same, and tells the same changes', async (t) => {
  const base = btrfsScratch(t);
  const cli = await boxCli(t, base);
  const first = await change(cli, 'tsoverlay');
  t.match(
    first.diff,
    /^C \/bin\nC \/bin\/awk\nC \/bin\/ed\nA \/bin\/ed\/x\nD \/bin\/vi\nA \/d\nA \/d\/e\nA \/d\/e\/f\nC \/etc\n/,
  );
  t.match(first.diff, /\nD \/home\/ann\nA \/link\nA \/moved\nA \/new\nA \/pipe\nD \/srv\nC \/tmp\n$/);
  t.notMatch(first.diff, /hosts|resolv/, 'what is mounted for every container is no change');
  t.match(first.tree, /\/bin\/awk\|[^\n]*\|5:6\|/);
  for (const driver of DRIVERS.slice(1)) {
    const seen = await change(cli, driver);
    t.equal(seen.diff, first.diff, `${driver}: diff`);
    t.equal(seen.tree, first.tree, `${driver}: tree`);
    t.equal(seen.committed, first.committed, `${driver}: the committed image`);
  }
  t.equal(first.committed, first.tree);
  const trees = shell(`ls ${cli.root}/btrfs | wc -l`);
  t.ok(Number(trees) >= 1, 'the image has a tree of its own on btrfs');
  for (const driver of DRIVERS) await cli.ok('rm', `with-${driver}`);
  await cli.ok('image', 'prune', '-af');
  t.equal(
    shell(`ls ${cli.root}/btrfs ${cli.root}/layers | grep -c . || true`),
    '2\n',
    'only the headings are left',
  );
});

t.test(
  'the kernel mounts what we have written, and we what the kernel has: one container, both drivers',
  async (t) => {
    const cli = await boxCli(t);
    await cli.ok('run', '--name', 'both', 'box', 'sh', '-ec', CHANGES);
    const id = (await cli.ok('inspect', '-f', '{{.Id}}', 'both')).trim();
    const file = join(cli.root, 'containers', id, 'container.json');
    const { GraphDriver } = JSON.parse(await cli.ok('inspect', 'both'))[0];
    const config = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(
      file,
      JSON.stringify({
        ...config,
        options: {
          ...config.options,
          storage: 'overlay',
          command: ['sh', '-c', 'cat /new; ls /moved /bin/ed; echo kernel > /by'],
        },
      }),
    );
    t.equal(await cli.ok('start', '-a', 'both'), 'new\n/bin/ed:\nx\n\n/moved:\n');
    t.equal(GraphDriver.Name, 'tsoverlay');
    t.equal(readFileSync(join(GraphDriver.Data.UpperDir, 'by'), 'utf8'), 'kernel\n');
  },
);

t.test('cp copies files and directories, in and out, running or not', async (t) => {
  const cli = await boxCli(t);
  mkdirSync(join(cli.base, 'src/sub'), { recursive: true });
  writeFileSync(join(cli.base, 'src/a'), 'a\n');
  writeFileSync(join(cli.base, 'src/sub/b'), 'b\n');
  symlinkSync('a', join(cli.base, 'src/l'));
  shell('chown 77:77 src/a; mkdir out', cli.base);
  const program = `TSOVERLAY_ROOT=${cli.root} ${PROGRAM}`;
  await cli.ok('run', '-d', '--name', 'c1', '-v', 'vol:/vol', '--tmpfs', '/mem', 'box', 'sleep', '1000');
  for (const running of [true, false]) {
    if (!running) await cli.ok('stop', '-t', '0', 'c1');
    const where = running ? 'run' : 'rest';
    await cli.ok('cp', 'src', `c1:/${where}`);
    await cli.ok('cp', 'src', `c1:/${where}`);
    await cli.ok('cp', 'src/.', `c1:/srv`);
    await cli.ok('cp', '-a', 'src/a', `c1:/${where}/owned`);
    await cli.ok('cp', `c1:/${where}/.`, `out/${where}`);
    await cli.ok('cp', `c1:/srv/sub/b`, 'out');
    t.equal(
      shell(`cd out/${where}; find . -printf '%P %y %U\\n' | sort; cat src/sub/b`, cli.base),
      ' d 0\na f 0\nl l 0\nowned f 0\nsrc d 0\nsrc/a f 0\nsrc/l l 0\nsrc/sub d 0\nsrc/sub/b f 0\nsub d 0\nsub/b f 0\nb\n',
    );
    t.match(shell(`${program} cp c1:/${where}/owned - | tar tv --numeric-owner`, cli.base), / 77\/77 /);
    t.equal(
      shell(`tar -C src -c . | ${program} cp - c1:/tmp; ${program} cp -L c1:/tmp/l - | tar xO`, cli.base),
      'a\n',
    );
  }
  await cli.ok('start', 'c1');
  await cli.ok('cp', 'src/a', 'c1:/vol/in-volume');
  await cli.ok('cp', 'src/a', 'c1:/mem/in-memory');
  t.equal(await cli.ok('exec', 'c1', 'cat', '/vol/in-volume', '/mem/in-memory'), 'a\na\n');
  t.equal(readFileSync(join(cli.root, 'volumes/vol/in-volume'), 'utf8'), 'a\n');
});

t.test('cp: mistakes are named, and no symlink of a container leads to the host', async (t) => {
  const cli = await boxCli(t);
  writeFileSync(join(cli.base, 'a'), 'a\n');
  writeFileSync(join(cli.base, 'host'), 'host\n');
  mkdirSync(join(cli.base, 'dir/inner'), { recursive: true });
  writeFileSync(join(cli.base, 'dir/inner/file'), 'from outside\n');
  const script = `ln -s ${cli.base} /away; ln -s ${cli.base}/host /file; mkdir -p /dir; ln -s ${cli.base} /dir/inner; mkdir -p ${cli.base}; echo inside > ${cli.base}/host; sleep 1000`;
  await cli.ok('run', '-d', '--name', 'c1', 'box', 'sh', '-c', script);
  await cli.ok('cp', 'a', 'c1:/away/a');
  await cli.ok('cp', '-L', 'c1:/file', 'seen');
  t.equal(
    readFileSync(join(cli.base, 'seen'), 'utf8'),
    'inside\n',
    'what the container sees at the end of the link',
  );
  t.equal(
    await cli.ok('exec', 'c1', 'cat', `${cli.base}/a`),
    'a\n',
    'the link leads to a place in the container',
  );
  t.match(await cli.run('cp', 'dir', 'c1:/'), {
    status: 1,
    stderr: /dir\/inner.*a directory cannot take the place of a file/,
  });
  t.equal(readFileSync(join(cli.base, 'host'), 'utf8'), 'host\n');
  t.notOk(existsSync(join(cli.base, 'file')));
  const cases: [args: string[], status: number, message: RegExp][] = [
    [['a', 'b'], 2, /neither path is of a container; write CONTAINER:PATH/],
    [['c1:/a', 'c1:/b'], 2, /both paths are of containers/],
    [['a', 'd:/b'], 1, /d: there is no such container/],
    [['none', 'c1:/b'], 1, /copy "?this machine:.*none.*there is no such file or directory/],
    [['c1:/none', '.'], 1, /copy c1:\/none: there is no such file or directory/],
    [['a', 'c1:/none/b'], 1, /the directory that it would lie in is not there/],
    [['a', 'c1:/none/'], 1, /there is no such directory|the directory that it would lie in is not there/],
    [['dir', 'c1:/etc/passwd'], 1, /a directory cannot take the place of a file/],
    [[cli.base, 'c1:/all'], 2, /holds the files of c1/],
  ];
  for (const [args, status, stderr] of cases)
    t.match(await cli.run('cp', ...args), { status, stderr }, args.join(' '));
});

t.test('commit takes what was said on the command line along; export has every file', async (t) => {
  const cli = await boxCli(t);
  await cli.ok(
    'run',
    '-d',
    '--name',
    'c1',
    '-e',
    'A=1',
    '-w',
    '/srv',
    '-l',
    'k=v',
    'box',
    'sh',
    '-c',
    'echo $A > made; sleep 1000',
  );
  await cli.ok('exec', 'c1', 'sh', '-c', 'until [ -e /srv/made ]; do sleep 0.05; done');
  await cli.ok('commit', '-m', 'why', '-c', 'ENV B=2', 'c1', 'kept:1');
  t.match(JSON.parse(await cli.ok('inspect', '--type', 'image', 'kept:1')), [
    {
      Comment: 'why',
      Config: { Env: ['A=1', 'B=2'], WorkingDir: '/srv', Labels: { k: 'v' }, Cmd: ['sh', '-c', /sleep/] },
    },
  ]);
  t.equal(await cli.ok('run', '--rm', 'kept:1', 'sh', '-c', 'cat made; echo $B'), '1\n2\n');
  t.match(await cli.ok('ps'), /Up /, 'it runs on');
  await cli.ok('export', '-o', join(cli.base, 'all.tar'), 'c1');
  t.equal(shell('tar xOf all.tar srv/made; tar tf all.tar | grep -c bin/', cli.base).split('\n')[0], '1');
});

t.test('trees deeper than any path is long are measured, and removed', async (t) => {
  const cli = await boxCli(t, scratch(t));
  await cli.ok('create', '--name', 'deep', 'box', 'true');
  const { UpperDir } = JSON.parse(await cli.ok('inspect', '-f', '{{json .GraphDriver.Data}}', 'deep'));
  const dig = `import os
os.chdir('${UpperDir}')
for i in range(100):
    os.mkdir('d' * 200)
    os.chdir('d' * 200)
open('file', 'w').write('x' * 1000)`;
  run('python3', '-c', dig);
  t.equal((await cli.ok('ps', '-a', '--format', '{{.Size}}')).trim(), '1kB');
  await cli.ok('rm', 'deep');
  t.equal(shell(`ls ${cli.root}/staging ${cli.root}/containers | grep -vc : || true`).trim(), '1');
});
