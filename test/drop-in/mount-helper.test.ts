// SPDX-License-Identifier: MIT
/** The forms in which mount(8), fstab and containerd call a FUSE file system. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ended, type Layers, makeLayers, run, scratch, shell } from '../support/ground.js';

const program = join(process.cwd(), 'bin/tsoverlay');

/** mount(8) clears the environment: only the usual directories are searched for the program. */
const INSTALLED = '/usr/local/bin/tsoverlay';

function install(t: Test): void {
  // The runner gives every file a /usr/local of its own.
  if (process.env.TSOVERLAY_TEST_ISOLATED === undefined)
    throw new Error('it would change /usr/local of this machine: run it with make test-one T=drop-in');
  rmSync(INSTALLED, { force: true });
  symlinkSync(program, INSTALLED);
  t.teardown(() => rmSync(INSTALLED));
}

interface Ground extends Layers {
  base: string;
  /** What /proc/mounts says of the target: source, type, options. */
  shown(): string[];
}

function prepare(t: Test): Ground {
  const base = scratch(t);
  const layers = makeLayers(base, 2);
  shell('echo low > f; echo low > g', layers.lowers[1]);
  shell('echo top > f', layers.lowers[0]);
  t.teardown(() => run('bash', '-c', `umount ${layers.target} 2>/dev/null || true`));
  const shown = (): string[] => {
    const line = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .findLast((record) => record.split(' ')[1] === layers.target);
    const [source, , type, options] = (line ?? '').split(' ');
    return [source, type, options];
  };
  return { ...layers, base, shown };
}

function call(cwd: string, command: string, ...args: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  return { status, stderr };
}

t.test('mount -t fuse.tsoverlay takes the plain flags and the names that are asked for', async (t) => {
  install(t);
  const { lowers, upper, work, target, base, shown } = prepare(t);
  const options = `lowerdir=${lowers.join(':')},upperdir=${upper},workdir=${work},nosuid,nodev,noatime`;
  const result = call(base, 'mount', '-t', 'fuse.tsoverlay', 'none', target, '-o', options);
  t.strictSame(result, { status: 0, stderr: '' });
  t.equal(readFileSync(join(target, 'f'), 'utf8'), 'top\n');
  const [source, type, flags] = shown();
  t.strictSame([source, type], ['none', 'fuse.tsoverlay']);
  for (const flag of ['rw', 'nosuid', 'nodev', 'noatime']) t.ok(flags.split(',').includes(flag), flag);
  run('umount', target);
});

t.test('a line in fstab is mounted with the source and the type that it names', async (t) => {
  install(t);
  const { lowers, upper, work, target, base, shown } = prepare(t);
  const fstab = join(base, 'fstab');
  writeFileSync(
    fstab,
    `overlay ${target} fuse.tsoverlay lowerdir=${lowers.join(':')},upperdir=${upper},workdir=${work},fsname=mine,subtype=other,noauto,x-systemd.automount 0 0\n`,
  );
  t.strictSame(call(base, 'mount', '-T', fstab, target), { status: 0, stderr: '' });
  t.strictSame(shown().slice(0, 2), ['mine', 'fuse.other']);
  run('umount', target);
});

t.test('mount.fuse3 with drop_privileges hands over a mounted descriptor', async (t) => {
  install(t);
  const { lowers, upper, work, target, base, shown } = prepare(t);
  const options = `drop_privileges,default_permissions,allow_other,lowerdir=${lowers.join(':')},upperdir=${upper},workdir=${work}`;
  t.strictSame(call(base, 'mount.fuse3', 'tsoverlay#overlay', target, '-o', options), {
    status: 0,
    stderr: '',
  });
  t.equal(readFileSync(join(target, 'f'), 'utf8'), 'top\n');
  shell('echo changed > f; echo new > h', target);
  t.equal(readFileSync(join(upper, 'f'), 'utf8'), 'changed\n');
  const [record] = JSON.parse(run(program, 'mounts', '--json'));
  t.equal(record.target, target);
  t.match(readFileSync(`/proc/${record.serverPid}/status`, 'utf8'), /CapEff:\t0+\n/);
  run('umount', target);
  await ended(record.serverPid);
  t.strictSame(shown(), ['', undefined, undefined]);

  const open = call(
    base,
    'mount.fuse3',
    'tsoverlay#overlay',
    target,
    '-o',
    options.replace('default_permissions,', ''),
  );
  t.match(open.stderr, /mounted without default_permissions.*; add default_permissions/);
  run('umount', target);
});

t.test('SOURCE TARGET with repeated -o, relative layers, and -o TARGET alone are understood', async (t) => {
  const { target, base, shown } = prepare(t);
  t.strictSame(
    call(
      base,
      program,
      'overlay',
      target,
      '-o',
      'lowerdir=lower0:lower1',
      '-o',
      'upperdir=upper',
      '-o',
      'workdir=work,rw',
    ),
    { status: 0, stderr: '' },
  );
  t.equal(shown()[0], 'overlay');
  run('umount', target);
  t.strictSame(call(base, program, '-o', 'lowerdir=lower0:lower1', target), { status: 0, stderr: '' });
  t.match(shown()[2], /^ro,/, 'without an upper it is read-only');
  run('umount', target);
});

t.test('an option that nobody knows is a warning in these forms alone', async (t) => {
  const { target, base } = prepare(t);
  const warned = call(base, program, '-o', 'lowerdir=lower0,wibble=1', target);
  t.equal(warned.status, 0);
  t.match(warned.stderr, /^tsoverlay: unknown mount option "wibble" is ignored[^\n]*\n$/);
  run('umount', target);
  t.equal(call(base, program, 'mount', '-o', 'lowerdir=lower0,wibble=1', target).status, 2);
});

t.test('every option of the peers is honoured, or refused by name', async (t) => {
  const { target, base } = prepare(t);
  const honoured =
    'redirect_dir=on,index=off,metacopy=off,xino=auto,nfs_export=off,uuid=null,verity=off,threaded=0,fast_ino=1,writeback=0,timeout=1.5,noacl,static_nlink,fsync=0,default_permissions,kernel_cache,clone_fd,max_write=65536,allow_other,lowerdir+=lower1';
  const taken = call(base, program, '-o', `lowerdir=lower0,${honoured}`, target);
  t.strictSame(taken, { status: 0, stderr: '' });
  run('umount', target);
  for (const refused of [
    'plugins=x',
    'ino32_t',
    'verity=require',
    'uuid=on',
    'allow_root',
    'blkdev',
    'nooverride_creds',
    'context="system_u:object_r:container_file_t:s0:c1,c2"',
  ]) {
    const result = call(base, program, '-o', `lowerdir=lower0,${refused}`, target);
    t.not(result.status, 0, refused);
    t.ok(result.stderr.includes(refused.split('=')[0]), `${refused}: the message names it: ${result.stderr}`);
  }
});

t.test('ids are mapped as Podman writes it, and squashed', async (t) => {
  const { lowers, upper, work, target, base } = prepare(t);
  shell('chown 0:7 f; touch h; chown 70000 h', lowers[0]);
  const layers = `lowerdir=${lowers[0]},upperdir=${upper},workdir=${work}`;
  const ids = (name: string): string => shell(`stat -c %u:%g ${name}`, target).trim();
  t.strictSame(
    call(base, program, '-o', `${layers},uidmapping=:0:100000:65536,gidmapping=:0:200000:65536`, target),
    { status: 0, stderr: '' },
  );
  t.equal(ids('f'), '100000:200007');
  t.equal(ids('h'), '65534:200000', 'without a mapping it is the overflow id');
  shell('touch new; chown 100005:200006 f new', target);
  t.equal(ids('f'), '100005:200006');
  t.equal(shell('stat -c %u:%g f new', upper), '5:6\n5:6\n', 'stored unshifted');
  run('umount', target);
  t.strictSame(call(base, program, '-o', `${layers},squash_to_uid=33,squash_to_gid=44`, target), {
    status: 0,
    stderr: '',
  });
  t.equal(ids('f'), '33:44');
  run('umount', target);
  t.strictSame(call(base, program, '-o', `${layers},squash_to_root`, target), { status: 0, stderr: '' });
  t.equal(ids('f'), '0:0');
  run('umount', target);
  for (const wrong of ['uidmapping=1:2', 'uidmapping=0:0:0', 'gidmapping=a:b:c', 'squash_to_uid=-1']) {
    t.match(
      call(base, program, '-o', `${layers},${wrong}`, target),
      { status: 2, stderr: /is not possible; write/ },
      wrong,
    );
  }
});

t.test('noacl and noxattrs take these away, static_nlink gives directories one link', async (t) => {
  const { lowers, upper, work, target, base } = prepare(t);
  shell('setfattr -n user.x -v y f; mkdir -p d/e', lowers[0]);
  const layers = `lowerdir=${lowers[0]},upperdir=${upper},workdir=${work}`;
  t.strictSame(call(base, program, '-o', `${layers},noacl,static_nlink`, target), {
    status: 0,
    stderr: '',
  });
  t.throws(() => shell('setfacl -m u:5:r f', target), /not supported/);
  t.match(shell('getfattr -d f', target), /user\.x="y"/);
  t.equal(shell('stat -c %h d', target), '1\n');
  run('umount', target);
  t.strictSame(call(base, program, '-o', `${layers},noxattrs`, target), { status: 0, stderr: '' });
  t.throws(() => shell('setfattr -n user.z -v y f', target), /not supported/);
  run('umount', target);
});

t.test('with timeout=0 the kernel asks each time', async (t) => {
  const { target, base } = prepare(t);
  const served = (): { serverPid: number; requests: number } => {
    const list = JSON.parse(run(program, 'mounts', '--json')) as {
      target: string;
      serverPid: number;
      figures: { requests: number };
    }[];
    const record = list.find((record) => record.target === target)!;
    return { serverPid: record.serverPid, requests: record.figures.requests };
  };
  const asked = async (options: string): Promise<number> => {
    t.strictSame(call(base, program, '-o', `lowerdir=lower0${options}`, target), {
      status: 0,
      stderr: '',
    });
    shell(`for i in 1 2 3 4 5 6 7 8 9; do stat f > /dev/null; done`, target);
    const { serverPid, requests } = served();
    run('umount', target);
    await ended(serverPid);
    return requests;
  };
  t.ok((await asked(',timeout=0')) > (await asked('')) + 8);
});
