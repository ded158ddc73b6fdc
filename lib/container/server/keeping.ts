// SPDX-License-Identifier: MIT
/**
 * Keeping a container: whatever becomes of its server, another one goes on with all that runs in it. A shim
 * holds what it is made of (supervise/shim.ts); when that changes, by a program that begins or ends, another
 * shim takes its place.
 */
import { HeldList, STATE_FD } from '../../supervise/held.js';
import { type Holding, type Owner, Shim, type Successor } from '../../supervise/shim.js';
import { type ContainerManifest, ContainerMemory } from './container-memory.js';
import { CONTAINER_MAIN, SMALL_PROCESS_FLAGS } from './small-process.js';

const SUCCESSOR: Successor = { kind: 'container', main: CONTAINER_MAIN, flags: SMALL_PROCESS_FLAGS };
/** Programs that end together are let go together. */
const SOON_MS = 20;

/** Lists what is to be kept; undefined where nothing is any more. */
export type Compose = (
  list: HeldList,
) => Pick<ContainerManifest, 'resources' | 'program' | 'executions'> | undefined;

/** What never changes while the container runs. */
interface Container {
  root: string;
  id: string;
  name: string;
  /** The descriptor of its lock. */
  lock: number;
}

export class Keeping implements Owner {
  readonly successor = SUCCESSOR;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #shim: Shim | undefined;
  /** What an earlier server has left, as long as this one has not taken it over. */
  #inherited: Holding | undefined;
  /** The server's to say. */
  compose: Compose = () => undefined;
  /** Called with each shim that is the first one of this server. */
  begun: (shim: Shim) => void = () => undefined;

  private constructor(
    private readonly container: Container,
    readonly memory: ContainerMemory,
    readonly report: (text: string) => void,
  ) {}

  get name(): string {
    return this.container.name;
  }

  /** For a container that begins; nothing is kept before `renew`. */
  static make(container: Container, report: (text: string) => void): Keeping {
    return new Keeping(container, ContainerMemory.make(), report);
  }

  /** For a container that goes on; the shim has started this process and handed it the descriptors. */
  static resume(
    container: Container,
    memory: ContainerMemory,
    shimPid: number,
    descriptors: readonly number[],
    report: (text: string) => void,
  ): Keeping {
    const keeping = new Keeping(container, memory, report);
    const held = { state: STATE_FD, descriptors };
    keeping.#inherited = { held, number: memory.shim, begin: () => undefined };
    keeping.#shim = Shim.parent(keeping, shimPid, memory.shim);
    return keeping;
  }

  get shim(): Shim | undefined {
    return this.#shim;
  }

  holding(): Holding | undefined {
    if (this.#inherited !== undefined) return this.#inherited;
    const list = new HeldList();
    const { memory, container } = this;
    const { root, id } = container;
    const lock = list.add(container.lock);
    const composed = this.#isOver ? undefined : this.compose(list);
    if (composed === undefined) return undefined;
    const { descriptors } = list;
    const number = memory.shim + 1;
    memory.writeManifest(number, { root, id, lock, ...composed, held: descriptors.length });
    return {
      held: { state: memory.fd, descriptors },
      number,
      begin: () => {
        memory.shim = number;
      },
    };
  }

  /** What there is now is kept from now on, and nothing else. Throws an OverlayError. */
  renew(): void {
    clearTimeout(this.#timer);
    const holding = this.holding();
    if (holding === undefined) return;
    if (this.#shim !== undefined && this.#shim.pid > 0) {
      this.#shim.hold(holding);
      return;
    }
    this.#shim = Shim.start(this, holding);
    this.begun(this.#shim);
  }

  /** The same in a moment, where somebody waits for it in vain otherwise; a failure is reported. */
  renewSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      try {
        this.renew();
      } catch (failure) {
        this.report((failure as Error).message);
      }
    }, SOON_MS);
  }

  /** All that an earlier server has left is this one's. */
  takenOver(): void {
    this.#inherited = undefined;
  }

  /** The container goes on with this server. */
  ready(): void {
    this.#shim?.ready();
  }

  /** Nothing is kept any more; settles when the shim is gone. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#isOver = true;
    await this.#shim?.dismiss();
  }
}
