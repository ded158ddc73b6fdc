// SPDX-License-Identifier: MIT
/**
 * What a container's server leaves to the next one, in memory that outlives it (shim.ts):
 *
 *   page 0   the header (supervise/state-file.ts): number of the shim that counts, whether the container ends with
 *            the client that has started it, lengths of two manifests, number of clients
 *   1 MiB    manifest of shims with even numbers, JSON
 *   2 MiB    the same for odd ones
 *
 * What a shim holds is written down before it counts, so the one that does always fits what it holds.
 */
import { check } from '../../base/errors.js';
import type { HeldMount } from '../../mount/config.js';
import { OWN_WORDS, type Room, StateFile, type StateKind } from '../../supervise/state-file.js';
import { createSharedMemory } from '../../sys/shared-memory.js';
import type { KeptNetwork } from '../network/container-network.js';
import type { KeptProgram } from '../program/program.js';

const MANIFEST_ROOM = 1 << 20;
const SIZE = 3 * MANIFEST_ROOM;
const KIND: StateKind = {
  magic: 0x74736f63,
  format: 2,
  name: 'container',
  remedy: 'stop it and start it again',
};
const Word = {
  SHIM: OWN_WORDS,
  BOUND: OWN_WORDS + 1,
  LENGTHS: OWN_WORDS + 2,
  CLIENTS: OWN_WORDS + 4,
} as const;

/** Descriptors are places among what is held. */
export interface KeptResources {
  hasCgroup: boolean;
  network: KeptNetwork;
  mount: HeldMount | undefined;
}

export interface ExecutionTerms {
  /** By which its client finds it again. */
  key: string;
  isTerminal: boolean;
}

export interface KeptExecution extends ExecutionTerms {
  program: KeptProgram;
}

/** What a shim holds, and what it is; descriptors are those of who is handed them. */
export interface ContainerManifest {
  /** Of the store. */
  root: string;
  id: string;
  /** The container's lock. */
  lock: number;
  /** How many descriptors there are. */
  held: number;
  resources: KeptResources;
  /** The container's own. */
  program: KeptProgram;
  executions: KeptExecution[];
}

export class ContainerMemory {
  readonly #words: Int32Array;

  private constructor(private readonly file: StateFile) {
    this.#words = file.words;
  }

  /** Throws an OverlayError where the system has no memory to give. */
  static make(): ContainerMemory {
    const fd = check(createSharedMemory('tsoverlay-container', SIZE), { operation: 'keep the container' });
    return new ContainerMemory(StateFile.begin(fd, KIND));
  }

  /** What an earlier server has left. Throws an OverlayError for what this version cannot read. */
  static open(fd: number): ContainerMemory {
    return new ContainerMemory(StateFile.open(fd, KIND));
  }

  get fd(): number {
    return this.file.fd;
  }

  /** The number of the shim that counts. */
  get shim(): number {
    return this.#words[Word.SHIM];
  }

  set shim(number: number) {
    Atomics.store(this.#words, Word.SHIM, number);
  }

  /** Whether the container ends with the client that has started it. */
  get isBound(): boolean {
    return this.#words[Word.BOUND] === 1;
  }

  set isBound(bound: boolean) {
    this.#words[Word.BOUND] = bound ? 1 : 0;
  }

  /** How many clients the server has. */
  get clients(): number {
    return this.#words[Word.CLIENTS];
  }

  set clients(count: number) {
    this.#words[Word.CLIENTS] = count;
  }

  /** This process is the server from now on. Answers the process id of the last one. */
  takeOver(): number {
    return this.file.takeOver();
  }

  writeManifest(shim: number, manifest: ContainerManifest): void {
    this.#words[Word.LENGTHS + (shim & 1)] = this.file.writeJson(roomOf(shim), manifest);
  }

  /** The manifest of the shim that counts. */
  readManifest(): ContainerManifest {
    return this.file.readJson(roomOf(this.shim), this.#words[Word.LENGTHS + (this.shim & 1)]);
  }
}

function roomOf(shim: number): Room {
  return { offset: (1 + (shim & 1)) * MANIFEST_ROOM, length: MANIFEST_ROOM };
}
