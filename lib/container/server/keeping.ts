// SPDX-License-Identifier: MIT
/**
 * Keeping a container: whatever becomes of its server, another one goes on with all that runs in it. A keeper
 * holds what it is made of (mount/keeper.ts); when that changes, by a program that begins or ends, another
 * keeper takes its place.
 */
import { type Holding, Keeper, type Owner, STATE_FD, type Successor } from '../../mount/keeper.js';
import { HeldList } from '../wire/held-list.js';
import { type ContainerManifest, ContainerMemory } from './container-memory.js';
import { CONTAINER_MAIN, SMALL_PROCESS_FLAGS } from './small-process.js';

const SUCCESSOR: Successor = { main: CONTAINER_MAIN, flags: SMALL_PROCESS_FLAGS };
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
  #keeper: Keeper | undefined;
  /** What an earlier server has left, as long as this one has not taken it over. */
  #inherited: Holding | undefined;
  /** The server's to say. */
  compose: Compose = () => undefined;
  /** Called with each keeper that is the first one of this server. */
  begun: (keeper: Keeper) => void = () => undefined;

  private constructor(
    private readonly container: Container,
    readonly memory: ContainerMemory,
    private readonly report: (text: string) => void,
  ) {}

  /** For a container that begins; nothing is kept before `renew`. */
  static make(container: Container, report: (text: string) => void): Keeping {
    return new Keeping(container, ContainerMemory.make(), report);
  }

  /** For a container that goes on; the keeper has started this process and handed it the descriptors. */
  static resume(
    container: Container,
    memory: ContainerMemory,
    keeperPid: number,
    descriptors: readonly number[],
    report: (text: string) => void,
  ): Keeping {
    const keeping = new Keeping(container, memory, report);
    const held = { state: STATE_FD, descriptors };
    keeping.#inherited = { held, number: memory.keeper, begin: () => undefined };
    keeping.#keeper = Keeper.parent(held, container.name, keeperPid, report, keeping);
    return keeping;
  }

  get keeper(): Keeper | undefined {
    return this.#keeper;
  }

  /** Of the keeper that counts. */
  get number(): number {
    return this.memory.keeper;
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
    const number = memory.keeper + 1;
    memory.writeManifest(number, { root, id, lock, ...composed, held: descriptors.length });
    return {
      held: { state: memory.fd, descriptors },
      number,
      begin: () => {
        memory.keeper = number;
      },
    };
  }

  /** What there is now is kept from now on, and nothing else. Throws an OverlayError. */
  renew(): void {
    clearTimeout(this.#timer);
    const holding = this.holding();
    if (holding === undefined) return;
    if (this.#keeper !== undefined && this.#keeper.pid > 0) {
      this.#keeper.hold(holding);
      return;
    }
    const { held, number, begin } = holding;
    const owner = { successor: SUCCESSOR, number, holding: () => this.holding() };
    this.#keeper = Keeper.start(held, this.container.name, this.report, owner);
    begin();
    this.begun(this.#keeper);
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
    this.#keeper?.ready();
  }

  /** Nothing is kept any more; settles when the keeper is gone. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#isOver = true;
    await this.#keeper?.dismiss();
  }
}
