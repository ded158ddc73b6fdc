// SPDX-License-Identifier: MIT
/** `tsoverlay top` and `tsoverlay stats`. */
import { readdirSync } from 'node:fs';
import { totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { toText } from '../../base/bytes.js';
import { OverlayError } from '../../base/errors.js';
import { Cgroup, type CgroupFigures } from '../../container/cgroup/cgroup.js';
import { type Container, findContainer, readListedContainers } from '../../container/state/containers.js';
import { readState } from '../../container/upkeep/recovery.js';
import { Store } from '../../image/store/store.js';
import { commandLineOf, linkOfProcess, type ProcessStat, statOf, statusField } from '../../sys/proc.js';
import type { Arguments } from '../commands/table.js';
import { bytes, decimalSize, table } from '../words/format.js';
import { type Column, printListing, type Row } from '../words/listing.js';

/** Clock ticks of /proc/PID/stat a second: the same on every Linux that Node runs on (sysconf(3), _SC_CLK_TCK). */
const TICKS = 100;
const PAGE = 4096;
const INTERVAL_MS = 1000;

/** The processes of a container: those in the pid namespace of its first one. */
function processesOf(first: number): number[] {
  const own = linkOfProcess(first, 'ns/pid');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => own !== '' && linkOfProcess(pid, 'ns/pid') === own);
}

interface ProcessFigures extends ProcessStat {
  uid: string;
  command: string;
}

function figuresOf(pid: number): ProcessFigures | undefined {
  const stat = statOf(pid);
  if (stat === undefined) return undefined;
  const uid = /^\d+/.exec(statusField(pid, 'Uid') ?? '')?.[0] ?? '?';
  const command = toText(commandLineOf(pid)).split('\0').join(' ').trim();
  return { ...stat, uid, command: command === '' ? `[${toText(stat.name)}]` : command };
}

function clock(ticks: number): string {
  const seconds = Math.floor(ticks / TICKS);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

export async function top({ root, name }: Arguments<'top'>): Promise<void> {
  const container = findContainer(Store.open(root), name);
  const { status, pid: first } = await readState(container);
  if (status !== 'running' && status !== 'paused') {
    throw new OverlayError({
      operation: 'list the processes of',
      path: name,
      reason: 'it is not running',
      remedy: `start it with \`tsoverlay start ${name}\``,
    });
  }
  const found = processesOf(first).flatMap((pid) => {
    const figures = figuresOf(pid);
    return figures === undefined ? [] : [{ pid, ...figures }];
  });
  // Oldest first: numbers begin anew when they are used up.
  found.sort((a, b) => a.start - b.start || a.pid - b.pid);
  const rows = found.map(({ uid, pid, parent, ticks, command }) => [
    uid,
    String(pid),
    String(parent),
    clock(ticks),
    command,
  ]);
  process.stdout.write(table([['UID', 'PID', 'PPID', 'TIME', 'CMD'], ...rows]));
}

const COLUMNS: readonly Column[] = [
  { title: 'CONTAINER ID', field: 'ID' },
  { title: 'NAME', field: 'Name' },
  { title: 'CPU %', field: 'CPUPerc' },
  { title: 'MEM USAGE / LIMIT', field: 'MemUsage' },
  { title: 'MEM %', field: 'MemPerc' },
  { title: 'PIDS', field: 'PIDs' },
];

/** From its cgroup, or without one from its processes. */
function measure(container: Container, first: number): CgroupFigures {
  const cgroup = new Cgroup(container.id);
  if (cgroup.exists) return cgroup.figures();
  const all = processesOf(first).flatMap((pid) => figuresOf(pid) ?? []);
  return {
    memory: all.reduce((sum, { residentPages }) => sum + residentPages * PAGE, 0),
    memoryLimit: 0,
    cpu: all.reduce((sum, { ticks }) => sum + ticks * (1e9 / TICKS), 0),
    processes: all.length,
  };
}

interface Sample {
  at: bigint;
  figures: CgroupFigures;
}

function rowFor(container: Container, before: Sample, now: Sample): Row {
  const { memory, memoryLimit, processes, cpu } = now.figures;
  const limit = memoryLimit === 0 ? totalmem() : memoryLimit;
  const share = (cpu - before.figures.cpu) / Number(now.at - before.at);
  return {
    ID: container.id.slice(0, 12),
    Name: container.readConfig().name,
    CPUPerc: `${(Math.max(0, share) * 100).toFixed(2)}%`,
    MemUsage: `${bytes(memory)} / ${bytes(limit)}`,
    MemPerc: `${((memory / limit) * 100).toFixed(2)}%`,
    PIDs: String(processes),
    MemBytes: decimalSize(memory),
  };
}

async function sample(containers: readonly Container[]): Promise<Map<Container, Sample>> {
  const samples = new Map<Container, Sample>();
  for (const container of containers) {
    if (!container.exists) continue;
    const { status, pid } = await readState(container);
    if (status !== 'running' && status !== 'paused') continue;
    samples.set(container, { at: process.hrtime.bigint(), figures: measure(container, pid) });
  }
  return samples;
}

export async function stats(args: Arguments<'stats'>): Promise<void> {
  const store = Store.open(args.root);
  const chosen = (): Container[] =>
    args.names.length > 0
      ? args.names.map((name) => findContainer(store, name))
      : readListedContainers(store).map(({ container }) => container);
  let containers = chosen();
  let before = await sample(containers);
  for (;;) {
    await delay(INTERVAL_MS);
    const now = await sample(containers);
    const rows = [...now].flatMap(([container, figures]) => {
      const last = before.get(container);
      return last === undefined || !container.exists ? [] : [rowFor(container, last, figures)];
    });
    if (!args['no-stream'] && process.stdout.isTTY) process.stdout.write('\x1b[H\x1b[2J');
    printListing(rows, COLUMNS, 'ID', { format: args.format });
    if (args['no-stream']) return;
    if (args.names.length === 0) {
      const known = new Map([...now].map(([container, figures]) => [container.id, figures]));
      containers = chosen();
      before = new Map(
        containers.flatMap((container) => {
          const figures = known.get(container.id);
          return figures === undefined ? [] : [[container, figures] as const];
        }),
      );
    } else before = now;
  }
}
