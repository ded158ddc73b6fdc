// SPDX-License-Identifier: MIT
/** Podman and Buildah with tsoverlay as their mount_program, and an image from a registry on this machine. */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ended, run, scratch, shell } from '../support/ground.js';

const program = join(process.cwd(), 'bin/tsoverlay');

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('close', () => socket.destroy());
    socket.once('connect', () => socket.end());
  });
}

/** Debian's docker-registry, until the test ends. Gives the host and port of images. */
async function registry(t: Test, base: string): Promise<string> {
  const port = await freePort();
  const config = join(base, 'registry.yml');
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${base}/registry}}\nhttp: {addr: "127.0.0.1:${port}"}\n`,
  );
  const server = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  t.teardown(async () => {
    server.kill('SIGTERM');
    await ended(server.pid!);
  });
  const deadline = Date.now() + 20_000;
  while (!(await answers(port))) {
    if (Date.now() > deadline) throw new Error('the registry does not answer');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return `127.0.0.1:${port}`;
}

interface Tools {
  podman(...args: string[]): string;
  /** Runs a command in a new container. */
  inContainer(flags: string[], image: string, script: string): string;
  buildah(...args: string[]): string;
}

const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];

function tools(t: Test, base: string): Tools {
  const storage = [
    `--root=${base}/root`,
    `--runroot=${base}/run`,
    `--storage-opt=overlay.mount_program=${program}`,
  ];
  const podman = (...args: string[]): string =>
    run('podman', ...storage, '--cgroup-manager=cgroupfs', '--runtime=runc', ...args);
  t.teardown(() => {
    podman('rm', '-af');
    run('bash', '-c', `umount -l ${base}/root/overlay 2>&1 || true`);
  });
  return {
    podman,
    inContainer: (flags, image, script) =>
      podman('run', '--network=none', ...LIMITS, ...flags, image, '/bin/sh', '-ec', script),
    buildah: (...args) => run('buildah', ...storage, ...args),
  };
}

/** A root file system of busybox alone. */
function smallRoot(base: string): string {
  const root = join(base, 'small');
  shell(
    `mkdir -p ${root}/bin ${root}/etc/conf ${root}/var/log ${root}/usr/share/doc ${root}/tmp; cd ${root}
     cp /bin/busybox bin/; for a in sh ls cat mkdir mv rm touch stat grep chown ln echo id; do ln -s busybox bin/$a; done
     echo root:x:0:0:root:/:/bin/sh > etc/passwd; echo a > etc/conf/a; echo b > usr/share/doc/b; echo log > var/log/l; ln var/log/l var/log/l2`,
  );
  return root;
}

t.test('Podman pulls, runs, commits and builds through tsoverlay', { timeout: 300_000 }, async (t) => {
  const base = scratch(t);
  const { podman, inContainer, buildah } = tools(t, base);
  const host = await registry(t, base);
  shell(`tar -C ${smallRoot(base)} -c . > ${base}/small.tar`);
  podman('import', join(base, 'small.tar'), `${host}/small:1`);
  podman('push', '--tls-verify=false', `${host}/small:1`);
  podman('rmi', `${host}/small:1`);
  podman('pull', '-q', '--tls-verify=false', `${host}/small:1`);

  await t.test('a container lives in a mount of ours, and its changes go with it', async (t) => {
    t.match(
      inContainer(['--rm'], `${host}/small:1`, 'grep " / " /proc/mounts; mv /etc/conf /moved; ls /moved'),
      /fuse\.tsoverlay rw[\s\S]*\na\n/,
    );
    t.equal(inContainer(['--rm'], `${host}/small:1`, 'ls /etc/conf'), 'a\n');
  });

  await t.test('a read-only container is one', async (t) => {
    t.throws(
      () => inContainer(['--rm', '--read-only'], `${host}/small:1`, 'touch /x'),
      /Read-only file system/,
    );
  });

  await t.test('what a container changed is committed, and its image runs', async (t) => {
    inContainer(
      ['--name=first'],
      `${host}/small:1`,
      'rm -rf /usr/share/doc; echo new > /etc/new; mv /etc/conf /etc/renamed; chown -R 5:6 /var/log',
    );
    podman('commit', '-q', 'first', 'second');
    const changed = podman('diff', 'first').split('\n');
    for (const line of ['D /usr/share/doc', 'A /etc/new', 'D /etc/conf', 'A /etc/renamed']) {
      t.ok(changed.includes(line), line);
    }
    t.equal(
      inContainer(
        ['--rm'],
        'second',
        'ls /usr/share; cat /etc/new /etc/renamed/a; stat -c "%u:%g" /var/log/l /etc/passwd; ls /etc/conf || true',
      ),
      'new\na\n5:6\n0:0\n',
    );
  });

  await t.test('what is changed by one name of a file is committed for all of them', async (t) => {
    const read = 'cat /var/log/l /var/log/l2';
    const seen = inContainer(['--name=links'], `${host}/small:1`, `echo more >> /var/log/l; ${read}`);
    podman('commit', '-q', 'links', 'linked');
    t.equal(inContainer(['--rm'], 'linked', read), seen);
    for (const name of ['l', 'l2']) t.match(podman('diff', 'links'), new RegExp(`^C /var/log/${name}$`, 'm'));
  });

  await t.test('a Dockerfile is built on it', async (t) => {
    const context = join(base, 'context');
    mkdirSync(context);
    writeFileSync(
      join(context, 'Dockerfile'),
      'FROM second\nRUN mkdir -p /app/d && echo 1 > /app/d/x\nRUN mv /app /app2 && rm /etc/new\nCOPY Dockerfile /app2/\n',
    );
    buildah('bud', '--isolation=chroot', ...LIMITS, '--layers', '-t', 'third', context);
    t.equal(
      inContainer(['--rm'], 'third', 'ls /app2 /app2/d; ls /app /etc/new 2>&1 || true')
        .split('\n')
        .slice(0, 6)
        .join(' '),
      '/app2: Dockerfile d  /app2/d: x',
    );
    t.throws(() => inContainer(['--rm'], 'third', 'ls /app'), /No such file/);
  });
  podman('rm', '-af');
  t.equal(run('bash', '-c', `grep -c 'fuse.tsoverlay' /proc/mounts || true`).trim(), '0', 'no mount is left');
});
