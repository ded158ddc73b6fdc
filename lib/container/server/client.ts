// SPDX-License-Identifier: MIT
/**
 * The commands' side of a container's server: starting one, and talking to it. When the server ends and the
 * container does not, the client goes on with the next one: it has every byte once, and what it was told to ask
 * is asked again where that does no harm.
 */
import { decodeError } from '../../supervise/error-wire.js';
import type { TerminalSize } from '../../sys/terminals.js';
import type { Container } from '../state/containers.js';
import { ContainerFailure } from '../state/failure.js';
import type { FrameChannel, StreamName } from '../wire/frames.js';
import { type ClientMessage, OWN_PROGRAM, type Received, type ServerMessage } from '../wire/protocol.js';
import { connectServer, exitCodeOf } from './connecting.js';
import { SentInput } from './sent-input.js';
import { openServer, ServerLost, startAnew } from './starting.js';

type Take = (stream: StreamName, bytes: Buffer) => boolean;

/** Idempotent: safe to ask the next server again. */
const REPEATED: readonly ClientMessage['op'][] = ['attach', 'stop', 'pause', 'unpause'];

/** A conversation with a server. */
export class ContainerClient {
  #channel: FrameChannel;
  #waiting: { resolve: () => void; reject: (failure: Error) => void } | undefined;
  #failure: Error | undefined;
  #code: number | undefined;
  /** How the container will have ended. */
  #announced: number | undefined;
  /** When the container was started last before this client had it started. */
  #startedBefore: string | undefined;
  #ended: (() => void) | undefined;
  /** What was asked or told last and holds until the end. */
  #asked: ClientMessage | undefined;
  /** Of the program whose streams this client has, if any. */
  #key: string | undefined;
  #isBound = false;
  #isClosed = false;
  #isRejoining = false;
  #drained: (() => void)[] = [];
  readonly #typist = 1 + Math.floor(Math.random() * 0x7ffffffe);
  readonly #received: Received = { stdout: 0, stderr: 0 };
  readonly #sent = new SentInput();

  private constructor(
    channel: FrameChannel,
    private readonly container: Container,
    private readonly name: string,
    private readonly take: Take | undefined,
  ) {
    this.#channel = channel;
    this.#listen();
  }

  #listen(): void {
    const channel = this.#channel;
    channel.listen({
      message: (value) => this.#hear(value as ServerMessage),
      bytes: (stream, bytes) => {
        if (stream !== 'stdin') this.#received[stream] += bytes.length;
        if (this.take?.(stream, bytes) === false) channel.setPaused(true);
      },
      closed: () => {
        if (!this.#isClosed && this.#code === undefined && this.#failure === undefined) void this.#rejoin();
      },
    });
  }

  /**
   * Starts a container; settles when it runs. `take` is given what it writes. With `bound`
   * it is killed and removed when this process goes before it. Throws a ContainerFailure.
   */
  static async start(
    container: Container,
    name: string,
    take?: Take,
    { size, bound = false }: { size?: TerminalSize | undefined; bound?: boolean } = {},
  ): Promise<ContainerClient> {
    return startAnew(container, () => ContainerClient.#tryStart(container, name, take, { size, bound }));
  }

  static async #tryStart(
    container: Container,
    name: string,
    take: Take | undefined,
    { size, bound }: { size: TerminalSize | undefined; bound: boolean },
  ): Promise<ContainerClient> {
    const client = new ContainerClient(await openServer(name), container, name, take);
    const { id, store } = container;
    const attach = take !== undefined;
    if (attach) client.#key = OWN_PROGRAM;
    client.#isBound = bound;
    client.#startedBefore = container.tryReadState()?.startedAt;
    const typist = client.#typist;
    await client.ask({ op: 'start', root: store.root, id, attach, bound, size, typist });
    return client;
  }

  /** Connects to the server of a container that runs. Throws an OverlayError where none answers. */
  static async connect(container: Container, name: string, take?: Take): Promise<ContainerClient> {
    return new ContainerClient(await connectServer(container, name), container, name, take);
  }

  #hear(message: ServerMessage): void {
    switch (message.kind) {
      case 'done':
        if (message.before !== undefined) Object.assign(this.#received, message.before);
        if (this.#asked?.op === 'attach') this.#key = OWN_PROGRAM;
        this.#asked = undefined;
        this.#settle();
        break;
      case 'failed':
        this.#fail(decodeError(message.failure, (story, code) => new ContainerFailure(story, code)));
        break;
      case 'taken':
        this.#sent.taken = message.count;
        break;
      case 'rejoined':
        this.#rejoined(message.taken);
        break;
      case 'notice':
        process.stderr.write(`tsoverlay: ${message.text}\n`);
        break;
      case 'ending':
        this.#announced = message.code;
        break;
      case 'exited':
        this.#finish(message.code);
        break;
    }
  }

  #settle(failure?: Error): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (failure === undefined) waiting?.resolve();
    else waiting?.reject(failure);
  }

  /** What was only told, a signal to one that has just ended, fails unheard. */
  #fail(failure: Error): void {
    if (this.#isRejoining || this.#asked?.op === 'start') this.#lose(failure);
    else this.#settle(failure);
  }

  #finish(code: number): void {
    this.#code = code;
    this.#settle();
    this.#ended?.();
  }

  #lose(failure: Error): void {
    this.#failure = failure;
    this.#settle(failure);
    this.#ended?.();
  }

  /** The server is gone; where another one takes its place, it is talked to. */
  async #rejoin(): Promise<void> {
    this.#isRejoining = true;
    try {
      this.#channel = await connectServer(this.container, this.name);
    } catch {
      // The container has ended meanwhile, or was lost with its server.
      await this.#learnEnd();
      return;
    }
    this.#listen();
    if (this.#key === undefined) this.#askAgain();
    else {
      const { taken } = this.#sent;
      const typist = this.#typist;
      this.#channel.send({
        op: 'rejoin',
        key: this.#key,
        received: this.#received,
        taken,
        bound: this.#isBound,
        typist,
      } satisfies ClientMessage);
    }
  }

  async #learnEnd(): Promise<void> {
    const isOwn = this.#key === OWN_PROGRAM || this.#key === undefined;
    try {
      const code = isOwn
        ? (this.#announced ?? (await exitCodeOf(this.container, this.#startedBefore)))
        : undefined;
      if (code === undefined) this.#lose(new ServerLost(this.name));
      else this.#finish(code);
    } catch (failure) {
      this.#lose(failure as Error);
    }
  }

  #rejoined(taken: number): void {
    this.#sent.taken = taken;
    for (const bytes of this.#sent.rest()) this.#channel.sendBytes('stdin', bytes);
    this.#askAgain();
  }

  #askAgain(): void {
    this.#isRejoining = false;
    for (const callback of this.#drained.splice(0)) this.drained(callback);
    const asked = this.#asked;
    if (asked === undefined) return;
    if (REPEATED.includes(asked.op)) this.#channel.send(asked);
    // It runs: whoever asked for that is answered by there being somebody to talk to.
    else if (asked.op === 'start' || (asked.op === 'exec' && this.#key !== undefined)) this.#settle();
    else this.#settle(this.#unknown());
  }

  #unknown(): Error {
    return new ContainerFailure({
      operation: 'ask container',
      path: this.name,
      reason: 'its server ended meanwhile, and another one took its place: it may have been done or not',
      remedy: 'ask again',
    });
  }

  /** Runs a program beside the container's own, and has its streams if `detach` is not set. */
  async execute(request: (ClientMessage & { op: 'exec' })['request'], detach: boolean): Promise<void> {
    const key = `${process.pid}-${this.#typist}`;
    if (!detach) this.#key = key;
    await this.ask({ op: 'exec', key, request, detach, typist: this.#typist });
  }

  /** Has the streams of the container's own program from now on. */
  attach(size: TerminalSize | undefined): Promise<void> {
    return this.ask({ op: 'attach', size, typist: this.#typist });
  }

  /** Asks, and settles when it is done or the container has ended over it. */
  ask(message: ClientMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#waiting = { resolve, reject };
      this.#asked = message;
      this.#channel.send(message);
    });
  }

  /** Sends what is not answered. */
  tell(message: ClientMessage): void {
    if (REPEATED.includes(message.op)) this.#asked = message;
    this.#channel.send(message);
  }

  /** Answers false where the program reads slowly. An empty piece is the end. */
  sendInput(bytes: Buffer): boolean {
    this.#sent.add(bytes);
    return !this.#isRejoining && this.#channel.sendBytes('stdin', bytes);
  }

  drained(callback: () => void): void {
    if (this.#isRejoining) this.#drained.push(callback);
    else this.#channel.drained(callback);
  }

  /** The command can take more again. */
  readOn(): void {
    this.#channel.setPaused(false);
  }

  /** Settles with the exit code. Throws a ContainerFailure where the server goes without one. */
  async exited(): Promise<number> {
    if (this.#code === undefined && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#ended = resolve;
      });
    }
    if (this.#code !== undefined) return this.#code;
    throw this.#failure!;
  }

  close(): void {
    this.#isClosed = true;
    this.#channel.destroy();
  }
}
