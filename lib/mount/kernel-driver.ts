// SPDX-License-Identifier: MIT
/** The default driver: a serving thread on /dev/fuse, and a shim where the mount is to outlive this process. */
import { EFBIG, errnoName } from '../base/errno.js';
import { OverlayError } from '../base/errors.js';
import { raiseReadAhead, unmountFuse } from '../fuse/mount.js';
import { UPPER } from '../overlay/layers/layer-watch.js';
import type { UpperWays } from '../overlay/layers/upper-probe.js';
import { decodeError } from '../supervise/error-wire.js';
import { Shim } from '../supervise/shim.js';
import type { HeldMount, MountConfig, MountFigures, RunningMount } from './config.js';
import { holdingOf, shimOwner } from './mount-shim.js';
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
export async function startKernelDriver(
  config: MountConfig,
  report: (text: string) => void,
): Promise<RunningMount> {
  const isKept = config.kept !== undefined && config.kept !== false;
  const fd = isKept ? createState(config, report) : undefined;
  const state = fd === undefined ? undefined : ServerState.begin(fd);
  const memory = SharedFigures.memory();
  const figures = new SharedFigures(state?.figures ?? Buffer.from(memory));
  const end = new SharedArrayBuffer(4);
  const forget = fd === undefined ? unmountAtExit(config, new Int32Array(end)) : () => undefined;
  try {
    const input: ThreadInput = { kind: 'mount', config, figures: memory, state: fd, end };
    const running = await new KernelMount({ config, figures, state, report }).serve(input);
    void running.ended.then(forget);
    return running;
  } catch (failure) {
    forget();
    throw failure;
  }
}

/** Goes on with a mount of an earlier server, whose shim this process was started by; with one of its own it is to be told when. */
export function resumeKernelDriver(
  held: HeldMount,
  parent: Shim,
  report: (text: string) => void,
): Promise<RunningMount> {
  const state = ServerState.open(held.state);
  const { config } = state.manifest;
  const figures = new SharedFigures(state.figures);
  return new KernelMount({ config, figures, state, report, parent, held }).serve({ kind: 'resume', ...held });
}

/** A mount is better served without a shim than not at all; its owner may see that otherwise. */
function createState({ kept }: MountConfig, report: (text: string) => void): number | undefined {
  const fd = ServerState.create();
  if (fd >= 0) return fd;
  const remedy =
    fd === -EFBIG ? 'start it with a larger limit on the size of files (`ulimit -f`), or as root' : undefined;
  if (kept === 'by owner')
    throw new OverlayError({ operation: 'make memory for the mount', errno: fd, remedy });
  report(`the mount will not outlive its server: no shared memory, ${errnoName(fd)}`);
  return undefined;
}

interface Served {
  config: MountConfig;
  figures: SharedFigures;
  /** What it leaves to the next server; undefined where there will be none. */
  state: ServerState | undefined;
  report: (text: string) => void;
  /** The shim that has started this process. */
  parent?: Shim;
  /** Undefined before it is mounted. */
  held?: HeldMount;
}

/** A mount that a thread of this process serves. */
class KernelMount implements RunningMount {
  shim: Shim | undefined;
  held: HeldMount | undefined;
  ways: UpperWays | null = null;
  readonly ended: Promise<string | undefined>;
  #end!: (reason: string | undefined) => void;
  /** The shim that holds this mount and nothing else. */
  #own: Shim | undefined;
  #unwatch = (): void => undefined;

  constructor(private readonly served: Served) {
    this.shim = served.parent;
    this.held = served.held;
    if (served.config.kept === true) this.#own = served.parent;
    this.ended = new Promise((settle) => {
      this.#end = settle;
    });
  }

  figures(): MountFigures {
    const { figures, state, config } = this.served;
    return { ...figures.read(), hungLayers: state === undefined ? [] : suspendedPaths(state, config) };
  }

  unmount(detach: boolean): number {
    return unmountFuse(this.served.config.target, detach);
  }

  keptBy(shim: Shim): void {
    this.shim = shim;
  }

  /** Settles with itself when it can be used. */
  serve(input: ThreadInput): Promise<this> {
    const worker = takeServingThread();
    worker.postMessage(input);
    return new Promise((resolve, reject) => {
      worker.on('message', (message: ThreadMessage) => {
        this.#hear(message);
        if (message.kind === 'refused') reject(decodeError(message.failure));
        // It may have been gone before this server was there.
        if (message.kind === 'ready' || message.kind === 'ended') resolve(this);
      });
      worker.on('error', (failure) => {
        this.#fail(`the serving thread failed: ${failure.stack ?? failure.message}`);
        reject(failure);
      });
    });
  }

  #hear(message: ThreadMessage): void {
    const { config, report } = this.served;
    switch (message.kind) {
      case 'started':
        this.#unwatch = this.#watch(message.thread);
        break;
      case 'mounted':
        this.#supervise(message);
        break;
      case 'ready':
        raiseReadAhead(config.target, READ_AHEAD_KIB);
        this.#own?.ready();
        this.ways = message.ways;
        break;
      case 'fault':
        report(message.text);
        break;
      case 'ended':
        this.#unwatch();
        // The shim is gone before `ended` settles.
        void (this.#own?.dismiss() ?? Promise.resolve()).then(() => this.#end(message.reason));
        break;
    }
  }

  #supervise({ device, descriptors }: ThreadMessage & { kind: 'mounted' }): void {
    const { state, config, report } = this.served;
    if (state === undefined) return;
    const held = { state: state.fd, device, descriptors };
    this.held = held;
    if (config.kept === true)
      this.shim = this.#own = Shim.start(shimOwner(held, config.target, report), holdingOf(held));
  }

  #fail(reason: string): void {
    if (this.shim !== undefined && this.shim.pid > 0) {
      // Another server does better.
      this.served.report(reason);
      process.kill(process.pid, 'SIGKILL');
    }
    // The thread is gone with its session: without this the mount would hang for ever.
    this.unmount(true);
    this.#end(reason);
  }

  /** Where a shim is there to start another server, one that is stuck gives way. */
  #watch(thread: number): () => void {
    const { state, config, report } = this.served;
    const limit = config.hangTimeout ?? HANG_TIMEOUT;
    if (state === undefined || limit === 0) return () => undefined;
    return watchServing(state, thread, limit, (seconds) => {
      const { shim } = this;
      if (shim === undefined || shim.pid === 0) return;
      // Without its upper no server could go on: this one does when the upper does.
      if (state.atWork === 'resuming' && state.watch.last === UPPER) return;
      const where = layerPath(config, state.watch.last);
      report(
        `${state.workName} had no answer for ${seconds.toFixed(0)} s, at ${where}; another server goes on`,
      );
      state.markStuck();
      // What hangs in the kernel may not even die.
      shim.hung();
      process.kill(process.pid, 'SIGKILL');
    });
  }
}
