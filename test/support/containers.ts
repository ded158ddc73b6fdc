// SPDX-License-Identifier: MIT
/** Containers of a store of their own, from a small image; all are gone when the test ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Container } from '../../lib/container/state/containers.js';
import { Store } from '../../lib/image/store/store.js';
import { listMounts } from '../../lib/sys/mounts.js';
import { run, scratch, shell, until } from './ground.js';
import { type Cli, storeCli } from './images.js';
import { recordOf } from './records.js';

export const PROGRAM = join(process.cwd(), 'bin/tsoverlay');

/** Busybox with all its applets, and two users. */
export function makeBox(directory: string): void {
  shell(
    `mkdir -p ${directory}; cd ${directory}; mkdir -p bin etc home/ann srv tmp; chmod 1777 tmp; cp /bin/busybox bin
     for a in $(busybox --list); do [ $a = busybox ] || ln -s busybox bin/$a; done
     printf 'root:x:0:0::/root:/bin/sh\\nann:x:1000:1001::/home/ann:/bin/sh\\n' > etc/passwd
     printf 'root:x:0:\\nann:x:1001:\\nteam:x:50:ann\\n' > etc/group; chown 1000:1001 home/ann`,
  );
}

/** crun will have nothing to do with version 2 of cgroups beside version 1; without it, it does. */
export const ONE_CGROUP_VERSION = [
  'unshare',
  '-m',
  'sh',
  '-c',
  'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$0" "$@"',
  PROGRAM,
] as const;

/** A store on btrfs, on a loop device. */
export function btrfsScratch(t: Test): string {
  const base = mkdtempSync(join(tmpdir(), 'tsoverlay-test-btrfs-'));
  t.teardown(() => rmSync(base, { recursive: true }));
  const image = join(base, 'disk');
  shell(`truncate -s 512M ${image}; mkfs.btrfs -q ${image}`);
  mkdirSync(join(base, 'mnt'));
  run('mount', '-o', 'loop', image, join(base, 'mnt'));
  t.teardown(() => run('umount', '-l', join(base, 'mnt')));
  return join(base, 'mnt');
}

/** A command line whose store has the image `box`. Its containers are removed at the end. */
export async function boxCli(
  t: Test,
  base = scratch(t),
  command: readonly [string, ...string[]] = [PROGRAM],
): Promise<Cli> {
  const cli = storeCli(t, base, 'store', command);
  makeBox(join(base, 'box'));
  await cli.ok('import', join(base, 'box'), 'box');
  removeAtEnd(t, cli);
  return cli;
}

export function removeAtEnd(t: Test, cli: Cli): void {
  t.teardown(async () => {
    const ids = (await cli.ok('ps', '-aq')).split('\n').filter(Boolean);
    if (ids.length > 0) await cli.ok('rm', '-f', ...ids);
  });
}

/** A script that writes a line, and a file that it reads again, so often as its first argument says. */
export const COUNT =
  'i=0; while [ $i -lt $0 ]; do i=$((i+1)); echo line $i; echo $i > /srv/f; [ "$(cat /srv/f)" = $i ] || exit 9; done';

/** What it writes. */
export const lines = (count: number): string =>
  Array.from({ length: count }, (_, index) => `line ${index + 1}\n`).join('');

/** A command that runs beside the test, with its streams. */
export function begin(cli: Cli, ...args: string[]): ChildProcess {
  return spawn(PROGRAM, args, { env: { ...process.env, ...cli.environment }, cwd: cli.base });
}

/** What a container may leave behind, as sorted lines. */
export function census(cli: Cli): string[] {
  const links = run('ip', '-o', 'link').split('\n');
  const devices = links.map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1]).filter(Boolean);
  const mounts = listMounts().map(({ target, type }) => `mount ${type} ${target}`);
  const rules = shell("iptables-save | grep -E ' tso(verlay0|[0-9a-f]{10}) ' || true")
    .split('\n')
    .filter(Boolean);
  const groups = shell("find /sys/fs/cgroup -type d -path '*tsoverlay*'").split('\n').filter(Boolean);
  const files = shell(
    `find ${cli.root} ${process.env.TSOVERLAY_RUNTIME_DIR} -not -path '*/locks/*' -not -path ${cli.root}/containers`,
  )
    .split('\n')
    .filter(Boolean);
  return [
    ...devices.map((device) => `device ${device}`),
    ...mounts,
    ...namespaces(),
    ...processes().map((line) => `process ${line}`),
    ...rules.map((rule) => `rule ${rule}`),
    ...groups.map((path) => `cgroup ${path}`),
    ...files.map((path) => `file ${path}`),
  ].sort();
}

function processIds(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

/** Of this program's processes and of runtimes and tools that it starts. */
function processes(): string[] {
  return processIds().flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
      const isOurs = /tsoverlay|runc|crun|slirp4netns|stage\.js/.test(command);
      return isOurs && pid !== String(process.pid) ? [command] : [];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}

function namespaces(): string[] {
  const found = new Set<string>();
  for (const pid of processIds()) {
    for (const kind of ['mnt', 'net', 'pid', 'uts', 'ipc', 'user']) {
      try {
        found.add(`namespace ${readlinkSync(`/proc/${pid}/ns/${kind}`)}`);
      } catch {
        // It has ended meanwhile.
      }
    }
  }
  return [...found];
}

/** Settles when nothing is there that was not before; gives what is, when that takes too long. */
export async function leftSince(before: readonly string[], cli: Cli): Promise<string[]> {
  const known = new Set(before);
  const deadline = Date.now() + 10_000;
  for (;;) {
    const left = census(cli).filter((line) => !known.has(line));
    if (left.length === 0 || Date.now() > deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A container by its name. */
export async function containerOf(cli: Cli, name: string): Promise<Container> {
  return new Container(Store.open(cli.root), (await cli.ok('inspect', '-f', '{{.Id}}', name)).trim());
}

/** The process that starts another server when the present one ends. */
export function shimOf(container: Container): number {
  return recordOf(container.path('rootfs')).shimPid!;
}

/** Kills a container's server, and settles when another one is in its place. */
export async function killServerOf(container: Container): Promise<void> {
  const { serverPid } = container.readWrittenState();
  if (serverPid === 0) throw new Error('it has no server');
  process.kill(serverPid, 'SIGKILL');
  await until(() => container.readWrittenState().serverPid !== serverPid, 'another server');
}

/** Copies between a pseudo-terminal and pipes; a line `size ROWS COLUMNS` on descriptor 3 resizes it. */
const BRIDGE = `
import os, pty, select, struct, sys, fcntl, termios
pid, fd = pty.fork()
if pid == 0:
    os.close(3)
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
watched = [fd, 0, 3]
while True:
    ready, _, _ = select.select(watched, [], [])
    if fd in ready:
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b''
        if not data:
            break
        os.write(1, data)
    if 0 in ready:
        data = os.read(0, 65536)
        if data:
            os.write(fd, data)
        else:
            watched.remove(0)
    if 3 in ready:
        line = os.read(3, 4096).split()
        if line:
            fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', int(line[1]), int(line[2]), 0, 0))
        else:
            watched.remove(3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

/** A program in a terminal of its own. */
export class Terminal {
  readonly #child: ChildProcess;
  #shown = '';
  readonly exited: Promise<number | null>;

  constructor(t: Test, cli: Cli, program: string, ...args: string[]) {
    this.#child = spawn('python3', ['-c', BRIDGE, program, ...args], {
      env: { ...process.env, ...cli.environment },
      stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
    });
    this.#child.stdout!.on('data', (chunk: Buffer) => (this.#shown += chunk.toString('utf8')));
    this.exited = new Promise((resolve) => this.#child.on('close', resolve));
    t.teardown(() => void this.#child.kill('SIGKILL'));
  }

  type(text: string): void {
    this.#child.stdin!.write(text);
  }

  resize(rows: number, columns: number): void {
    (this.#child.stdio[3] as NodeJS.WritableStream).write(`size ${rows} ${columns}\n`);
  }

  get text(): string {
    return this.#shown;
  }

  /** Settles when the pattern was shown; what was shown up to it is forgotten. */
  async shows(pattern: RegExp, timeout = 15_000): Promise<string> {
    const deadline = Date.now() + timeout;
    for (;;) {
      const match = pattern.exec(this.#shown);
      if (match !== null) {
        const seen = this.#shown.slice(0, match.index + match[0].length);
        this.#shown = this.#shown.slice(seen.length);
        return seen;
      }
      if (Date.now() > deadline)
        throw new Error(`waited ${timeout} ms for ${pattern}; shown: ${JSON.stringify(this.#shown)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Fetches a page by curl; empty where nobody answers. */
export function fetchPage(url: string): string {
  return shell(`curl -s --max-time 5 ${url} || true`);
}

/** Settles when a page answers. */
export async function page(url: string, timeout = 10_000): Promise<string> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const text = fetchPage(url);
    if (text !== '' || Date.now() > deadline) return text;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
