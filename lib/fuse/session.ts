// SPDX-License-Identifier: MIT
/**
 * A session turns messages into replies, byte in and byte out; it knows no
 * device. Every request gets exactly one reply, except those that the protocol
 * leaves without. A handler that throws costs its request an EIO and a log line.
 */
import { fuseDebug } from '../base/debug.js';
import { EINVAL, EIO, ENOSYS, EPERM, errnoName } from '../base/errno.js';
import { Stat } from '../sys/stat.js';
import { INIT_OUT, Opcode, OUT_HEADER } from './abi.js';
import type { FileSystem, Requester } from './file-system.js';
import { type Agreement, LARGEST_REQUEST, negotiate, type SessionChoices } from './init.js';
import { Message } from './message.js';
import { type EntryOut, Reply } from './reply.js';
import { isChange, opcodeName, type Row, rows } from './requests.js';
import type { ServeContext } from './serve-context.js';

/** Called for an exception in a handler: the opcode's name and what was thrown. */
export type FaultReport = (request: string, fault: unknown) => void;

/** Counts by opcode, where another thread can read them. */
export type RequestCounts = Float64Array;
export const COUNTED_OPCODES = 64;

export class Session implements ServeContext {
  readonly message: Message;
  readonly reply: Reply;
  readonly #entry: EntryOut = { nodeId: 0, stat: new Stat() };
  readonly requester: Requester = { uid: 0, gid: 0, pid: 0, umask: 0 };
  agreement: Agreement | null = null;
  /** Called with what was agreed, before the kernel hears of it. */
  agreed: (agreement: Agreement) => void = () => undefined;
  /** Makes the kernel ask for a node's attributes again; set by the serving loop, which has the device. */
  attributesChanged: (node: number) => void = () => undefined;

  constructor(
    readonly fileSystem: FileSystem,
    private readonly counts: RequestCounts,
    private readonly reportFault: FaultReport,
    private readonly choices: SessionChoices = {},
  ) {
    const { buffer, timeout, generation } = choices;
    this.message = new Message(buffer ?? Buffer.allocUnsafeSlow(LARGEST_REQUEST));
    this.reply = new Reply(Buffer.allocUnsafeSlow(LARGEST_REQUEST), timeout, generation);
  }

  /**
   * Serves the message of `length` bytes in `message.buffer`. Answers how many
   * bytes of `reply.buffer` to send, 0 for none.
   */
  serve(length: number): number {
    const { message } = this;
    if (!message.begin(length)) return 0;
    const { opcode } = message;
    this.requester.uid = message.uid;
    this.requester.gid = message.gid;
    this.requester.pid = message.pid;
    if (opcode < COUNTED_OPCODES) this.counts[opcode]++;
    this.fileSystem.begin?.(message.unique, message.uniqueHigh);
    const row = rows[opcode];
    if (row?.kind === 'tells') {
      this.#hear(row);
      this.fileSystem.finish?.(0, 0);
      if (fuseDebug.enabled) this.#trace(opcode, 'no reply');
      return 0;
    }
    const result = opcode === Opcode.INIT ? this.#initialize() : this.#answer(row);
    const made = row?.kind === 'makes' && result >= 0 ? this.#entry.nodeId : 0;
    this.fileSystem.finish?.(Math.min(result, 0), made);
    if (fuseDebug.enabled) this.#trace(opcode, result < 0 ? errnoName(result) : `${result} bytes`);
    return this.finish(result);
  }

  /** Serves a request that wants no reply. */
  #hear(row: Row & { kind: 'tells' }): void {
    if (this.agreement === null || this.message.bodyLength < row.minimum) return;
    try {
      row.serve(this, this.message);
    } catch (fault) {
      this.reportFault(row.name, fault);
    }
  }

  /** Answers the length of the reply's body or a negated errno. */
  #answer(row: Exclude<Row, { kind: 'tells' }> | undefined): number {
    const { message } = this;
    if (this.agreement === null) return -EPERM;
    if (row === undefined) return -ENOSYS;
    if (message.bodyLength < row.minimum) return -EINVAL;
    if (isChange(row) && this.fileSystem.takesNoChanges?.() === true) return -EIO;
    try {
      return row.serve(this, message, this.reply, this.#entry);
    } catch (fault) {
      this.reportFault(row.name, fault);
      return -EIO;
    }
  }

  #initialize(): number {
    if (this.message.bodyLength < 16) return -EINVAL;
    const agreement = negotiate(this.message, this.reply, this.choices);
    if (typeof agreement === 'number') return agreement;
    this.agreement = agreement;
    this.agreed(agreement);
    return INIT_OUT;
  }

  /** Puts the header before a reply whose body is in place, or which is a negated errno. Answers how long it is. */
  finish(result: number): number {
    const { view, buffer } = this.reply;
    const length = OUT_HEADER + Math.max(result, 0);
    view.setUint32(0, length, true);
    view.setInt32(4, Math.min(result, 0), true);
    // `unique` goes back as it came.
    this.message.buffer.copy(buffer, 8, 8, 16);
    return length;
  }

  #trace(opcode: number, answer: string): void {
    const name = opcodeName(opcode);
    const { unique, nodeId, bodyLength } = this.message;
    fuseDebug('%d: %s node %d, %d bytes -> %s', unique, name, nodeId, bodyLength, answer);
  }
}
