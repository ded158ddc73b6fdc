// SPDX-License-Identifier: MIT
/**
 * The serving thread: opens the layers and mounts, or goes on with what an earlier server
 * has left; then it serves until the mount is gone. It takes one message, its input, and
 * sends a few: what it has mounted, that it is ready, that it has ended. An error in a
 * request is reported and answered EIO by the session; the thread goes on.
 */
import { randomInt } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { errnoName } from '../base/errno.js';
import { serveDevice } from '../fuse/device.js';
import { closeDevice, mountFuse, unmountFuse } from '../fuse/mount.js';
import { resendPending } from '../fuse/notify.js';
import { Session } from '../fuse/session.js';
import { completeCopies, copyOn } from '../overlay/copy-up/lazy-copy.js';
import type { UpperWays } from '../overlay/layers/upper-probe.js';
import { commitQuietly } from '../overlay/nodes/recorder.js';
import type { Union } from '../overlay/nodes/union.js';
import { handOn, resumeUnion } from '../overlay/open/resume.js';
import { encodeError, type WireError } from '../supervise/error-wire.js';
import { threadId, unshareUmask } from '../sys/thread.js';
import type { MountConfig } from './config.js';
import { OverlayFileSystem } from './handler.js';
import { openWhenLetGo } from './let-go.js';
import { finishRequest } from './request-in-hand.js';
import { ServerState } from './server-state.js';
import { SharedFigures } from './shared-figures.js';

/** A mount that begins, or one that an earlier server has left. */
export type ThreadInput =
  | {
      kind: 'mount';
      config: MountConfig;
      figures: SharedArrayBuffer;
      state: number | undefined;
      /** An Int32 that is 1 when everything is closed. */
      end: SharedArrayBuffer;
    }
  | { kind: 'resume'; state: number; device: number; descriptors: readonly number[] };

export type ThreadMessage =
  | { kind: 'started'; thread: number }
  | { kind: 'mounted'; device: number; descriptors: readonly number[] }
  | { kind: 'ready'; ways: UpperWays | null }
  | { kind: 'refused'; failure: WireError }
  | { kind: 'fault'; text: string }
  | { kind: 'ended'; reason: string | undefined };

/** Milliseconds; what a thread that ends with others sleeps at most, as no signal wakes it. */
const ATTENTION = 1000;

interface Service {
  union: Union;
  device: number;
  session: Session;
  figures: SharedFigures;
  config: MountConfig;
  /** Where the mount outlives this process. */
  state: ServerState | undefined;
}

function send(message: ThreadMessage): void {
  parentPort!.postMessage(message);
}

function reportFault(request: string, fault: unknown): void {
  send({ kind: 'fault', text: `${request}: ${fault instanceof Error ? fault.stack : String(fault)}` });
}

function run(input: ThreadInput): void {
  // The requests' umask must not become the whole process's.
  unshareUmask();
  send({ kind: 'started', thread: threadId() });
  const service = input.kind === 'mount' ? begin(input) : resume(input);
  const { union, device, session, figures, config, state } = service;
  const end = serveDevice(device, session, {
    longestRest: state === undefined ? ATTENTION : -1,
    started: () => send({ kind: 'ready', ways: union.work?.ways ?? null }),
    rested: () => figures.record(union),
    workOn: () => {
      if (state !== undefined) state.atWork = 'copying';
      const more = copyOn(union);
      commitQuietly(union);
      if (state !== undefined) state.atWork = 'no';
      return more;
    },
  });
  if (end !== 'unmounted') unmountFuse(config.target, true);
  closeDevice(device);
  const completed = completeCopies(union);
  if (completed < 0) reportFault('copies in the background', errnoName(completed));
  union.close();
  send({ kind: 'ended', reason: end === 'unmounted' ? undefined : `/dev/fuse failed: ${errnoName(end)}` });
}

function begin({ config, figures: memory, state: fd }: ThreadInput & { kind: 'mount' }): Service {
  const options = { ...config, generation: config.nfsExport === true ? randomInt(1, 2 ** 32) : 0 };
  const union = openWhenLetGo(options);
  const state = fd === undefined ? undefined : ServerState.begin(fd);
  const figures = new SharedFigures(state?.figures ?? Buffer.from(memory));
  const { facts, descriptors } = handOn(union);
  let device: number;
  try {
    if (state !== undefined) {
      union.journal = state.journal();
      union.watch.current = state.watch;
      const since = new Date().toISOString();
      state.manifest = {
        config: { ...options, device: undefined },
        union: facts,
        descriptors: descriptors.length,
        since,
      };
      state.takeOver();
    }
    device = mountFuse(config);
  } catch (failure) {
    union.close();
    throw failure;
  }
  send({ kind: 'mounted', device, descriptors });
  return { union, device, figures, config, state, session: sessionOf(union, options, figures, state) };
}

function sessionOf(
  union: Union,
  config: MountConfig,
  figures: SharedFigures,
  state: ServerState | undefined,
): Session {
  const handler = new OverlayFileSystem(union, config);
  const session = new Session(handler, figures.counts, reportFault, { ...config, buffer: state?.message });
  if (state !== undefined) {
    session.agreement = state.agreement;
    session.agreed = (agreement) => {
      state.agreement = agreement;
    };
  }
  return session;
}

function resume({ state: fd, device, descriptors }: ThreadInput & { kind: 'resume' }): Service {
  const state = ServerState.open(fd);
  state.beginResuming();
  const { config, union: facts } = state.manifest;
  const resumption = resumeUnion(config, facts, descriptors, state.journal(), state.watch);
  const { union } = resumption;
  const figures = new SharedFigures(state.figures);
  const session = sessionOf(union, config, figures, state);
  finishRequest(device, session, resumption, state);
  resumption.settle();
  commitQuietly(union);
  // What was taken from the queue and did not get into the buffer.
  resendPending(device);
  state.atWork = 'no';
  return { union, device, figures, config, state, session };
}

parentPort!.once('message', (input: ThreadInput) => {
  try {
    run(input);
  } catch (failure) {
    send({ kind: 'refused', failure: encodeError(failure, 'mount') });
  }
  if (input.kind === 'mount') {
    const ended = new Int32Array(input.end);
    Atomics.store(ended, 0, 1);
    Atomics.notify(ended, 0);
  }
});
