// SPDX-License-Identifier: MIT
/**
 * What proc(5) says of a process in /proc/PID. A process that has ended, or that this one may not see, has nothing
 * there: its files read as ''.
 */
import { readFileSync, readlinkSync } from 'node:fs';

export type Pid = number | 'self';

/** A process that is told from a later one with its number by when it was started. */
export interface ProcessId {
  pid: number;
  /** In clock ticks since the machine was started; 0 where there is no such process. */
  start: number;
}

/** Of proc_pid_stat(5). */
export interface ProcessStat {
  /** Of its program, as comm(5) has it. */
  name: string;
  /** One letter; Z and X are of processes that have ended. */
  state: string;
  parent: number;
  /** Of the processor, in user and kernel mode together. */
  ticks: number;
  /** In clock ticks since the machine was started. */
  start: number;
  residentPages: number;
  /** As wait(2) has it. */
  exitStatus: number;
}

const GONE = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'];

function see(look: () => string): string {
  try {
    return look();
  } catch (failure) {
    if (GONE.includes((failure as NodeJS.ErrnoException).code!)) return '';
    throw failure;
  }
}

/** The text of a file of /proc/PID. */
export function readProcess(pid: Pid, file: string): string {
  return see(() => readFileSync(`/proc/${pid}/${file}`, 'latin1'));
}

/** Where a link of /proc/PID leads. */
export function linkOfProcess(pid: Pid, link: string): string {
  return see(() => readlinkSync(`/proc/${pid}/${link}`));
}

/** A field of proc_pid_status(5), without the space around it. */
export function statusField(pid: Pid, name: string): string | undefined {
  return new RegExp(`^${name}:(.*)$`, 'm').exec(readProcess(pid, 'status'))?.[1].trim();
}

/** A set of capabilities (CapEff, CapBnd…) as a mask. */
export function capabilitiesOf(pid: Pid, set: 'CapEff' | 'CapBnd'): bigint {
  return BigInt(`0x${statusField(pid, set) ?? '0'}`);
}

export function hasCapability(pid: Pid, capability: number): boolean {
  return ((capabilitiesOf(pid, 'CapEff') >> BigInt(capability)) & 1n) === 1n;
}

/** Whether an id exists in a user namespace whose map this is (user_namespaces(7)): on its inner side, or on ours. */
export function isInIdMap(map: string, side: 'inner' | 'outer', id: number): boolean {
  return map.split('\n').some((line) => {
    const [inner, outer, count] = line.trim().split(/\s+/).map(Number);
    const first = side === 'inner' ? inner : outer;
    return id >= first && id < first + count;
  });
}

/** Undefined where there is no such process. */
export function statOf(pid: Pid): ProcessStat | undefined {
  const stat = readProcess(pid, 'stat');
  if (stat === '') return undefined;
  // The name stands in parentheses and may hold some itself.
  const end = stat.lastIndexOf(')');
  const [state, ...rest] = stat.slice(end + 2).split(' ');
  // proc_pid_stat(5) counts from 1; the first of these is its fourth.
  const field = (number: number): number => Number(rest[number - 4]);
  return {
    name: stat.slice(stat.indexOf('(') + 1, end),
    state,
    parent: field(4),
    ticks: field(14) + field(15),
    start: field(22),
    residentPages: field(24),
    exitStatus: field(52),
  };
}

/** Whether there is a process; one that has ended and was not waited for yet is none. */
export function hasProcess(pid: number): boolean {
  const stat = statOf(pid);
  return stat !== undefined && stat.state !== 'Z' && stat.state !== 'X';
}

export function processId(pid: number): ProcessId {
  return { pid, start: statOf(pid)?.start ?? 0 };
}

/** Whether it is still the same process that runs. */
export function isAlive({ pid, start }: ProcessId): boolean {
  return pid > 0 && start > 0 && hasProcess(pid) && statOf(pid)?.start === start;
}

/** Words and the zero bytes behind them. */
export function commandLineOf(pid: number): string {
  return readProcess(pid, 'cmdline');
}

/** Bytes; 0 where there is no such process. */
export function residentMemoryOf(pid: number): number {
  return Number.parseInt(statusField(pid, 'VmRSS') ?? '0', 10) * 1024;
}
