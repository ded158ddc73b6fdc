// SPDX-License-Identifier: MIT
/**
 * Control groups: limits, pausing, figures (cgroups(7); the kernel's
 * admin-guide/cgroup-v1 and cgroup-v2.rst). Both versions; with version 1 a
 * controller has a hierarchy of its own.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../../base/errors.js';
import { sendSignal } from '../../sys/signals.js';
import type { SpecResources } from '../spec/runtime-spec.js';

const ROOT = '/sys/fs/cgroup';
/** Beneath the root of each hierarchy. */
const CGROUP_PARENT = 'tsoverlay';
const CONTROLLERS = ['memory', 'cpu', 'cpuacct', 'pids', 'freezer'] as const;
type Controller = (typeof CONTROLLERS)[number];

const REMOVE_TRIES = 100;
const REMOVE_WAIT_MS = 10;

export interface CgroupFigures {
  /** Bytes. */
  memory: number;
  /** Bytes; 0 where there is none. */
  memoryLimit: number;
  /** Nanoseconds since the start. */
  cpu: number;
  processes: number;
}

function isVersion2(): boolean {
  return existsSync(join(ROOT, 'cgroup.controllers'));
}

function readNumber(path: string): number {
  try {
    const text = readFileSync(path, 'latin1').trim();
    return text === 'max' ? 0 : Number(text);
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw failure;
  }
}

/** The mounts of cgroupfs: one with version 2, one for each controller or none with version 1. */
function hierarchies(): string[] {
  if (isVersion2()) return [ROOT];
  return readdirSync(ROOT)
    .map((name) => join(ROOT, name))
    .filter((directory) => existsSync(join(directory, 'cgroup.procs')));
}

/** One container's groups. */
export class Cgroup {
  constructor(readonly id: string) {}

  /** The directory of a controller; with version 2 it is the same for all. */
  #directory(controller: Controller): string {
    return isVersion2() ? join(ROOT, CGROUP_PARENT, this.id) : join(ROOT, controller, CGROUP_PARENT, this.id);
  }

  #directories(): string[] {
    const all = CONTROLLERS.filter((name) => isVersion2() || existsSync(join(ROOT, name)));
    return [...new Set(all.map((name) => this.#directory(name)))];
  }

  #everywhere(): string[] {
    return hierarchies().map((hierarchy) => join(hierarchy, CGROUP_PARENT, this.id));
  }

  /** As runtimes are told it. */
  get specPath(): string {
    return `/${CGROUP_PARENT}/${this.id}`;
  }

  /** What a process writes `0` to, to be in all of them. */
  get processFiles(): string[] {
    return this.#directories().map((directory) => join(directory, 'cgroup.procs'));
  }

  get exists(): boolean {
    return this.#directories().some((directory) => existsSync(directory));
  }

  /**
   * Makes the groups and sets the limits. `forRuntime`: in every hierarchy, as an OCI runtime does it,
   * which fails when the end of another container takes the parent away between its steps.
   * Answers false where this user may have none and no limit is asked for; throws an OverlayError where one is.
   */
  create(resources: SpecResources, forRuntime = false): boolean {
    try {
      if (isVersion2()) enableControllers();
      const directories = this.#directories();
      for (const directory of forRuntime ? this.#everywhere() : directories) makeGroup(directory);
      this.#limit(resources);
      return directories.length > 0;
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const asked = resources.memory ?? resources.cpu ?? resources.pids;
      const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
      if (denied && asked === undefined) return false;
      throw new OverlayError({
        operation: 'limit the container',
        path: this.#directory('memory'),
        reason: message,
        remedy: denied ? 'run it without limits, or as root' : undefined,
        cause,
      });
    }
  }

  #limit({ memory, cpu, pids }: SpecResources): void {
    const set = (controller: Controller, file: string, value: string | number): void =>
      writeFileSync(join(this.#directory(controller), file), String(value));
    if (isVersion2()) {
      if (memory !== undefined) set('memory', 'memory.max', memory.limit);
      if (cpu !== undefined) set('cpu', 'cpu.max', `${cpu.quota} ${cpu.period}`);
    } else {
      if (memory !== undefined) set('memory', 'memory.limit_in_bytes', memory.limit);
      if (cpu !== undefined) {
        set('cpu', 'cpu.cfs_period_us', cpu.period);
        set('cpu', 'cpu.cfs_quota_us', cpu.quota);
      }
    }
    if (pids !== undefined) set('pids', 'pids.max', pids.limit);
  }

  /** Stops every process where it is, or lets all go on; settles when they have. */
  async freeze(frozen: boolean): Promise<void> {
    const file = isVersion2() ? 'cgroup.freeze' : 'freezer.state';
    const directory = this.#directory('freezer');
    writeFileSync(join(directory, file), isVersion2() ? (frozen ? '1' : '0') : frozen ? 'FROZEN' : 'THAWED');
    const isDone = (): boolean =>
      isVersion2()
        ? readFileSync(join(directory, 'cgroup.events'), 'latin1').includes(`frozen ${frozen ? 1 : 0}`)
        : readFileSync(join(directory, file), 'latin1').trim() === (frozen ? 'FROZEN' : 'THAWED');
    while (!isDone()) await delay(1);
  }

  /** Ends all that runs in them, frozen or not. */
  kill(): void {
    if (!this.exists) return;
    if (isVersion2()) writeFileSync(join(this.#directory('memory'), 'cgroup.kill'), '1');
    else for (const pid of this.processes()) sendSignal(pid, constants.signals.SIGKILL);
    const state = join(this.#directory('freezer'), 'freezer.state');
    if (existsSync(state)) writeFileSync(state, 'THAWED');
  }

  /** As this process sees their numbers. */
  processes(): number[] {
    const file = this.processFiles.find((path) => existsSync(path));
    return file === undefined ? [] : readFileSync(file, 'latin1').split('\n').filter(Boolean).map(Number);
  }

  figures(): CgroupFigures {
    const processes = this.processes().length;
    if (isVersion2()) {
      const directory = this.#directory('memory');
      const usage = /^usage_usec (\d+)/m.exec(readFileSync(join(directory, 'cpu.stat'), 'latin1'));
      return {
        memory: readNumber(join(directory, 'memory.current')),
        memoryLimit: readNumber(join(directory, 'memory.max')),
        cpu: Number(usage?.[1] ?? 0) * 1000,
        processes,
      };
    }
    const limit = readNumber(join(this.#directory('memory'), 'memory.limit_in_bytes'));
    return {
      memory: readNumber(join(this.#directory('memory'), 'memory.usage_in_bytes')),
      // Version 1 says an immense number for none.
      memoryLimit: limit > Number.MAX_SAFE_INTEGER / 2 ? 0 : limit,
      cpu: readNumber(join(this.#directory('cpuacct'), 'cpuacct.usage')),
      processes,
    };
  }

  /** Removes the groups. Ended processes leave them a moment after they were waited for. */
  async remove(): Promise<void> {
    for (const directory of this.#everywhere()) {
      for (let tries = 0; existsSync(directory); tries++) {
        try {
          removeGroup(directory);
        } catch (failure) {
          const { code } = failure as NodeJS.ErrnoException;
          if (code === 'ENOENT') break;
          if (code !== 'EBUSY' || tries >= REMOVE_TRIES) throw failure;
          await delay(REMOVE_WAIT_MS);
        }
      }
    }
    for (const hierarchy of hierarchies()) removeEmpty(join(hierarchy, CGROUP_PARENT));
  }
}

/** The last container's end may take the parent away at this moment: then it is made again. */
function makeGroup(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== 'ENOENT') throw failure;
    mkdirSync(directory, { recursive: true });
  }
}

/** Others have groups in it; or it is theirs alone: root's, as an ordinary user sees it. */
const STAYS = ['EBUSY', 'ENOTEMPTY', 'ENOENT', 'EACCES', 'EPERM', 'EROFS'];

/** Takes the parent away with its last group. */
function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (failure) {
    if (!STAYS.includes((failure as NodeJS.ErrnoException).code!)) throw failure;
  }
}

/** A program in the container may have made groups below its own. */
function removeGroup(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(join(directory, entry.name));
  }
  rmdirSync(directory);
}

function enableControllers(): void {
  const wanted = ['memory', 'cpu', 'pids'];
  for (const directory of [ROOT, join(ROOT, CGROUP_PARENT)]) {
    mkdirSync(directory, { recursive: true });
    const present = readFileSync(join(directory, 'cgroup.controllers'), 'latin1').split(/\s+/);
    const enabled = readFileSync(join(directory, 'cgroup.subtree_control'), 'latin1').split(/\s+/);
    const missing = wanted.filter((name) => present.includes(name) && !enabled.includes(name));
    if (missing.length > 0)
      writeFileSync(join(directory, 'cgroup.subtree_control'), missing.map((name) => `+${name}`).join(' '));
  }
}
