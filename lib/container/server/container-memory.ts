// SPDX-License-Identifier: MIT
/**
 * What a container's server leaves to the next one, in memory that outlives it (keeper.ts):
 *
 *   page 0   i32 magic, format, number of the keeper that counts, process id of the server, whether the
 *            container ends with the client that has started it, lengths of two manifests, number of clients
 *   1 MiB    manifest of keepers with even numbers, JSON
 *   2 MiB    the same for odd ones
 *
 * What a keeper holds is written down before it counts, so the one that does always fits what it holds.
 */
import { check, OverlayError } from '../../base/errors.js';
import { createSharedMemory, mapShared } from '../../sys/shared-memory.js';
import type { KeptProgram } from '../program/program.js';
import type { KeptResources } from './resources.js';

const PAGE = 4096;
const MANIFEST_ROOM = 1 << 20;
const SIZE = 3 * MANIFEST_ROOM;
const MAGIC = 0x74736f63;
/** Changes with everything that a server of another version would misread. */
const FORMAT = 1;
const Word = { MAGIC: 0, FORMAT: 1, KEEPER: 2, SERVER: 3, BOUND: 4, LENGTHS: 5, CLIENTS: 7 } as const;

export interface KeptExecution {
  /** By which its client finds it again. */
  key: string;
  isDetached: boolean;
  isTerminal: boolean;
  program: KeptProgram;
}

/** What a keeper holds, and what it is; descriptors are those of who is handed them. */
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

  private constructor(readonly fd: number) {
    const { buffer, byteOffset } = map(fd, 0, PAGE).bytes;
    this.#words = new Int32Array(buffer, byteOffset, PAGE / 4);
  }

  static make(): ContainerMemory {
    const story = { operation: 'keep the container' };
    const memory = new ContainerMemory(check(createSharedMemory('tsoverlay-container', SIZE), story));
    memory.#words[Word.MAGIC] = MAGIC;
    memory.#words[Word.FORMAT] = FORMAT;
    memory.#words[Word.SERVER] = process.pid;
    return memory;
  }

  /** What an earlier server has left. Throws an OverlayError for what this version cannot read. */
  static open(fd: number): ContainerMemory {
    const memory = new ContainerMemory(fd);
    const format = memory.#words[Word.FORMAT];
    if (memory.#words[Word.MAGIC] === MAGIC && format === FORMAT) return memory;
    throw new OverlayError({
      operation: 'go on with the container',
      reason: `its state has format ${format}, this version reads ${FORMAT}`,
      remedy: 'stop it and start it again',
    });
  }

  /** The number of the keeper that counts. */
  get keeper(): number {
    return this.#words[Word.KEEPER];
  }

  set keeper(number: number) {
    Atomics.store(this.#words, Word.KEEPER, number);
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
    const last = this.#words[Word.SERVER];
    this.#words[Word.SERVER] = process.pid;
    return last;
  }

  writeManifest(keeper: number, manifest: ContainerManifest): void {
    const text = Buffer.from(JSON.stringify(manifest));
    if (text.length > MANIFEST_ROOM)
      throw new OverlayError({ operation: 'keep the container', reason: 'too much runs in it' });
    const window = map(this.fd, manifestAt(keeper), MANIFEST_ROOM);
    text.copy(window.bytes);
    window.unmap();
    this.#words[Word.LENGTHS + (keeper & 1)] = text.length;
  }

  /** The manifest of the keeper that counts. */
  readManifest(): ContainerManifest {
    const window = map(this.fd, manifestAt(this.keeper), MANIFEST_ROOM);
    try {
      const length = this.#words[Word.LENGTHS + (this.keeper & 1)];
      return JSON.parse(window.bytes.toString('utf8', 0, length)) as ContainerManifest;
    } finally {
      window.unmap();
    }
  }
}

const manifestAt = (keeper: number): number => (1 + (keeper & 1)) * MANIFEST_ROOM;

function map(fd: number, offset: number, length: number): Exclude<ReturnType<typeof mapShared>, number> {
  const window = mapShared(fd, offset, length);
  if (typeof window !== 'number') return window;
  throw new OverlayError({ operation: 'map the state of the container', errno: window });
}
