// SPDX-License-Identifier: MIT
/**
 * Mounts that end with the thread that made them: process.exit, an error that nobody catches, a
 * signal that nobody handles, the end of a worker. Without this the serving thread would hold up the
 * end of the process, and the mount would stay behind, answering ENOTCONN.
 */
import { isMainThread } from 'node:worker_threads';
import { fromText } from '../base/bytes.js';
import { mountDebug } from '../base/debug.js';
import { errnoName } from '../base/errno.js';
import { unmountFuse } from '../fuse/mount.js';
import { listMounts, MNT_DETACH, MNT_FORCE, UMOUNT_NOFOLLOW, unmountFileSystem } from '../sys/mounts.js';

export interface ExitingMount {
  target: string;
  subtype: string;
}

/** Milliseconds that a serving thread has for closing its layers. */
const CLOSING = 5000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const mounts = new Map<Int32Array, ExitingMount>();

/** Unmounts when this thread ends, unless the answer is called before. `ended`: 1 when the serving thread has. */
export function unmountAtExit(mount: ExitingMount, ended: Int32Array): () => void {
  if (mounts.size === 0) listen();
  mounts.set(ended, mount);
  return () => {
    if (mounts.delete(ended) && mounts.size === 0) unlisten();
  };
}

function listen(): void {
  process.on('exit', unmountAll);
  // Workers get no signals.
  if (isMainThread) for (const signal of SIGNALS) process.on(signal, onSignal);
}

function unlisten(): void {
  process.off('exit', unmountAll);
  if (isMainThread) for (const signal of SIGNALS) process.off(signal, onSignal);
}

/** Where the program listens itself, it decides whether it ends; else the signal does what it does to everybody. */
function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  unmountAll();
  unlisten();
  process.kill(process.pid, signal);
}

function unmountAll(): void {
  for (const [ended, mount] of mounts) {
    if (Atomics.load(ended, 0) === 0 && isThere(mount)) {
      unmountNow(mount.target);
      Atomics.wait(ended, 0, 0, CLOSING);
    }
  }
  mounts.clear();
}

/** It may not have got so far, and what is at the target is another's then. */
function isThere({ target, subtype }: ExitingMount): boolean {
  const record = listMounts().findLast((one) => one.target === fromText(target));
  return record?.type === `fuse.${subtype}`;
}

/** Programs that use the mount would wait for ever for a server that has ended, so the connection is cut (fuse_umount_begin). */
function unmountNow(target: string): void {
  let status = unmountFuse(target, false);
  if (status < 0) status = unmountFileSystem(fromText(target), UMOUNT_NOFOLLOW | MNT_DETACH | MNT_FORCE);
  if (status < 0) status = unmountFuse(target, true);
  if (status < 0) mountDebug('%s stays mounted: %s', target, errnoName(status));
}
