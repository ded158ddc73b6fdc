// SPDX-License-Identifier: MIT
/**
 * Grounds to test on: a scratch tmpfs, and mounts of layers by different file
 * systems. Everything made here is taken away when its test ends, however it ends.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { mountInBackground } from '../../lib/mount/background.js';
import type { DriverName } from '../../lib/mount/config.js';
import { askMount } from '../../lib/mount/control.js';
import type { MountOptions } from '../../lib/mount/mount.js';
import { readRecords } from '../../lib/mount/records.js';

/** Servers of tests keep their own list, so that they never meet those of the machine. */
process.env.TSOVERLAY_RUNTIME_DIR ??= mkdtempSync(join(tmpdir(), 'tsoverlay-run-'));
const runtime = process.env.TSOVERLAY_RUNTIME_DIR;
process.on('exit', () => rmSync(runtime, { recursive: true, force: true }));

if (process.getuid!() !== 0) throw new Error('these tests mount file systems: run them as root');

/** A tmpfs of its own; trusted xattrs, devices and every mode work on it. */
export function scratch(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'tsoverlay-test-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'tsoverlay-test', directory]);
  t.teardown(() => execFileSync('umount', ['-l', directory]));
  return directory;
}

export interface Layers {
  lowers: string[];
  upper: string;
  work: string;
  target: string;
}

/** Empty layers in a scratch directory, top lower first. */
export function makeLayers(base: string, lowers = 2): Layers {
  const paths = Array.from({ length: lowers }, (_, index) => join(base, `lower${index}`));
  const layers = {
    lowers: paths,
    upper: join(base, 'upper'),
    work: join(base, 'work'),
    target: join(base, 'merged'),
  };
  for (const path of [...paths, layers.upper, layers.work, layers.target])
    mkdirSync(path, { recursive: true });
  return layers;
}

/** Runs a program and gives its standard output; throws with its standard error when it fails. */
export function run(program: string, ...args: string[]): string {
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0) {
    throw new Error(`${program} ${args.join(' ')}: exit ${result.status}: ${result.stderr}`);
  }
  return result.stdout;
}

/** Runs a shell script; `set -e` is on. bash takes Node's pipes, which are sockets, for a remote login: no ~/.bashrc. */
export function shell(script: string, cwd = '/'): string {
  const result = spawnSync('bash', ['--norc', '-ec', script], { encoding: 'utf8', cwd, maxBuffer: 1 << 28 });
  if (result.status !== 0) throw new Error(`exit ${result.status}: ${result.stderr}\n${result.stdout}`);
  return result.stdout;
}

/** Runs a script in a root file system, in namespaces of its own, so that nothing that it starts or mounts can stay. */
export function runInside(root: string, script: string): string {
  return run(
    'unshare',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    'bash',
    '-ec',
    `mount -t proc proc ${root}/proc; mount --bind /dev ${root}/dev; exec chroot ${root} bash -ec "$0"`,
    script,
  );
}

export interface Live {
  target: string;
  /** Of the server it began with. */
  serverPid: number;
  /** Of the server it has now. */
  server(): number;
  unmount(): Promise<void>;
  /** Kills the server and what would start another one, at once. */
  killForGood(): Promise<void>;
}

/** Kills a server and its shim, so that neither can do anything about the other's end. */
export async function killForGood(serverPid: number): Promise<void> {
  const record = readRecords().find((one) => one.serverPid === serverPid);
  process.kill(serverPid, 'SIGSTOP');
  if (record?.shimPid) process.kill(record.shimPid, 'SIGKILL');
  process.kill(serverPid, 'SIGKILL');
  await ended(serverPid);
}

/** A mount of ours, served by a process of its own. Unmounted at the end of the test if it is still there. */
export async function mountOurs(
  t: Test,
  layers: Layers,
  options: Partial<MountOptions> & { driver?: DriverName } = {},
): Promise<Live> {
  const { target, lowers, upper, work } = layers;
  const serverPid = await mountInBackground({ target, options: { lowers, upper, work, ...options } });
  let mounted = true;
  const server = (): number =>
    readRecords().findLast((record) => record.target === target)?.serverPid ?? serverPid;
  const end = async (detach: boolean): Promise<void> => {
    mounted = false;
    const record = readRecords().findLast((one) => one.target === target)!;
    await askMount(record, { command: 'unmount', detach }, 0);
    await until(() => !readRecords().some((one) => one.target === target), 'the mount to end');
    for (const pid of [record.serverPid, record.shimPid]) if (pid !== null) await ended(pid);
  };
  t.teardown(async () => {
    const record = readRecords().findLast((one) => one.target === target);
    const isServed = [record?.serverPid, record?.shimPid].some((pid) => pid && isRunning(pid));
    if (mounted && isServed) await end(true);
  });
  return {
    target,
    serverPid,
    server,
    unmount: async () => {
      if (mounted) await end(false);
    },
    killForGood: async () => {
      mounted = false;
      await killForGood(server());
    },
  };
}

/** Settles when the process is gone. */
export async function ended(pid: number, timeout = 10_000): Promise<void> {
  await until(() => !isRunning(pid), `process ${pid} to end`, timeout);
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Settles when the condition holds; fails after `timeout` ms. */
export async function until(condition: () => boolean, what: string, timeout = 10_000): Promise<void> {
  const deadline = Date.now() + timeout;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited ${timeout} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The kernel's own overlayfs over the same kind of layers. */
export function mountKernelOverlay(t: Test, layers: Layers, options: string): void {
  const { lowers, upper, work, target } = layers;
  const all = `lowerdir=${lowers.join(':')},upperdir=${upper},workdir=${work},${options}`;
  run('mount', '-t', 'overlay', 'overlay', '-o', all, target);
  t.teardown(() => run('umount', '-l', target));
}

/** The checkout under a path that every user can enter, whatever leads to the real one. */
export function publicCheckout(t: Test, base: string): string {
  const path = join(base, 'checkout');
  mkdirSync(path);
  run('mount', '--bind', process.cwd(), path);
  t.teardown(() => run('umount', '-l', path));
  return path;
}

/** Layers whose upper and work directory lie on a file system of their own. */
export function layersOn(t: Test, make: (ground: string) => void): Layers & { base: string; ground: string } {
  const base = scratch(t);
  const layers = makeLayers(base, 1);
  const ground = join(base, 'ground');
  mkdirSync(ground);
  make(ground);
  t.teardown(() => run('umount', '-l', ground));
  for (const part of ['upper', 'work']) mkdirSync(join(ground, part));
  return { ...layers, base, ground, upper: join(ground, 'upper'), work: join(ground, 'work') };
}

/** The code of the error that `act` ends with, if it does. */
export function failure(act: () => void): string | undefined {
  try {
    act();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
  return undefined;
}
