// SPDX-License-Identifier: MIT
/** Mounts without privilege: through fusermount3, in a user namespace, and with ranges of ids. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeLayers, publicCheckout, run, scratch, shell } from '../support/ground.js';
import { makeLayout } from '../support/images.js';
import { makeOrdinaryUser, ORDINARY_USER } from '../support/ordinary-user.js';

interface Ground {
  base: string;
  program: string;
  /** Runs a shell script as the ordinary user, in the scratch directory. */
  asUser(script: string): { status: number | null; stdout: string; stderr: string };
}

/** An ordinary user with ranges of ids, and layers of theirs. /dev/fuse is open to all meanwhile, as distributions have it. */
function prepare(t: Test): Ground {
  const base = scratch(t);
  makeOrdinaryUser(t, base);
  makeLayers(base, 2);
  shell(
    `echo low > lower1/f; echo gone > lower1/g; mkdir -p lower1/d/e; echo deep > lower1/d/e/x; echo top > lower0/f; mkdir run; chown -R ${ORDINARY_USER}:${ORDINARY_USER} .`,
    base,
  );
  const program = join(publicCheckout(t, base), 'bin/tsoverlay');
  const environment = {
    PATH: process.env.PATH,
    TSOVERLAY_RUNTIME_DIR: join(base, 'run'),
    HOME: join(base, 'home'),
  };
  const asUser = (script: string): ReturnType<Ground['asUser']> => {
    const flags = [
      `--reuid=${ORDINARY_USER}`,
      `--regid=${ORDINARY_USER}`,
      '--init-groups',
      'bash',
      '--norc',
      '-ec',
      script,
    ];
    const { status, stdout, stderr } = spawnSync('setpriv', flags, {
      cwd: base,
      env: environment,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };
  return { base, program, asUser };
}

const CHANGES = `
  echo new > merged/new; echo more >> merged/f; rm merged/g; mv merged/d merged/moved; mkdir merged/d
  cat merged/f merged/moved/e/x; ls merged merged/d
`;
const SEEN = 'top\nmore\ndeep\nmerged:\nd\nf\nmoved\nnew\n\nmerged/d:\n';

t.test('an ordinary user mounts through fusermount3', async (t) => {
  const { base, program, asUser } = prepare(t);
  const options = 'lowerdir=lower0:lower1,upperdir=upper,workdir=work';
  t.strictSame(asUser(`${program} -o ${options} merged`), { status: 0, stdout: '', stderr: '' });
  t.strictSame(asUser(CHANGES), { status: 0, stdout: SEEN, stderr: '' });

  await t.test('it is for that user alone', async (t) => {
    t.match(spawnSync('cat', [join(base, 'merged/f')], { encoding: 'utf8' }), {
      status: 1,
      stderr: /Permission denied/,
    });
    t.match(
      asUser('grep merged /proc/mounts').stdout,
      /fuse\.tsoverlay rw,nosuid,nodev,.*default_permissions(?!.*allow_other)/,
    );
    t.match(
      asUser(
        `${program} -o ${options},allow_other other || true; mkdir other; ${program} -o lowerdir=lower0,allow_other other || true`,
      ).stderr,
      /user_allow_other/,
    );
  });

  await t.test('it outlives its server', async (t) => {
    const pid = `$(${program} mounts --json | sed -n 's/.*"serverPid": \\([0-9]*\\),/\\1/p')`;
    const killed = asUser(
      `exec 5<merged/f; first=${pid}; kill -9 $first; cat <&5; echo and > merged/and; cat merged/and; rm merged/and
       until [ ${pid} != $first ]; do sleep 0.05; done; echo another`,
    );
    t.strictSame(killed, { status: 0, stdout: 'top\nmore\nand\nanother\n', stderr: '' });
  });

  await t.test('its own commands show it and end it', async (t) => {
    t.match(asUser(`${program} mounts`).stdout, /merged/);
    t.equal(
      asUser(`${program} diff merged`).stdout,
      'C /d\nD /d/e\nC /f\nD /g\nA /moved\nA /moved/e\nA /moved/e/x\nA /new\n',
    );
    t.strictSame(asUser(`${program} unmount merged`), { status: 0, stdout: '', stderr: '' });
    t.equal(asUser('ls merged').stdout, '');
  });

  await t.test('and finds everything again', async (t) => {
    t.strictSame(asUser(`${program} -o ${options} merged`), { status: 0, stdout: '', stderr: '' });
    t.equal(asUser('cat merged/f merged/moved/e/x; ls merged merged/d').stdout, SEEN);
    t.strictSame(asUser('fusermount3 -u merged'), { status: 0, stdout: '', stderr: '' });
  });
});

t.test('root of a user namespace mounts, with one id', async (t) => {
  const { base, program, asUser } = prepare(t);
  const inside = `${program} -o lowerdir=lower0:lower1,upperdir=upper,workdir=work merged
    ${CHANGES}
    stat -c %u:%g merged/new; ${program} unmount merged`;
  const result = asUser(`unshare -Urm bash -ec '${inside}'`);
  t.strictSame(result, { status: 0, stdout: `${SEEN}0:0\n`, stderr: '' });
  t.match(shell('getfattr -h -d -m user.overlay moved', join(base, 'upper')), /user\.overlay\.redirect="d"/);
  t.match(
    shell('stat -c "%F %t:%T" g; stat -c %U new', join(base, 'upper')),
    new RegExp(`^character special file 0:0\n${ORDINARY_USER}\n`),
  );
});

t.test('the kernel mounts what it left, in a user namespace of its own', async (t) => {
  const { program, asUser } = prepare(t);
  const options = 'lowerdir=lower0:lower1,upperdir=upper,workdir=work';
  const inside = `${program} -o ${options},redirect_dir=off merged
    echo more >> merged/f; rm merged/g; rm -r merged/d; mkdir merged/d; ${program} unmount merged
    mount -t overlay overlay -o ${options},userxattr merged; cat merged/f; ls merged merged/d`;
  t.strictSame(asUser(`unshare -Urm bash -ec '${inside}'`), {
    status: 0,
    stdout: 'top\nmore\nmerged:\nd\nf\n\nmerged/d:\n',
    stderr: '',
  });
});

t.test('with ranges of ids files of several users are made and shown', async (t) => {
  const { base, program, asUser } = prepare(t);
  const inside = `${program} -o lowerdir=lower0:lower1,upperdir=upper,workdir=work merged
    touch merged/a; chown 5:6 merged/a; setpriv --reuid=7 --regid=7 --clear-groups touch merged/not 2>/dev/null || echo refused
    chmod 777 merged; setpriv --reuid=7 --regid=7 --clear-groups touch merged/b
    stat -c %u:%g merged/a merged/b; ${program} unmount merged`;
  const result = asUser(`unshare --map-auto --map-root-user -m bash -ec '${inside}'`);
  t.strictSame(result, { status: 0, stdout: 'refused\n5:6\n7:7\n', stderr: '' });
  const first = Number(/^tsoverlay-test:(\d+):/m.exec(run('cat', '/etc/subuid'))![1]);
  t.equal(shell('stat -c %u a b', join(base, 'upper')), `${first + 4}\n${first + 6}\n`);
});

t.test('an image is loaded, mounted and committed in a user namespace with ranges of ids', async (t) => {
  const { base, program, asUser } = prepare(t);
  const layout = makeLayout(base);
  shell(`mknod device c 1 3; tar --append -f ${base}/unused.tar device; chmod -R a+rX ${layout}`, base);
  const load = `env TSOVERLAY_ROOT=${base}/home/plain ${program} load -q -i ${layout}`;
  t.match(asUser(`unshare --map-root-user -m ${load}`), {
    status: 1,
    stderr: /belongs to 5:6, which this user may not give; run as root, or in a user namespace with a range/,
  });
  t.match(
    asUser(load),
    { status: 0, stdout: /layout:latest/ },
    'the command makes such a namespace by itself',
  );
  const inside = `export TSOVERLAY_ROOT=${base}/home/store; ${program} load -q -i ${layout}
    ${program} mount --image layout --upper upper --work work merged; stat -c %u:%g merged/new merged/etc/motd; ls merged
    echo x > merged/added; ${program} commit merged again:1 >/dev/null; ${program} unmount merged
    ${program} import ${base}/unused.tar device:1 >/dev/null; ${program} export device:1 | tar -t
    ${program} diff layout again:1; ${program} system check`;
  t.strictSame(asUser(`unshare --map-auto --map-root-user -m bash -ec '${inside}'`), {
    status: 0,
    stdout:
      'docker.io/library/layout:latest\n5:6\n0:0\nbig\nbin\netc\nnew\nopaque\nA /added\nnothing is wrong\n',
    stderr: '',
  });
});

t.test('Podman runs a container for an ordinary user', { timeout: 120_000 }, async (t) => {
  const { base, program, asUser } = prepare(t);
  const podman = `XDG_RUNTIME_DIR=${base}/run podman --storage-driver=overlay --root=${base}/home/root --runroot=${base}/run/root --storage-opt=overlay.mount_program=${program} --cgroup-manager=cgroupfs --runtime=runc --events-backend=none`;
  // Podman leaves a process that holds the user namespace; this ends it.
  t.teardown(() => asUser(`${podman} system migrate`));
  const result = asUser(`
    mkdir -p small/bin small/etc; cp /bin/busybox small/bin; for a in sh ls grep id mv touch stat; do ln -s busybox small/bin/$a; done; echo x > small/etc/f
    tar -C small -c . | ${podman} import -q - small:1 > /dev/null
    ${podman} run --rm --network=none --ulimit=nofile=1024:1024 --ulimit=nproc=1024:1024 small:1 /bin/sh -ec \
      'grep -o "fuse.tsoverlay rw" /proc/mounts; mv /etc /moved; ls /moved/f; touch /new; stat -c %u:%g /new'`);
  // Podman itself warns about the machine it is on; what the container said is the same everywhere.
  t.strictSame([result.status, result.stdout], [0, 'fuse.tsoverlay rw\n/moved/f\n0:0\n'], result.stderr);
});
