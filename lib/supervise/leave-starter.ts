// SPDX-License-Identifier: MIT
/**
 * What a server inherits from its starter: nothing but what it is given. It serves others, and stays when its starter has
 * ended, so a lock, a pipe or a limit of that one must not be its own. Signals are as a new program has them already, as
 * Node sees to that when it starts; session and directory come with the start (spawn.ts, channel.ts).
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { close } from '../sys/files.js';
import { isInheritable, limitOf, setLimit } from '../sys/programs.js';

/** Descriptors that were open in bin/tsoverlay. Node marks some of those to be closed, so that does not tell them apart. */
const INHERITED = 'TSOVERLAY_INHERITED';
const UMASK = 0o022;

/** Soft and hard; -1: no limit. Of the kernel's first process, and more descriptors. */
const LIMITS: Readonly<Record<string, readonly [soft: number, hard: number]>> = {
  CPU: [-1, -1],
  FSIZE: [-1, -1],
  DATA: [-1, -1],
  RSS: [-1, -1],
  AS: [-1, -1],
  LOCKS: [-1, -1],
  RTTIME: [-1, -1],
  NPROC: [-1, -1],
  MEMLOCK: [8 << 20, 8 << 20],
  STACK: [8 << 20, -1],
  CORE: [0, -1],
  NOFILE: [1 << 20, 1 << 20],
};

/** To be called before anything is opened for others; `given` are the descriptors from 3 on that it is to have. */
export function leaveStarter(given: readonly number[]): void {
  process.umask(UMASK);
  closeInherited(given);
  raiseLimits();
  resetOomScore();
}

function closeInherited(given: readonly number[]): void {
  const listed = new Set((process.env[INHERITED] ?? '').split(' ').filter(Boolean).map(Number));
  delete process.env[INHERITED];
  for (const fd of readdirSync('/proc/self/fd').map(Number)) {
    if (fd > 2 && !given.includes(fd) && (listed.has(fd) || isInheritable(fd))) close(fd);
  }
}

/** Without privilege only up to what its starter may have. */
export function raiseLimits(): void {
  for (const [name, [soft, hard]] of Object.entries(LIMITS)) {
    const before = limitOf(name);
    const isMore = (wanted: number, limit: number): boolean => limit >= 0 && (wanted < 0 || wanted > limit);
    const raised = isMore(hard, before.hard) ? hard : before.hard;
    if (setLimit(name, isMore(soft, raised) ? raised : soft, raised) >= 0) continue;
    setLimit(name, isMore(soft, before.hard) ? before.hard : soft, before.hard);
  }
}

/** The starter's score (proc(5), oom_score_adj) is not the server's: a server that is killed is followed by another. */
function resetOomScore(): void {
  const path = '/proc/self/oom_score_adj';
  if (readFileSync(path, 'latin1').trim() === '0') return;
  try {
    writeFileSync(path, '0');
  } catch (failure) {
    // Only root takes back that a process is to go first.
    if (!['EACCES', 'EPERM'].includes((failure as NodeJS.ErrnoException).code!)) throw failure;
  }
}
