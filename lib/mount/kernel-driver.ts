// SPDX-License-Identifier: MIT
/** The default driver: a serving thread on /dev/fuse, and a keeper where the mount is to outlive this process. */
import { EFBIG, errnoName } from '../base/errno.js';
import { OverlayError, UsageError } from '../base/errors.js';
import { raiseReadAhead, unmountFuse } from '../fuse/mount.js';
import { UPPER } from '../overlay/layers/layer-watch.js';
import type { UpperWays } from '../overlay/layers/upper-probe.js';
import type { HeldMount, KeeperFigures, MountConfig, RunningMount } from './config.js';
import { Keeper } from './keeper.js';
import { ServerState } from './server-state.js';
import type { ThreadInput, ThreadMessage } from './serving-thread.js';
import { takeServingThread } from './serving-worker.js';
import { SharedFigures } from './shared-figures.js';
import { layerPath, suspendedPaths } from './suspended.js';
import { unmountAtExit } from './unmount-at-exit.js';
import { watchServing } from './watchdog.js';

const READ_AHEAD_KIB = 1024;
/** Seconds; longer than any disk is silent that is only slow. */
const HANG_TIMEOUT = 60;

/** Starts the serving thread; settles when the mount can be used, or with the reason why it cannot. */
export function startKernelDriver(
  config: MountConfig,
  reportFault: (text: string) => void,
): Promise<RunningMount> {
  const fd =
    config.kept === undefined || config.kept === false ? undefined : createState(config, reportFault);
  const memory = SharedFigures.memory();
  const end = new SharedArrayBuffer(4);
  const input: ThreadInput = { kind: 'mount', config, figures: memory, state: fd, end };
  const forget = fd === undefined ? unmountAtExit(config, new Int32Array(end)) : undefined;
  const state = fd === undefined ? undefined : { state: ServerState.begin(fd), config };
  return drive(
    input,
    config.target,
    new SharedFigures(state?.state.figures ?? Buffer.from(memory)),
    reportFault,
    state,
  ).then(
    (running) => {
      void running.ended.then(forget);
      return running;
    },
    (failure) => {
      forget?.();
      throw failure;
    },
  );
}

/** Goes on with a mount of an earlier server, whose keeper this process was started by; with one of its own it is to be told when. */
export function resumeKernelDriver(
  held: HeldMount,
  keeper: Keeper,
  reportFault: (text: string) => void,
): Promise<RunningMount> {
  const state = ServerState.open(held.state);
  const { config } = state.manifest;
  const figures = new SharedFigures(state.figures);
  return drive({ kind: 'resume', ...held }, config.target, figures, reportFault, { state, config }, keeper);
}

/** A mount is better served without a keeper than not at all; its owner may see that otherwise. */
function createState({ kept }: MountConfig, reportFault: (text: string) => void): number | undefined {
  const fd = ServerState.create();
  if (fd >= 0) return fd;
  const remedy =
    fd === -EFBIG ? 'start it with a larger limit on the size of files (`ulimit -f`), or as root' : undefined;
  if (kept === 'by owner')
    throw new OverlayError({ operation: 'make memory for the mount', errno: fd, remedy });
  reportFault(`the mount will not outlive its server: no shared memory, ${errnoName(fd)}`);
  return undefined;
}

/** What a mount leaves to the next server, and how it is made up. */
interface Kept {
  state: ServerState;
  config: MountConfig;
}

function drive(
  input: ThreadInput,
  target: string,
  figures: SharedFigures,
  reportFault: (text: string) => void,
  kept?: Kept,
  parent?: Keeper,
): Promise<RunningMount> {
  let keeper: KeeperFigures | undefined = parent;
  /** The one that serves this mount and nothing else. */
  let own = kept?.config.kept === true ? parent : undefined;
  let ways: UpperWays | null = null;
  let held = input.kind === 'resume' ? input : undefined;
  const worker = takeServingThread();
  worker.postMessage(input);
  return new Promise((resolve, reject) => {
    let end: (reason: string | undefined) => void;
    const ended = new Promise<string | undefined>((settle) => {
      end = settle;
    });
    let unwatch = (): void => undefined;
    const running: RunningMount = {
      figures: () => ({
        ...figures.read(),
        hungLayers: kept === undefined ? [] : suspendedPaths(kept.state, kept.config),
      }),
      unmount: (detach) => unmountFuse(target, detach),
      ended,
      get keeper() {
        return keeper;
      },
      get held() {
        return held;
      },
      get ways() {
        return ways;
      },
      keptBy(other) {
        keeper = other;
      },
    };
    worker.on('message', (message: ThreadMessage) => {
      switch (message.kind) {
        case 'started':
          unwatch = watchThread(kept, message.thread, reportFault, () => keeper);
          break;
        case 'mounted':
          if (kept === undefined || input.state === undefined) break;
          held = { ...message, kind: 'resume', state: input.state };
          if (kept.config.kept === true) keeper = own = Keeper.start(held, target, reportFault);
          break;
        case 'ready':
          raiseReadAhead(target, READ_AHEAD_KIB);
          own?.ready();
          ways = message.ways;
          resolve(running);
          break;
        case 'refused':
          reject(errorFrom(message));
          break;
        case 'fault':
          reportFault(message.text);
          break;
        case 'ended':
          unwatch();
          // Who waits for the end finds no keeper any more.
          void (own?.dismiss() ?? Promise.resolve()).then(() => end(message.reason));
          // It may have been gone before this server was there.
          resolve(running);
          break;
      }
    });
    worker.on('error', (failure) => {
      const reason = `the serving thread failed: ${failure.stack ?? failure.message}`;
      if (keeper !== undefined && keeper.pid > 0) {
        // Another server does better.
        reportFault(reason);
        process.kill(process.pid, 'SIGKILL');
      }
      // The thread is gone with its session: without this the mount would hang for ever.
      unmountFuse(target, true);
      reject(failure);
      end(reason);
    });
  });
}

/** Where a keeper is there to start another server, one that is stuck gives way. */
function watchThread(
  kept: Kept | undefined,
  thread: number,
  reportFault: (text: string) => void,
  keeperOf: () => KeeperFigures | undefined,
): () => void {
  const limit = kept?.config.hangTimeout ?? HANG_TIMEOUT;
  if (kept === undefined || limit === 0) return () => undefined;
  const { state, config } = kept;
  return watchServing(state, thread, limit, (seconds) => {
    const keeper = keeperOf();
    if (keeper === undefined || keeper.pid === 0) return;
    // Without its upper no server could go on: this one does when the upper does.
    if (state.atWork === 'resuming' && state.watch.last === UPPER) return;
    const where = layerPath(config, state.watch.last);
    reportFault(
      `${state.workName} had no answer for ${seconds.toFixed(0)} s, at ${where}; another server goes on`,
    );
    state.markStuck();
    // What hangs in the kernel may not even die.
    keeper.hung();
    process.kill(process.pid, 'SIGKILL');
  });
}

function errorFrom({ usage, story }: ThreadMessage & { kind: 'refused' }): Error {
  return usage ? new UsageError(story.reason ?? '', story.remedy) : new OverlayError(story);
}
