// SPDX-License-Identifier: MIT
/** Bundles that a real OCI runtime starts: Debian's runc, with busybox as the image. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { run, scratch, shell } from '../support/ground.js';
import { type Cli, storeCli } from '../support/images.js';

async function prepare(t: Test): Promise<Cli> {
  const base = scratch(t);
  const cli = storeCli(t, base);
  shell(
    `mkdir -p root/bin root/etc root/home/ann root/srv; cp /bin/busybox root/bin; for a in sh id env cat ls touch hostname mount grep sed pwd; do ln -s busybox root/bin/$a; done
     printf 'root:x:0:0::/root:/bin/sh\\nann:x:1000:1001::/home/ann:/bin/sh\\n' > root/etc/passwd
     printf 'root:x:0:\\nann:x:1001:\\nteam:x:50:ann\\nother:x:51:\\n' > root/etc/group; chown 1000:1001 root/srv`,
    base,
  );
  await cli.ok(
    'import',
    join(base, 'root'),
    'box',
    '-c',
    'ENTRYPOINT ["/bin/sh", "-c"]',
    '-c',
    'CMD ["echo from the image"]',
    '-c',
    'ENV A=image',
    '-c',
    'WORKDIR /srv',
  );
  return cli;
}

/** Starts a bundle with runc and takes it away afterwards. */
function start(t: Test, bundle: string): { status: number | null; stdout: string; stderr: string } {
  const state = join(bundle, '..', 'runc');
  const name = `tsoverlay-test-${process.pid}-${Math.floor(performance.now())}`;
  t.teardown(() => spawnSync('runc', ['--root', state, 'delete', '-f', name]));
  const { status, stdout, stderr } = spawnSync('runc', ['--root', state, 'run', '--bundle', bundle, name], {
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

async function make(
  t: Test,
  cli: Cli,
  name: string,
  options: string[] = [],
  command: string[] = [],
): Promise<string> {
  const bundle = join(cli.base, name);
  t.equal(await cli.ok('bundle', ...options, 'box', bundle, '--', ...command), `${bundle}\n`);
  t.teardown(() => shell(`umount ${bundle}/rootfs 2>/dev/null || true`));
  return bundle;
}

t.test("a bundle has the image's own command, environment and directory", async (t) => {
  const cli = await prepare(t);
  const bundle = await make(t, cli, 'plain');
  t.match(start(t, bundle), { status: 0, stdout: 'from the image\n', stderr: '' });
  const spec = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
  t.match(spec, {
    ociVersion: '1.0.2',
    root: { path: 'rootfs', readonly: false },
    hostname: 'plain',
    process: { cwd: '/srv', terminal: false },
  });
});

t.test('what is said in its place, and what is changed lies in the upper alone', async (t) => {
  const cli = await prepare(t);
  const script =
    'id; pwd; echo $A $B $HOME; hostname; touch /srv/made; ls /srv; cat /proc/1/cmdline | grep -c sh; grep -c CapEff /proc/self/status';
  const bundle = await make(
    t,
    cli,
    'other',
    ['-u', 'ann', '-e', 'B=given', '-e', 'A=over', '--hostname', 'box1'],
    [script],
  );
  const { status, stdout, stderr } = start(t, bundle);
  t.equal(status, 0, stderr);
  t.match(
    stdout,
    /^uid=1000\(ann\) gid=1001\(ann\) groups=(1001\(ann\),)?50\(team\)(,1001\(ann\))?\n\/srv\nover given \/home\/ann\nbox1\nmade\n/,
  );
  t.ok(existsSync(join(bundle, 'upper/srv/made')));
  t.notOk(existsSync(join(cli.base, 'root/srv/made')));
  t.equal(shell('find layers -name made', cli.root), '');
});

t.test('the exit code is that of the command, and a read-only one changes nothing', async (t) => {
  const cli = await prepare(t);
  t.equal(start(t, await make(t, cli, 'seven', [], ['exit 7'])).status, 7);
  const readOnly = await make(t, cli, 'fixed', ['--read-only'], ['touch /srv/x']);
  t.match(start(t, readOnly), { status: 1, stderr: /Read-only file system/ });
  t.notOk(existsSync(join(readOnly, 'upper/srv/x')));
});

t.test('it holds no more than Docker gives: capabilities, masked paths, devices', async (t) => {
  const cli = await prepare(t);
  const bundle = await make(
    t,
    cli,
    'held',
    [],
    [
      'grep CapEff /proc/self/status; cat /proc/kcore | head -c 1; touch /proc/sys/kernel/x; ls /dev; echo x > /dev/null',
    ],
  );
  const { stdout, stderr } = start(t, bundle);
  t.match(stdout, /CapEff:\t00000000a80425fb\n/, "Docker's default set");
  t.match(stderr, /Read-only file system|Permission denied|No such file/);
  t.match(stdout, /\nnull\n/);
  t.notMatch(stdout, /\nsda|\nfuse|\nkmsg/);
});

t.test('mistakes are named, and leave neither mount nor directory', async (t) => {
  const cli = await prepare(t);
  mkdirSync(join(cli.base, 'full/x'), { recursive: true });
  const bundle = join(cli.base, 'bad');
  const cases: [args: string[], status: number, message: RegExp][] = [
    [['none', bundle], 1, /no such image/],
    [['box', join(cli.base, 'full')], 1, /the directory is not empty/],
    [['-u', 'nobody-here', 'box', bundle], 1, /\/etc\/passwd of the image has no such user; give a number/],
    [['-u', 'ann:nogroup', 'box', bundle], 1, /\/etc\/group of the image has no such group/],
    [['--network', 'bridge', 'box', bundle], 2, /--network bridge is not possible/],
  ];
  for (const [args, status, stderr] of cases)
    t.match(await cli.run('bundle', ...args), { status, stderr }, args.join(' '));
  t.notOk(existsSync(bundle));
  await cli.ok('import', join(cli.base, 'root'), 'silent');
  t.match(await cli.run('bundle', 'silent', bundle), {
    status: 1,
    stderr: /the image names no command; give one after the name/,
  });
  t.notOk(existsSync(bundle));
  t.equal(run('bash', '-c', `grep -c ${cli.base}/bad /proc/mounts || true`), '0\n');
});
