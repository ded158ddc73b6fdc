// SPDX-License-Identifier: MIT
/**
 * Being told that a descriptor is ready without reading it. Node reads whatever it watches, and what it has read
 * dies with it; so the kernel sends SIGIO (fcntl(2), O_ASYNC), and all who wait look for themselves.
 *
 * A signal comes for each write(2), also for one byte. libuv puts signals into a pipe that takes 4096 of them and
 * drops the rest, of whatever kind, so that the end of a process would go unheard. So as long as something moves,
 * and a moment longer, there are no signals but looks in turn; and as some may still be too many, libuv is made to
 * ask for ended processes after them.
 */
import { check } from '../../base/errors.js';
import { setStatusFlags, signalWhenReady } from '../../sys/channels.js';
import { O_NONBLOCK, O_RDWR } from '../../sys/files.js';

/** Looks after the last byte, each after twice the time of the one before, in ms. */
const FIRST_LOOK_MS = 1;
const LAST_LOOK_MS = 8;
/** Bytes; after so many the next ones are there already. */
const MANY = 4096;
const ASK_MS = 50;

class Watcher {
  #isQuiet = false;
  #isStopped = false;
  #pause = FIRST_LOOK_MS;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly descriptors: readonly number[],
    private readonly look: () => number,
  ) {
    this.#setSignals(false);
    this.#beQuiet();
  }

  /** One of the descriptors may be ready. */
  signalled(): void {
    if (this.#isQuiet) return;
    const count = this.look();
    if (count > 0) this.#beQuiet(count);
  }

  /** Takes turns of looking, as `count` bytes were moved. */
  #beQuiet(count = MANY): void {
    if (this.#isStopped) return;
    if (!this.#isQuiet) this.#setSignals(false);
    this.#pause = FIRST_LOOK_MS;
    if (count >= MANY) setImmediate(() => this.#lookAgain());
    else this.#lookLater();
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => this.#lookAgain(), this.#pause);
  }

  #lookAgain(): void {
    if (this.#isStopped) return;
    const count = this.look();
    if (this.#isStopped) return;
    if (count > 0) this.#beQuiet(count);
    else if (this.#pause <= LAST_LOOK_MS) {
      this.#lookLater();
      this.#pause *= 2;
    } else {
      this.#setSignals(true);
      // What has come just before.
      this.signalled();
    }
  }

  #setSignals(wanted: boolean): void {
    for (const fd of this.descriptors) {
      const status = wanted ? signalWhenReady(fd) : setStatusFlags(fd, O_RDWR | O_NONBLOCK);
      check(status, { operation: 'watch standard streams' });
    }
    this.#isQuiet = !wanted;
  }

  /** Others may have the same open files; nobody here hears of them any more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#setSignals(false);
  }
}

const watchers = new Set<Watcher>();
let asking: NodeJS.Timeout | undefined;

function lookAll(): void {
  for (const watcher of watchers) watcher.signalled();
  if (asking !== undefined) return;
  asking = setTimeout(() => {
    asking = undefined;
    process.kill(process.pid, 'SIGCHLD');
  }, ASK_MS);
}

/**
 * Calls `look` whenever one of the descriptors may be ready; they do not wait any more. It answers how many bytes
 * it could move. Answers what ends the watching, which is to be done before one of them is closed.
 */
export function watchReady(descriptors: readonly number[], look: () => number): () => void {
  // Without somebody to hear it the signal would end the process.
  if (watchers.size === 0) process.on('SIGIO', lookAll);
  const watcher = new Watcher(descriptors, look);
  watchers.add(watcher);
  return () => {
    watchers.delete(watcher);
    watcher.stop();
  };
}
