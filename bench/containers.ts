// SPDX-License-Identifier: MIT
/**
 * The part of `make bench` about containers: beside Podman with the same image and the
 * same runtime, taking turns within each round; twenty started at once; and what one more
 * container takes of memory.
 *
 *   node dist/bench/containers.js [--quick]
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from './report.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    output: { type: 'string', default: 'bench/results' },
  },
});
const rounds = values.quick ? 2 : 15;
const atOnce = values.quick ? 4 : 20;
const FIRST_PORT = 21_000;
const LONGEST_START_MS = 60_000;

const base = mkdtempSync(join(tmpdir(), 'tsoverlay-bench-containers-'));
process.env.TSOVERLAY_RUNTIME_DIR = join(base, 'run');
const program = join(process.cwd(), 'bin/tsoverlay');
const store = ['--root', join(base, 'store')];
const podman = [
  '--root',
  join(base, 'podman'),
  '--runroot',
  join(base, 'podman-run'),
  '--storage-driver',
  'overlay',
];
const IMAGE = 'localhost/bench:1';
const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
const SERVE = ['sh', '-c', 'mkdir -p /www; echo page > /www/index.html; exec httpd -f -p 80 -h /www'];

interface Tool {
  name: string;
  command(verb: string, ...args: string[]): [program: string, args: string[]];
}

function ours(runtime: string): Tool {
  return {
    name: runtime === 'builtin' ? 'tsoverlay' : `tsoverlay, ${runtime}`,
    command: (verb, ...args) => [
      program,
      [verb, ...store, ...(verb === 'run' ? ['--runtime', runtime] : []), ...args],
    ],
  };
}

const PODMAN: Tool = {
  name: 'podman, runc',
  command: (verb, ...args) => [
    'podman',
    [...podman, '--runtime', 'runc', verb, ...(verb === 'run' ? LIMITS : []), ...args],
  ],
};
const TOOLS = [PODMAN, ours('builtin'), ours('runc')];

function shell(script: string): void {
  const result = spawnSync('bash', ['--norc', '-ec', script], { cwd: base, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${script}: exit ${result.status}: ${result.stderr}`);
}

function run([command, args]: [string, string[]]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function milliseconds(work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start) / 1e6;
}

/** Busybox: what is measured is the start, not the image. */
function makeImage(): void {
  shell(
    `mkdir -p root/bin root/etc root/tmp; cp /bin/busybox root/bin
     for a in $(busybox --list); do [ $a = busybox ] || ln -s busybox root/bin/$a; done
     ${program} import ${store.join(' ')} root ${IMAGE} -c 'ENV PATH=/bin' >/dev/null
     ${program} save ${store.join(' ')} -o image.tar ${IMAGE}; podman ${podman.join(' ')} load -q -i image.tar >/dev/null`,
  );
}

type Times = Map<string, Map<string, number[]>>;

function record(times: Times, row: string, tool: string, value: number): void {
  const ofRow = times.get(row) ?? new Map<string, number[]>();
  times.set(row, ofRow.set(tool, [...(ofRow.get(tool) ?? []), value]));
}

/** Names of the default network and of none, by tool. */
const NETWORKS: [row: string, ours: string, podman: string][] = [
  ['run --rm IMAGE true', 'bridge', 'podman'],
  ['run --rm --network none IMAGE true', 'none', 'none'],
];

function measureRuns(times: Times): void {
  for (let round = 0; round < rounds; round++) {
    process.stderr.write(`\r\x1b[Kround ${round + 1} of ${rounds}`);
    for (const [row, own, theirs] of NETWORKS) {
      for (const tool of round % 2 === 0 ? TOOLS : [...TOOLS].reverse()) {
        const network = tool === PODMAN ? theirs : own;
        const command = tool.command('run', '--rm', '--network', network, IMAGE, 'true');
        record(
          times,
          row,
          tool.name,
          milliseconds(() => run(command)),
        );
      }
    }
  }
  process.stderr.write('\r\x1b[K');
}

async function answers(port: number, deadline: number): Promise<void> {
  for (;;) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/`);
      if ((await response.text()) === 'page\n') return;
    } catch (failure) {
      // It does not listen yet.
      if (Date.now() > deadline) throw failure;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Until all of them have answered, in ms. */
async function startMany(tool: Tool): Promise<number> {
  const start = process.hrtime.bigint();
  const ports = Array.from({ length: atOnce }, (_, index) => FIRST_PORT + index);
  await Promise.all(
    ports.map(async (port) => {
      const publish = `127.0.0.1:${port}:80`;
      const [command, args] = tool.command('run', '-d', '--name', `n${port}`, '-p', publish, IMAGE, ...SERVE);
      const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
      const code = await new Promise((resolve) => child.on('exit', resolve));
      if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${code}`);
      await answers(port, Date.now() + LONGEST_START_MS);
    }),
  );
  return Number(process.hrtime.bigint() - start) / 1e6;
}

function removeMany(tool: Tool): void {
  const names = Array.from({ length: atOnce }, (_, index) => `n${FIRST_PORT + index}`);
  run(tool.command('rm', '-f', ...names));
}

/**
 * What all processes of a tool have of memory beside the files that they are, in MB, shared memory included;
 * what runs in the containers is not counted.
 */
function memoryOf(pattern: RegExp): number {
  let kibibytes = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      if (!pattern.test(command)) continue;
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
      for (const [, own] of rollup.matchAll(/^Pss_(?:Anon|Shmem):\s+(\d+)/gm)) kibibytes += Number(own);
    } catch {
      // It has ended meanwhile.
    }
  }
  return (kibibytes * 1024) / 1e6;
}

/** When it does not change any more: what has just started or ended is still about to. */
async function settledMemory(pattern: RegExp): Promise<number> {
  for (let before = Number.NaN; ; ) {
    const now = memoryOf(pattern);
    if (Math.abs(now - before) < 0.1) return now;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
}

/** Of one more container, from the first to the last of some. */
async function measureMemory(tool: Tool, pattern: RegExp): Promise<number> {
  const count = values.quick ? 3 : 10;
  let first = 0;
  for (let index = 0; index <= count; index++) {
    run(tool.command('run', '-d', '--name', `m${index}`, IMAGE, 'sleep', '1000'));
    if (index === 0) first = await settledMemory(pattern);
  }
  const last = await settledMemory(pattern);
  run(tool.command('rm', '-f', ...Array.from({ length: count + 1 }, (_, index) => `m${index}`)));
  return (last - first) / count;
}

function report(times: Times, memory: Map<string, number>): string {
  const names = TOOLS.map(({ name }) => name);
  const lines = [...times].map(([row, ofRow]) => {
    const medians = names.map((name) => median(ofRow.get(name) ?? []));
    return `| ${row} | ${medians.map((value) => Math.round(value)).join(' | ')} | ${(medians[0] / medians[1]).toFixed(2)} |`;
  });
  const version = execFileSync('podman', ['--version'], { encoding: 'utf8' }).trim().split(' ').at(-1);
  return [
    `Medians of ${rounds} rounds in ms (${atOnce} at once: of 3); busybox on tmpfs; Podman ${version}.`,
    '',
    `| | ${names.join(' | ')} | x podman |`,
    `| --- | ${names.map(() => '---').join(' | ')} | --- |`,
    ...lines,
    `| memory of one more container, MB | ${names.map((name) => memory.get(name)!.toFixed(1)).join(' | ')} | - |`,
    '',
  ].join('\n');
}

try {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=50%', 'tsoverlay-bench', base]);
  makeImage();
  const times: Times = new Map();
  measureRuns(times);
  for (let round = 0; round < (values.quick ? 1 : 3); round++) {
    for (const tool of TOOLS) {
      record(times, `${atOnce} detached at once, until all answer`, tool.name, await startMany(tool));
      removeMany(tool);
    }
  }
  const memory = new Map<string, number>();
  for (const tool of TOOLS)
    memory.set(tool.name, await measureMemory(tool, tool === PODMAN ? /conmon/ : /tsoverlay: |shim\.sh/));
  const text = report(times, memory);
  process.stdout.write(text);
  if (!values.quick) {
    mkdirSync(values.output, { recursive: true });
    writeFileSync(join(values.output, 'containers.md'), text);
  }
} finally {
  spawnSync('podman', [...podman, 'rm', '-af', '-t', '0'], { stdio: 'ignore' });
  const left = spawnSync(program, ['ps', '-aq', ...store], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter(Boolean);
  if (left.length > 0) spawnSync(program, ['rm', '-f', ...store, ...left], { stdio: 'ignore' });
  spawnSync('umount', ['-l', base]);
  rmSync(base, { recursive: true, force: true });
}
