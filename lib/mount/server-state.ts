// SPDX-License-Identifier: MIT
/**
 * What a server leaves to the next one of the same mount, in memory that outlives it: what
 * was agreed with the kernel, how the union is made up, the request in hand, the figures,
 * and the union's journal. The keeper holds it (keeper.ts).
 *
 *   page 0      i32 magic, format, agreed minor, flags, flags2, length of the manifest,
 *               number of the request in hand (2), how often it was begun, server's process id,
 *               whether it was stuck, what it does between requests
 *   page 1      figures
 *   page 2      which layer is asked, and which do not answer (layer-watch.ts)
 *   64 KiB      manifest, JSON
 *   16 MiB      the message that is being served
 *   32 MiB      journal
 */
import { EFBIG } from '../base/errno.js';
import { OverlayError } from '../base/errors.js';
import { IN_HEADER } from '../fuse/abi.js';
import { type Agreement, agreementOf, LARGEST_REQUEST } from '../fuse/init.js';
import { opcodeName, rows } from '../fuse/requests.js';
import { Journal } from '../overlay/journal/journal.js';
import { JOURNAL_SPACE, LEAST_JOURNAL_SPACE } from '../overlay/journal/region.js';
import { LAYER_WATCH_WORDS, LayerWatch, UPPER } from '../overlay/layers/layer-watch.js';
import type { UnionFacts } from '../overlay/open/resume.js';
import { limitOf } from '../sys/programs.js';
import { createSharedMemory, mapShared, type SharedWindow } from '../sys/shared-memory.js';
import type { MountConfig } from './config.js';

const PAGE = 4096;
const FIGURES_AT = PAGE;
const WATCH_AT = 2 * PAGE;
const MANIFEST_AT = 64 << 10;
const MESSAGE_AT = 16 << 20;
const JOURNAL_AT = 32 << 20;
const SIZE = JOURNAL_AT + JOURNAL_SPACE;

/** What is done between requests: nothing, going on with the mount of an earlier server, copies that nobody waits for. */
const WORK = ['no', 'resuming', 'copying'] as const;
export type Work = (typeof WORK)[number];
const BETWEEN_REQUESTS = 'work between requests';

const MAGIC = 0x74736f76;
/** Changes with everything that a server of another version would misread. */
export const STATE_FORMAT = 1;

const Field = {
  MAGIC: 0,
  FORMAT: 1,
  MINOR: 2,
  FLAGS: 3,
  FLAGS2: 4,
  MANIFEST: 5,
  UNIQUE: 6,
  BEGUN: 8,
  SERVER: 9,
  STUCK: 10,
  WORK: 11,
} as const;

/** How a mount is made up: what a new server cannot find out by itself. */
export interface Manifest {
  config: MountConfig;
  union: UnionFacts;
  /** How many descriptors the union is made of. */
  descriptors: number;
  /** When it was mounted, ISO 8601. */
  since: string;
}

export class ServerState {
  readonly #header: Int32Array;
  /** Figures, for SharedFigures. */
  readonly figures: Buffer;
  /** Where requests are read to. */
  readonly message: Buffer;
  readonly watch: LayerWatch;

  private constructor(readonly fd: number) {
    const first = map(fd, 0, 3 * PAGE);
    this.#header = new Int32Array(first.buffer, first.byteOffset, PAGE / 4);
    this.figures = first.subarray(FIGURES_AT, FIGURES_AT + PAGE);
    this.watch = new LayerWatch(new Int32Array(first.buffer, first.byteOffset + WATCH_AT, LAYER_WATCH_WORDS));
    const length = Math.ceil(LARGEST_REQUEST / PAGE) * PAGE;
    this.message = map(fd, MESSAGE_AT, length).subarray(0, LARGEST_REQUEST);
    touch(this.message);
  }

  /** Makes the memory, as large as this process may; answers its descriptor, or a negated errno where the system has none to give. */
  static create(): number {
    const { soft } = limitOf('FSIZE');
    const size = soft < 0 ? SIZE : Math.min(SIZE, soft);
    return size < JOURNAL_AT + LEAST_JOURNAL_SPACE ? -EFBIG : createSharedMemory('tsoverlay', size);
  }

  /** The state of a mount that begins. */
  static begin(fd: number): ServerState {
    const state = new ServerState(fd);
    state.#header[Field.MAGIC] = MAGIC;
    state.#header[Field.FORMAT] = STATE_FORMAT;
    return state;
  }

  /** The state that an earlier server has left. Throws an OverlayError for one that this version cannot read. */
  static open(fd: number): ServerState {
    const state = new ServerState(fd);
    const format = state.#header[Field.FORMAT];
    if (state.#header[Field.MAGIC] === MAGIC && format === STATE_FORMAT) return state;
    throw new OverlayError({
      operation: 'go on with the mount',
      reason: `its state has format ${format}, this version reads ${STATE_FORMAT}`,
      remedy: 'unmount it and mount it again',
    });
  }

  journal(): Journal {
    return Journal.open(this.fd, JOURNAL_AT);
  }

  get agreement(): Agreement | null {
    const minor = this.#header[Field.MINOR];
    if (minor === 0) return null;
    return agreementOf(minor, this.#header[Field.FLAGS] >>> 0, this.#header[Field.FLAGS2] >>> 0);
  }

  /** To be set before the kernel hears of it. */
  set agreement(agreement: Agreement | null) {
    if (agreement === null) return;
    this.#header[Field.FLAGS] = agreement.flags;
    this.#header[Field.FLAGS2] = agreement.flags2;
    Atomics.store(this.#header, Field.MINOR, agreement.minor);
  }

  get manifest(): Manifest {
    const length = this.#header[Field.MANIFEST];
    const text = this.#withManifest((room) => room.toString('utf8', 0, length));
    return JSON.parse(text) as Manifest;
  }

  set manifest(manifest: Manifest) {
    const text = Buffer.from(JSON.stringify(manifest));
    if (text.length > MESSAGE_AT - MANIFEST_AT) {
      throw new OverlayError({ operation: 'keep the list of layers', reason: 'it is too long' });
    }
    this.#withManifest((room) => text.copy(room));
    Atomics.store(this.#header, Field.MANIFEST, text.length);
  }

  /** This process is the server from now on. Answers the process id of the last one. */
  takeOver(pid: number): number {
    const last = this.#header[Field.SERVER];
    this.#header[Field.SERVER] = pid;
    return last;
  }

  #withManifest<T>(use: (room: Buffer) => T): T {
    const window = mapWindow(this.fd, MANIFEST_AT, MESSAGE_AT - MANIFEST_AT);
    try {
      return use(window.bytes);
    } finally {
      window.unmap();
    }
  }

  /** What tells the request that is being served from others, and from work that nobody waits for; '' at rest. */
  get workInHand(): string {
    if (this.#hasRequest) return this.message.subarray(0, IN_HEADER).toString('latin1');
    return this.atWork === 'no' ? '' : BETWEEN_REQUESTS;
  }

  get #hasRequest(): boolean {
    return this.message.readUInt32LE(0) !== 0;
  }

  /** The name of what is being done. */
  get workName(): string {
    return this.#hasRequest ? opcodeName(this.message.readUInt32LE(4)) : BETWEEN_REQUESTS;
  }

  get atWork(): Work {
    return WORK[this.#header[Field.WORK]];
  }

  set atWork(work: Work) {
    Atomics.store(this.#header, Field.WORK, WORK.indexOf(work));
  }

  /** This server goes on; it asks the upper first. */
  beginResuming(): void {
    this.watch.ask(UPPER);
    this.atWork = 'resuming';
  }

  /** The server is stuck in what it does: the next one is not to try it. */
  markStuck(): void {
    Atomics.store(this.#header, Field.STUCK, 1);
    const layer = this.watch.last;
    const changes = !this.#hasRequest || rows[this.message.readUInt32LE(4)]?.changes === true;
    if (layer === UPPER && changes) this.watch.areChangesSuspended = true;
    else this.watch.suspend(layer);
  }

  /** Whether the last server was stuck in the request in hand; asked once. */
  takeStuck(): boolean {
    return Atomics.exchange(this.#header, Field.STUCK, 0) === 1;
  }

  /** A server takes a request up that an earlier one did not finish. Answers how many have begun it, this one included. */
  beginAgain(unique: number, uniqueHigh: number): number {
    const known =
      this.#header[Field.UNIQUE] === (unique | 0) && this.#header[Field.UNIQUE + 1] === uniqueHigh;
    this.#header[Field.UNIQUE] = unique;
    this.#header[Field.UNIQUE + 1] = uniqueHigh;
    // The first server to begin it did not count itself.
    this.#header[Field.BEGUN] = known ? this.#header[Field.BEGUN] + 1 : 2;
    return this.#header[Field.BEGUN];
  }
}

/**
 * Brings pages into this process before they are needed. The kernel fills the buffer after it has taken a
 * request from its queue; a page that it had to bring in then, for a process that is being killed, would
 * fail the request with EIO (fuse_dev_do_read, fuse_copy_fill).
 */
function touch(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += PAGE) bytes[at] = Atomics.load(bytes, at);
}

function map(fd: number, offset: number, length: number): Buffer {
  return mapWindow(fd, offset, length).bytes;
}

function mapWindow(fd: number, offset: number, length: number): SharedWindow {
  const window = mapShared(fd, offset, length);
  if (typeof window !== 'number') return window;
  throw new OverlayError({ operation: 'map the state of the mount', errno: window });
}
