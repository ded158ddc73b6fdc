// SPDX-License-Identifier: MIT
/** One client of a container's server, from its request to its end. */
import { OverlayError } from '../../base/errors.js';
import { encodeError } from '../../supervise/error-wire.js';
import { STREAMS } from '../program/log-file.js';
import type { Joinable } from '../program/program.js';
import { ContainerFailure } from '../state/failure.js';
import type { FrameChannel } from '../wire/frames.js';
import {
  type ClientMessage,
  type ExecMessage,
  OWN_PROGRAM,
  type Received,
  type ServerMessage,
} from '../wire/protocol.js';
import type { Execution } from './execution.js';
import type { ContainerServer } from './server.js';

/** Bytes; of what a client is sent again. */
const PIECE = 65536;

/** A failure as clients are told it. */
export function failureMessage(failure: unknown): ServerMessage {
  return { kind: 'failed', failure: encodeError(failure, 'serve the container') };
}

export class ClientSession {
  /** Whose streams this client has, if any. */
  #joined: Joinable | undefined;
  #closeOnLeave: (() => void) | undefined;
  #typist = 0;
  /** How much of what it has sent was taken. */
  #typed = 0;

  constructor(
    private readonly server: ContainerServer,
    private readonly channel: FrameChannel,
    private readonly left: () => void,
  ) {}

  listen(): void {
    this.channel.listen({
      message: (value) => {
        this.#answer(value as ClientMessage).catch((failure) => this.#send(failureMessage(failure)));
      },
      bytes: (stream, bytes) => {
        if (stream === 'stdin') this.#type(bytes);
      },
      closed: () => {
        this.#joined?.outlet.remove(this.channel);
        this.#closeOnLeave?.();
        this.left();
      },
    });
  }

  /** What is taken is in the program's memory, whatever becomes of this process. */
  #type(bytes: Buffer): void {
    const streams = this.#joined?.streams;
    if (bytes.length === 0) {
      streams?.endInput();
      return;
    }
    const { memory } = this.#joined ?? {};
    if (memory?.inputFrom(this.#typist) !== this.#typed) memory?.beginTyping(this.#typist, this.#typed);
    if (streams?.write(bytes, () => this.channel.setPaused(false)) === false) this.channel.setPaused(true);
    this.#typed += bytes.length;
    this.#send({ kind: 'taken', count: this.#typed });
  }

  /** What the container writes goes to this client, and what it sends to the container. */
  attach(typist: number): void {
    this.#typist = typist;
    this.#join(this.server.own);
  }

  #join(joinable: Joinable): void {
    this.#joined = joinable;
    joinable.outlet.add(this.channel);
  }

  /** The container ends when this client goes. */
  bind(): void {
    const { binding } = this.server;
    if (this.channel.closed) {
      binding.abandon();
      return;
    }
    binding.bind(this);
    this.#closeOnLeave = () => binding.abandon();
  }

  #send(message: ServerMessage): void {
    this.channel.send(message);
  }

  #done(): void {
    this.#send({ kind: 'done' });
  }

  /** Says how the container ends, for the case that this process does not come further. */
  ending(code: number): void {
    this.#send({ kind: 'ending', code });
  }

  /** Says how it ended, and hangs up. */
  exited(code: number): Promise<void> {
    this.#send({ kind: 'exited', code });
    return this.channel.end();
  }

  async #answer(message: ClientMessage): Promise<void> {
    switch (message.op) {
      case 'attach': {
        this.attach(message.typist);
        if (message.size !== undefined) this.#joined?.streams?.resize(message.size);
        const { stdout, stderr } = this.server.own.memory.output;
        this.#send({ kind: 'done', before: { stdout: stdout.end, stderr: stderr.end } });
        return;
      }
      case 'rejoin':
        this.#rejoin(message);
        return;
      case 'exec':
        await this.#execute(message);
        return;
      case 'resize':
        this.#joined?.streams?.resize(message.size);
        return;
      case 'signal':
        this.server.controls.signal(message.signal);
        break;
      case 'stop':
        await this.server.controls.stop(message.seconds);
        return;
      case 'pause':
        await this.server.controls.pause();
        break;
      case 'unpause':
        await this.server.controls.unpause();
        break;
      default:
        throw new OverlayError({
          operation: 'ask the container',
          reason: 'its server knows no such request',
        });
    }
    this.#done();
  }

  async #execute(wanted: ExecMessage): Promise<void> {
    this.#typist = wanted.typist;
    const execution = await this.server.executions.begin(wanted, (begun) => {
      if (!wanted.detach) this.#joinExecution(begun);
    });
    this.#done();
    const code = await execution.ended;
    if (!wanted.detach) await this.exited(code);
  }

  #joinExecution({ program, isTerminal }: Execution): void {
    this.#join(program);
    // Hanging up hangs up a terminal; what has pipes goes on without being heard.
    if (isTerminal) this.#closeOnLeave = () => this.server.executions.hangUp(program);
  }

  /** A client that another server of the container had. */
  #rejoin({ key, received, taken, bound, typist }: ClientMessage & { op: 'rejoin' }): void {
    const execution = this.server.executions.get(key);
    const joinable = key === OWN_PROGRAM ? this.server.own : execution?.program;
    if (joinable === undefined) {
      throw new ContainerFailure({
        operation: 'run in container',
        path: this.server.config.name,
        reason: 'its server ended before the program was there, or long after it was',
        remedy: 'run it again',
      });
    }
    this.#typist = typist;
    this.#typed = joinable.memory.inputFrom(typist) ?? taken;
    this.#send({ kind: 'rejoined', taken: this.#typed });
    this.#sendAgain(joinable, received);
    if (execution === undefined) this.#join(joinable);
    else this.#joinExecution(execution);
    if (bound) this.bind();
    void execution?.ended.then((code) => this.exited(code));
  }

  #sendAgain({ memory }: Joinable, received: Received): void {
    for (const stream of STREAMS) {
      const journal = memory.output[stream];
      for (let at = received[stream]; at < journal.end; at += PIECE)
        this.channel.sendBytes(stream, journal.read(at, Math.min(at + PIECE, journal.end)));
    }
  }
}
