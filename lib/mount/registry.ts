// SPDX-License-Identifier: MIT
/**
 * The list of live mounts: one file a server in the runtime directory, beside
 * its control socket and its log. A file whose server is gone is a leftover, and
 * whoever meets it removes it.
 */
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../base/bytes.js';
import { OverlayError } from '../base/errors.js';
import type { Whiteouts } from '../overlay/layers/features.js';
import type { LayerSet } from '../overlay/layers/layer-set.js';
import type { UpperAbilities, WhiteoutForm } from '../overlay/layers/upper-probe.js';
import { listMounts } from '../sys/mounts.js';
import type { DriverName } from './config.js';

/** Reading the list is begun anew so often when a mount gets another server in between. */
const MOST_TRIES = 100;

export interface MountRecordFile {
  target: string;
  serverPid: number;
  /** Of the process that starts another server when this one ends; null where there is none. */
  keeperPid: number | null;
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

/** The layers of a mount, to be read beside it. */
export function layersOf(record: MountRecordFile): LayerSet {
  const { lowers, dataLowers, upper, whiteout, userxattr } = record;
  // What a mount without an index shows is not what an earlier index says.
  const index = record.index === false ? false : undefined;
  return { lowers, dataLowers, upper: upper ?? undefined, readOnly: true, whiteout, userxattr, index };
}

/**
 * `TSOVERLAY_RUNTIME_DIR`, else /run/tsoverlay for root, else the user's runtime
 * directory. Root of a user namespace may not write in /run, which is the host's.
 */
export function runtimeDirectory(): string {
  const given = process.env.TSOVERLAY_RUNTIME_DIR;
  if (given) return given;
  if (process.getuid!() === 0 && isWritable('/run')) return '/run/tsoverlay';
  return process.env.XDG_RUNTIME_DIR
    ? join(process.env.XDG_RUNTIME_DIR, 'tsoverlay')
    : `/tmp/tsoverlay-${process.getuid!()}`;
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Makes the runtime directory, which only its user may enter, and answers its path. */
export function prepareRuntimeDirectory(): string {
  const directory = runtimeDirectory();
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    checkOwner(directory);
    chmodSync(directory, 0o700);
  } catch (cause) {
    throw runtimeFailure('create runtime directory', directory, cause);
  }
  return directory;
}

export interface ServerFiles {
  record: string;
  socket: string;
  log: string;
}

export function serverFiles(pid: number, directory = runtimeDirectory()): ServerFiles {
  return {
    record: join(directory, `${pid}.json`),
    socket: join(directory, `${pid}.sock`),
    log: join(directory, `${pid}.log`),
  };
}

export function writeRecord(record: MountRecordFile): void {
  const { record: path } = serverFiles(record.serverPid);
  writeFileSync(`${path}.tmp`, JSON.stringify(record, null, 2), { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

/** Removes what a server has in the runtime directory; its log stays if there is anything in it. */
export function removeServerFiles(pid: number): void {
  const files = serverFiles(pid);
  rmSync(files.record, { force: true });
  rmSync(files.socket, { force: true });
  if (isEmptyFile(files.log)) rmSync(files.log, { force: true });
}

/** The files of a server that has ended become those of its successor, this process. */
export function inheritServerFiles(pid: number): void {
  const former = serverFiles(pid);
  rmSync(former.socket, { force: true });
  const own = serverFiles(process.pid);
  for (const [from, to] of [
    [former.record, own.record],
    [former.log, own.log],
  ]) {
    if (existsSync(from)) renameSync(from, to);
  }
}

function isEmptyFile(path: string): boolean {
  try {
    return readFileSync(path).length === 0;
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw failure;
  }
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
    if (record !== 'cut short' && (isAlive(record.serverPid) || mounted.has(fromText(record.target)))) {
      records.push(record);
    } else removeServerFiles(Number(pid));
  }
  return records;
}

/**
 * What another user has put in the place of ours, which in /tmp anybody can, is not believed: it
 * would say what is mounted where. A directory that was named is the choice of who named it.
 */
function listRuntimeDirectory(): string[] {
  const directory = runtimeDirectory();
  try {
    if (!process.env.TSOVERLAY_RUNTIME_DIR) checkOwner(directory);
    return readdirSync(directory);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw runtimeFailure('read runtime directory', directory, cause);
  }
}

function checkOwner(directory: string): void {
  const { uid } = lstatSync(directory);
  if (uid !== process.getuid!()) throw new Error(`it belongs to user ${uid}`);
}

function runtimeFailure(operation: string, path: string, cause: unknown): OverlayError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const reason = code === 'EACCES' ? "it is another user's" : message;
  return new OverlayError({
    operation,
    path,
    reason,
    remedy: 'set TSOVERLAY_RUNTIME_DIR to a directory that you own',
    cause,
  });
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

/** Removes what servers have left that were killed before anybody knew of them. */
export function sweepServerFiles(): void {
  for (const name of listRuntimeDirectory()) {
    const [, starting, pid] = /^(starting-)?(\d+)\.(?:json|sock|log)$/.exec(name) ?? [];
    if (pid === undefined || hasProcess(Number(pid))) continue;
    if (starting === undefined) removeServerFiles(Number(pid));
    else rmSync(join(runtimeDirectory(), name), { force: true });
  }
}

/** What proc(5) says of a process in one of its files; '' where there is none any more. */
function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw failure;
  }
}

/** Whether there is a process; one that has ended and was not waited for yet is none. */
export function hasProcess(pid: number): boolean {
  const stat = readProcess(pid, 'stat');
  return stat !== '' && !/\) [ZX] /.test(stat);
}

/** Words and the zero bytes behind them; '' where the process has ended. */
export function commandLineOf(pid: number): string {
  return readProcess(pid, 'cmdline');
}

/** The title that a server gives itself, or the program that it is until then. */
const SERVER = /^(tsoverlay: |[^\0]+\0(-[^\0]*\0)*[^\0]*(background|server)-main\.js\0)/;

/** Whether the process is a server of ours, not another that was given its number, whatever that has in its arguments. */
export function isAlive(pid: number): boolean {
  return SERVER.test(commandLineOf(pid));
}

/** Memory of a process in bytes; 0 where it has ended. */
export function residentMemoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readProcess(pid, 'status'))?.[1] ?? 0) * 1024;
}

/** The record of the mount at a target given as its real path. */
export function findRecord(target: string): MountRecordFile | undefined {
  return readRecords().findLast((record) => record.target === target);
}
