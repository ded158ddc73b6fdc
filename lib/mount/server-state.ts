// SPDX-License-Identifier: MIT
/**
 * What a server leaves to the next one of the same mount, in memory that outlives it: what
 * was agreed with the kernel, how the union is made up, the request in hand, the figures,
 * and the union's journal. The shim holds it (shim.ts).
 *
 *   page 0      the header (supervise/state-file.ts): agreed minor, flags, flags2, length of the manifest, number
 *               of the request in hand (2), how often it was begun, whether it was stuck, what it does between requests
 *   page 1      figures
 *   page 2      which layer is asked, and which do not answer (layer-watch.ts)
 *   64 KiB      manifest, JSON
 *   16 MiB      the message that is being served
 *   32 MiB      journal
 */
import { EFBIG } from '../base/errno.js';
import { IN_HEADER } from '../fuse/abi.js';
import { type Agreement, agreementOf, LARGEST_REQUEST } from '../fuse/init.js';
import { isChange, opcodeName, rows } from '../fuse/requests.js';
import { Journal } from '../overlay/journal/journal.js';
import { JOURNAL_SPACE, LEAST_JOURNAL_SPACE } from '../overlay/journal/region.js';
import { LAYER_WATCH_WORDS, LayerWatch, UPPER } from '../overlay/layers/layer-watch.js';
import type { UnionFacts } from '../overlay/open/resume.js';
import { OWN_WORDS, type Room, STATE_PAGE, StateFile, type StateKind } from '../supervise/state-file.js';
import { limitOf } from '../sys/programs.js';
import { createSharedMemory } from '../sys/shared-memory.js';
import type { MountConfig } from './config.js';

const FIGURES_AT = STATE_PAGE;
const MANIFEST_AT = 64 << 10;
const MESSAGE_AT = 16 << 20;
const JOURNAL_AT = 32 << 20;
const SIZE = JOURNAL_AT + JOURNAL_SPACE;

/** What is done between requests: nothing, going on with the mount of an earlier server, copies that nobody waits for. */
const WORK = ['no', 'resuming', 'copying'] as const;
export type Work = (typeof WORK)[number];
const BETWEEN_REQUESTS = 'work between requests';

const KIND: StateKind = {
  magic: 0x74736f76,
  format: 2,
  name: 'mount',
  remedy: 'unmount it and mount it again',
};
const MANIFEST: Room = { offset: MANIFEST_AT, length: MESSAGE_AT - MANIFEST_AT };

const Field = {
  MINOR: OWN_WORDS,
  FLAGS: OWN_WORDS + 1,
  FLAGS2: OWN_WORDS + 2,
  MANIFEST: OWN_WORDS + 3,
  UNIQUE: OWN_WORDS + 4,
  BEGUN: OWN_WORDS + 6,
  STUCK: OWN_WORDS + 7,
  WORK: OWN_WORDS + 8,
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

  private constructor(private readonly file: StateFile) {
    this.#header = file.words;
    const pages = file.map(FIGURES_AT, 2 * STATE_PAGE);
    this.figures = pages.subarray(0, STATE_PAGE);
    this.watch = new LayerWatch(
      new Int32Array(pages.buffer, pages.byteOffset + STATE_PAGE, LAYER_WATCH_WORDS),
    );
    const length = Math.ceil(LARGEST_REQUEST / STATE_PAGE) * STATE_PAGE;
    this.message = file.map(MESSAGE_AT, length).subarray(0, LARGEST_REQUEST);
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
    return new ServerState(StateFile.begin(fd, KIND));
  }

  /** The state that an earlier server has left. Throws an OverlayError for one that this version cannot read. */
  static open(fd: number): ServerState {
    return new ServerState(StateFile.open(fd, KIND));
  }

  get fd(): number {
    return this.file.fd;
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
    return this.file.readJson(MANIFEST, this.#header[Field.MANIFEST]);
  }

  set manifest(manifest: Manifest) {
    Atomics.store(this.#header, Field.MANIFEST, this.file.writeJson(MANIFEST, manifest));
  }

  /** This process is the server from now on. Answers the process id of the last one. */
  takeOver(): number {
    return this.file.takeOver();
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
    const row = this.#hasRequest ? rows[this.message.readUInt32LE(4)] : undefined;
    const mayChange = !this.#hasRequest || (row !== undefined && isChange(row));
    if (layer === UPPER && mayChange) this.watch.areChangesSuspended = true;
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
  for (let at = 0; at < bytes.length; at += STATE_PAGE) bytes[at] = Atomics.load(bytes, at);
}
