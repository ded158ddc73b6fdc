// SPDX-License-Identifier: MIT
/**
 * The list of live mounts: one file a server in the runtime directory, beside
 * its control socket and its log. A file whose server is gone is a leftover, and
 * every reader removes it.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fromText } from '../base/bytes.js';
import { OverlayError } from '../base/errors.js';
import type { Whiteouts } from '../overlay/layers/features.js';
import type { LayerSet } from '../overlay/layers/layer-set.js';
import type { UpperAbilities, WhiteoutForm } from '../overlay/layers/upper-probe.js';
import { listRuntimeDirectory } from '../supervise/runtime-directory.js';
import { removeServerFiles, serverFiles } from '../supervise/server-files.js';
import { listMounts } from '../sys/mounts.js';
import { isAlive, type ProcessId } from '../sys/proc.js';
import type { DriverName } from './config.js';

/** Reading the list is begun anew so often when a mount gets another server in between. */
const MOST_TRIES = 100;

export interface MountRecordFile {
  target: string;
  serverPid: number;
  /** When it was started, in clock ticks since the machine was: what tells it from another with its number. */
  serverStart: number;
  /** Of the process that starts another server when this one ends; null where there is none. */
  shimPid: number | null;
  shimStart: number;
  lowers: string[];
  upper: string | null;
  work: string | null;
  driver: DriverName;
  readOnly: boolean;
  dataLowers: string[];
  whiteout: Whiteouts;
  /** How whiteouts are written into the upper, by what its file system can do; null where nothing is written. */
  whiteoutForm: WhiteoutForm | null;
  upperAbilities: UpperAbilities | null;
  /** Whether an index keeps hard links together over copy-up; null where nothing is written. */
  index: boolean | null;
  /** Why it does not. */
  noIndexBecause: string | null;
  /** With `lazy` the upper may lack data that only the server has the way to. */
  copyUp: 'whole' | 'lazy';
  userxattr: boolean;
  /** Of the program that serves it. */
  version: string;
  /** ISO 8601. */
  since: string;
}

export function serverOf({ serverPid, serverStart }: MountRecordFile): ProcessId {
  return { pid: serverPid, start: serverStart };
}

/** The process id is 0 where there is none. */
export function shimOf({ shimPid, shimStart }: MountRecordFile): ProcessId {
  return { pid: shimPid ?? 0, start: shimStart };
}

/** The layers of a mount, to be read beside it. */
export function layersOf(record: MountRecordFile): LayerSet {
  const { lowers, dataLowers, upper, whiteout, userxattr } = record;
  // What a mount without an index shows is not what an earlier index says.
  const index = record.index === false ? false : undefined;
  return { lowers, dataLowers, upper: upper ?? undefined, readOnly: true, whiteout, userxattr, index };
}

export function writeRecord(record: MountRecordFile): void {
  const { record: path } = serverFiles(record.serverPid);
  writeFileSync(`${path}.tmp`, JSON.stringify(record, null, 2), { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

/** The mounts whose server lives or whose mount is still there; leftovers of others are removed. */
export function readRecords(): MountRecordFile[] {
  let records = tryReadRecords();
  for (let tries = 1; records === 'moved' && tries < MOST_TRIES; tries++) records = tryReadRecords();
  if (records === 'moved')
    throw new OverlayError({
      operation: 'list the mounts',
      reason: 'they change all the time',
      remedy: 'try again',
    });
  return records.sort((a, b) => (a.since < b.since ? -1 : 1));
}

/** A record that has gone since the directory was listed may have another server's name by now (inheritServerFiles). */
function tryReadRecords(): MountRecordFile[] | 'moved' {
  const mounted = new Set(listMounts().map(({ target }) => target));
  const records: MountRecordFile[] = [];
  for (const name of listRuntimeDirectory()) {
    const pid = /^(\d+)\.json$/.exec(name)?.[1];
    if (pid === undefined) continue;
    const record = parseRecord(serverFiles(Number(pid)).record);
    if (record === 'gone') return 'moved';
    if (record !== 'cut short' && (isAlive(serverOf(record)) || mounted.has(fromText(record.target)))) {
      records.push(record);
    } else removeServerFiles(Number(pid));
  }
  return records;
}

/** A file may be gone meanwhile, or cut short by a crash. */
function parseRecord(path: string): MountRecordFile | 'gone' | 'cut short' {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as MountRecordFile;
  } catch (failure) {
    if (failure instanceof SyntaxError) return 'cut short';
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return 'gone';
    throw failure;
  }
}

/** The record of the mount at a target given as its real path. */
export function findRecord(target: string): MountRecordFile | undefined {
  return readRecords().findLast((record) => record.target === target);
}
