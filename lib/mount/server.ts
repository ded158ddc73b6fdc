// SPDX-License-Identifier: MIT
/** A process that serves one mount until it is unmounted: in the foreground, or as a server in the background. */
import { OverlayError } from '../base/errors.js';
import { programVersion } from '../base/version.js';
import type { LayerSet } from '../overlay/layers/layer-set.js';
import { closeControl } from '../supervise/control.js';
import { raiseLimits } from '../supervise/leave-starter.js';
import { prepareRuntimeDirectory } from '../supervise/runtime-directory.js';
import { removeServerFiles } from '../supervise/server-files.js';
import type { Shim } from '../supervise/shim.js';
import { hasTrustedAttributes } from '../sys/privilege.js';
import { processId } from '../sys/proc.js';
import { listenForMount } from './control.js';
import { type Mount, type MountOptions, mount } from './mount.js';
import { type MountRecordFile, writeRecord } from './records.js';

/**
 * Mounts, enters the list of mounts, answers the control socket and signals.
 * `onReady` is called when the mount can be used; settles when it has ended.
 * SIGTERM and SIGINT unmount; while programs use the mount it is detached, and
 * the server stays until the last of them has left.
 */
export async function serveMount(
  target: string,
  options: MountOptions,
  onReady: (mount: Mount) => void,
): Promise<string | undefined> {
  // Limits of the user who mounted must not bind the programs that write there.
  raiseLimits();
  prepareRuntimeDirectory();
  return serve(mount(target, options), { ...options, since: new Date().toISOString() }, onReady);
}

/** What the list of mounts says of one. */
export type Announced = LayerSet & { since: string };

/**
 * The same for a mount that is about to be there. Signals are heard before it is: programs
 * see it a little earlier than `starting` settles, and may tell it to end at once.
 */
export async function serve(
  starting: Promise<Mount>,
  options: Announced,
  onReady: (mount: Mount) => void,
): Promise<string | undefined> {
  let stopping = false;
  const stop = (): void => {
    // Once: a second unmount would take what lies beneath the target.
    if (stopping) return;
    stopping = true;
    // A failure to start is reported below.
    starting.then(
      (running) =>
        unmountOrDetach(running).catch((failure: Error) => process.stderr.write(`${failure.message}\n`)),
      () => undefined,
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  let mounted: Mount | undefined;
  try {
    mounted = await starting;
    const announced = await announceMount(mounted, options);
    onReady(mounted);
    const reason = await mounted.ended;
    await announced.close();
    return reason;
  } catch (failure) {
    await mounted?.unmount({ detach: true });
    throw failure;
  } finally {
    process.off('SIGTERM', stop);
    process.off('SIGINT', stop);
    removeServerFiles(process.pid);
  }
}

/** A mount's place in the list. */
export interface AnnouncedMount {
  /** The list has its shim from now on, and each one that takes its place. */
  keptBy(shim: Shim): void;
  close(): Promise<void>;
}

/** Enters a mount of this process in the list of mounts and answers its control socket, until it is closed. */
export async function announceMount(
  mounted: Mount,
  options: LayerSet & { since?: string },
): Promise<AnnouncedMount> {
  process.title = `tsoverlay: ${mounted.target}`;
  const control = await listenForMount(mounted);
  const since = options.since ?? new Date().toISOString();
  const record = (): MountRecordFile => ({
    target: mounted.target,
    serverPid: process.pid,
    serverStart: processId(process.pid).start,
    shimPid: mounted.shim?.pid || null,
    shimStart: processId(mounted.shim?.pid ?? 0).start,
    lowers: [...options.lowers],
    upper: options.upper ?? null,
    work: options.work ?? null,
    driver: mounted.driver,
    readOnly: options.readOnly === true || options.upper === undefined,
    dataLowers: [...(options.dataLowers ?? [])],
    whiteout: options.whiteout ?? 'both',
    whiteoutForm: mounted.ways?.form ?? null,
    upperAbilities: mounted.ways?.can ?? null,
    index: mounted.ways === null ? null : mounted.ways.noIndex === '',
    noIndexBecause: mounted.ways?.noIndex || null,
    copyUp: options.copyUp ?? 'whole',
    userxattr: options.userxattr ?? !hasTrustedAttributes(),
    version: programVersion(),
    since,
  });
  const write = (): void => writeRecord(record());
  write();
  mounted.shim?.onReplaced(write);
  return {
    keptBy(shim) {
      mounted.keptBy(shim);
      shim.onReplaced(write);
      write();
    },
    close: () => closeControl(control),
  };
}

async function unmountOrDetach(mounted: Mount): Promise<void> {
  try {
    await mounted.unmount();
  } catch (failure) {
    if (!(failure instanceof OverlayError) || failure.code !== 'EBUSY') throw failure;
    process.stderr.write(`${failure.message}; detached, it ends when they do\n`);
    await mounted.unmount({ detach: true });
  }
}
