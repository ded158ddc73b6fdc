// SPDX-License-Identifier: MIT
/**
 * `make bench`: the same workloads on all grounds, in one run, the grounds taking
 * turns within each round; medians, their ratios, and figures that no noise moves.
 *
 *   node dist/bench/main.js [--quick] [--rounds N] [--tree DIRECTORY]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freshLayers, type Ground, grounds, type Layers, residentMemory } from './grounds.js';
import { chart, markdown, printTable, type Results, type Row } from './report.js';
import { type Session, type Step, sessions } from './workloads.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    tree: { type: 'string', default: '/usr/include' },
    output: { type: 'string', default: 'bench/results' },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const sizes = values.quick ? { large: 16, many: 100 } : { large: 512, many: 2000 };
const entries = values.quick ? 2000 : 100_000;

const base = mkdtempSync(join(tmpdir(), 'tsoverlay-bench-'));
process.env.TSOVERLAY_RUNTIME_DIR = join(base, 'run');
const rows = new Map<string, Row>();

function cleanUp(): void {
  spawnSync('umount', ['-l', join(base, 'merged')]);
  spawnSync('umount', ['-l', base]);
  rmSync(base, { recursive: true, force: true });
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    cleanUp();
    process.exit(1);
  });
}

function shell(script: string, cwd: string): void {
  const environment = {
    ...process.env,
    TREE: join(base, 'tree.tar'),
    RANDOM_READ: `${process.execPath} ${new URL('./random-read.js', import.meta.url).pathname}`,
  };
  // bash takes Node's pipes, which are sockets, for a remote login, and would read ~/.bashrc within the time.
  const result = spawnSync('bash', ['--norc', '-c', script], { cwd, env: environment, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${script}: exit ${result.status}: ${result.stderr}`);
}

function milliseconds(work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start) / 1e6;
}

function rowOf(name: string, step: Partial<Step> = {}): Row {
  let row = rows.get(name);
  if (row === undefined) {
    row = {
      name,
      warmRead: step.warmRead === true,
      times: {},
      requestsPerFile: [],
      microsecondsPerRequest: [],
    };
    rows.set(name, row);
  }
  return row;
}

function record(name: string, ground: Ground, time: number, step: Partial<Step> = {}): Row {
  const row = rowOf(name, step);
  (row.times[ground.name] ??= []).push(time);
  return row;
}

function makeTree(): { tree: string[]; fifty: string[]; files: number } {
  mkdirSync(join(base, 'lower'));
  execFileSync('cp', ['-a', values.tree, join(base, 'lower/tree')]);
  if (values.quick) shell('cd tree; ls | tail -n +30 | xargs rm -rf', join(base, 'lower'));
  execFileSync('tar', ['cf', join(base, 'tree.tar'), '-C', join(base, 'lower'), 'tree']);
  const files = Number(execFileSync('sh', ['-c', `find ${base}/lower | wc -l`], { encoding: 'utf8' }));
  const fifty = Array.from({ length: 50 }, (_, index) => join(base, `fifty${index}`));
  for (const [index, path] of fifty.entries()) {
    mkdirSync(join(path, 'dir'), { recursive: true });
    shell(`cd ${path}/dir; for i in $(seq ${index + 1} 50 ${sizes.many}); do echo $i > f$i; done`, base);
  }
  return { tree: [join(base, 'lower')], fifty, files };
}

async function runSession(session: Session, ground: Ground, layers: Layers, files: number): Promise<void> {
  const mounting = milliseconds(() => {
    ground.mount(layers);
    existsSync(join(layers.target, 'tree'));
  });
  if (ground.serverPid(layers) !== undefined || ground.name === 'overlayfs')
    record('mount until usable', ground, mounting);
  for (const step of session.steps) {
    const before = await ground.figures?.(layers);
    const time = milliseconds(() => shell(step.script, layers.target));
    if (step.row === undefined) continue;
    const row = record(step.row, ground, time, step);
    const after = await ground.figures?.(layers);
    if (before === undefined || after === undefined) continue;
    const requests = after.requests - before.requests;
    if (step.countPerFile) row.requestsPerFile.push(requests / files);
    if (requests > 1000) row.microsecondsPerRequest.push((time * 1000) / requests);
  }
  ground.unmount(layers);
}

/** Resident memory of each server when this many entries are cached, and what it was before. */
function measureMemory(): Results['memory'] {
  const lower = join(base, 'entries');
  mkdirSync(lower);
  shell(`for d in $(seq 100); do mkdir d$d; (cd d$d; seq ${entries / 100} | xargs touch); done`, lower);
  const memory: Results['memory'] = {};
  for (const ground of grounds) {
    const layers = freshLayers(base, [lower]);
    ground.mount(layers);
    const pid = ground.serverPid(layers);
    if (pid !== undefined) {
      const idle = residentMemory(pid);
      shell("find . -printf '%s' > /dev/null", layers.target);
      memory[ground.name] = { idle, full: residentMemory(pid) };
    }
    ground.unmount(layers);
  }
  return memory;
}

/** CPU time that the idle server takes in three seconds, in ms. */
async function measureIdle(): Promise<number> {
  const ground = grounds[3];
  const layers = freshLayers(base, [join(base, 'lower')]);
  ground.mount(layers);
  shell('ls -R > /dev/null', layers.target);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const ticks = (): number => {
    const stat = execFileSync('cat', [`/proc/${ground.serverPid(layers)}/stat`], { encoding: 'utf8' });
    const fields = stat.split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  };
  const before = ticks();
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const used = ticks() - before;
  ground.unmount(layers);
  return used;
}

try {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=90%', 'tsoverlay-bench', base]);
  const made = makeTree();
  const planned = sessions(sizes);
  for (let round = 0; round < rounds; round++) {
    for (const session of planned) {
      for (let turn = 0; turn < grounds.length; turn++) {
        const ground = grounds[(turn + round) % grounds.length];
        const layers = freshLayers(base, session.layers === 'tree' ? made.tree : made.fifty);
        process.stderr.write(`\r\x1b[Kround ${round + 1} of ${rounds}: ${session.name}, ${ground.name}`);
        await runSession(session, ground, layers, made.files);
      }
    }
  }
  process.stderr.write('\r\x1b[K');
  const results: Results = {
    machine: {
      processor: cpus()[0].model,
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      kernel: release().replace(/-.*/, ''),
      node: process.version,
      fuseOverlayfs: execFileSync('fuse-overlayfs', ['--version'], { encoding: 'utf8' }).match(
        /fuse-overlayfs: version ([\d.]+)/,
      )![1],
    },
    tree: { path: values.tree, entries: made.files },
    rounds,
    rows: [...rows.values()],
    memory: measureMemory(),
    entries,
    idleMilliseconds: await measureIdle(),
  };
  process.stdout.write(printTable(results));
  if (!values.quick) {
    mkdirSync(values.output, { recursive: true });
    writeFileSync(join(values.output, 'latest.json'), `${JSON.stringify(results, roundNumbers, 1)}\n`);
    writeFileSync(join(values.output, 'chart.svg'), chart(results));
    writeFileSync(join(values.output, 'table.md'), markdown(results));
    process.stdout.write(`written to ${values.output}: latest.json, table.md, chart.svg\n`);
  }
} finally {
  cleanUp();
}

function roundNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 100) / 100 : value;
}
