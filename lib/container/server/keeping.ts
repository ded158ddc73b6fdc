// SPDX-License-Identifier: MIT
/**
 * Keeping a container: whatever becomes of its server, another one goes on with all that runs in it. A shim
 * holds what it is made of (supervise/shim.ts); when that changes, by a program that begins or ends, another
 * shim takes its place.
 */
import { HeldList, STATE_FD } from '../../supervise/held.js';
import { logFault } from '../../supervise/log.js';
import { type Holding, type Owner, Shim, type Successor } from '../../supervise/shim.js';
import type { ContainerManifest, ContainerMemory } from './container-memory.js';
import { CONTAINER_MAIN, SMALL_PROCESS_FLAGS } from './small-process.js';

const SUCCESSOR: Successor = { kind: 'container', main: CONTAINER_MAIN, flags: SMALL_PROCESS_FLAGS };
/** Programs that end together are let go together. */
const SOON_MS = 20;

/** What the next server is handed: each says what of it, and notes its descriptors in the list. */
export interface Contents {
  resources: { keepIn(list: HeldList): ContainerManifest['resources']; keptBy(shim: Shim): void };
  program: { keepIn(list: HeldList): ContainerManifest['program'] };
  executions: { keepIn(list: HeldList): ContainerManifest['executions'] };
}

/** What never changes while the container runs. */
export interface KeptContainer {
  /** Of the store. */
  root: string;
  id: string;
  name: string;
  /** The descriptor of its lock. */
  lock: number;
}

/** What is to be kept, should the shim have to be replaced. */
type Charge =
  /** Its program has not begun, or has ended. */
  | { kind: 'nothing' }
  /** What an earlier server has left, as long as this one has not taken it over. */
  | { kind: 'inherited'; holding: Holding }
  | { kind: 'running'; contents: Contents };

export class Keeping implements Owner {
  readonly successor = SUCCESSOR;
  #timer: NodeJS.Timeout | undefined;
  #shim: Shim | undefined;

  private constructor(
    private readonly container: KeptContainer,
    readonly memory: ContainerMemory,
    private charge: Charge,
  ) {}

  /** For a container that begins; nothing is kept before `keep`. */
  static make(container: KeptContainer, memory: ContainerMemory): Keeping {
    return new Keeping(container, memory, { kind: 'nothing' });
  }

  /** For a container that goes on; the shim has started this process and handed it the descriptors. */
  static takeOver(
    container: KeptContainer,
    memory: ContainerMemory,
    shimPid: number,
    descriptors: readonly number[],
  ): { keeping: Keeping; shim: Shim } {
    const held = { state: STATE_FD, descriptors };
    const holding = { held, number: memory.shim, begin: () => undefined };
    const keeping = new Keeping(container, memory, { kind: 'inherited', holding });
    const shim = Shim.parent(keeping, shimPid, memory.shim);
    keeping.#shim = shim;
    return { keeping, shim };
  }

  get name(): string {
    return this.container.name;
  }

  report(text: string): void {
    logFault(text);
  }

  holding(): Holding | undefined {
    if (this.charge.kind === 'nothing') return undefined;
    if (this.charge.kind === 'inherited') return this.charge.holding;
    const { resources, program, executions } = this.charge.contents;
    const list = new HeldList();
    const { memory, container } = this;
    const { root, id } = container;
    const kept = {
      root,
      id,
      lock: list.add(container.lock),
      resources: resources.keepIn(list),
      program: program.keepIn(list),
      executions: executions.keepIn(list),
    };
    const { descriptors } = list;
    const number = memory.shim + 1;
    memory.writeManifest(number, { ...kept, held: descriptors.length });
    return {
      held: { state: memory.fd, descriptors },
      number,
      begin: () => {
        memory.shim = number;
      },
    };
  }

  /** From now on this is what is kept, in place of all that was; the shim there is has it, or `renew` makes it so. */
  keep(contents: Contents): void {
    this.charge = { kind: 'running', contents };
    if (this.#shim !== undefined) contents.resources.keptBy(this.#shim);
  }

  /** The program has ended, and perhaps begins anew: a shim that ends meanwhile is not replaced. */
  keepNothing(): void {
    this.charge = { kind: 'nothing' };
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
    if (this.charge.kind === 'running') this.charge.contents.resources.keptBy(this.#shim);
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

  /** The container goes on with this server. */
  ready(): void {
    this.#shim?.ready();
  }

  /** Nothing is kept any more; settles when the shim is gone. */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.keepNothing();
    await this.#shim?.dismiss();
  }
}
