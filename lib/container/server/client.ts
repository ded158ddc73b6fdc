// SPDX-License-Identifier: MIT
/** The commands' side of a container's server: starting one, and talking to it. */
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type OverlayError, UsageError } from '../../base/errors.js';
import { ServerProcess } from '../../mount/server-process.js';
import type { TerminalSize } from '../../sys/terminals.js';
import { ContainerFailure } from '../failure.js';
import type { Container } from '../state/containers.js';
import { FrameChannel, type StreamName } from './frames.js';
import { type ClientMessage, type ServerMessage, socketPath } from './protocol.js';
import { SMALL_PROCESS_ENVIRONMENT, SMALL_PROCESS_FLAGS } from './small-process.js';

let prepared: ServerProcess | undefined;

/** Starts a server that waits for its container, so that it and the command that asks start side by side. */
export function prepareContainerServer(): void {
  prepared ??= startServer();
}

/** Ends a prepared server that nobody asked for anything. */
export async function discardPreparedContainerServer(): Promise<void> {
  const server = prepared;
  prepared = undefined;
  await server?.discard();
}

function startServer(): ServerProcess {
  const main = fileURLToPath(new URL('./server-main.js', import.meta.url));
  const small = { flags: SMALL_PROCESS_FLAGS, environment: SMALL_PROCESS_ENVIRONMENT };
  return ServerProcess.started() ?? ServerProcess.start(main, small);
}

function toFailure({ usage, story, code }: ServerMessage & { kind: 'failed' }): Error {
  if (usage) return new UsageError(story.reason ?? '', story.remedy);
  return new ContainerFailure(story, code);
}

/** A conversation with a server. */
export class ContainerClient {
  #waiting: { resolve: () => void; reject: (failure: Error) => void } | undefined;
  #failure: Error | undefined;
  #code: number | undefined;
  #ended: (() => void) | undefined;
  #take: ((stream: StreamName, bytes: Buffer) => boolean) | undefined;

  private constructor(
    private readonly channel: FrameChannel,
    private readonly name: string,
  ) {
    channel.listen({
      message: (value) => this.#hear(value as ServerMessage),
      bytes: (stream, bytes) => {
        if (this.#take?.(stream, bytes) === false) channel.setPaused(true);
      },
      closed: () => {
        this.#failure ??= this.#lost();
        this.#waiting?.reject(this.#failure);
        this.#ended?.();
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
    take?: (stream: StreamName, bytes: Buffer) => boolean,
    { size, bound = false }: { size?: TerminalSize | undefined; bound?: boolean } = {},
  ): Promise<ContainerClient> {
    const server = prepared ?? startServer();
    prepared = undefined;
    server.leave();
    const client = new ContainerClient(new FrameChannel(await server.channel), name);
    client.#take = take;
    const { id, store } = container;
    await client.ask({ op: 'start', root: store.root, id, attach: take !== undefined, bound, size });
    return client;
  }

  /** Connects to the server of a container that runs. Throws an OverlayError where none answers. */
  static async connect(
    container: Container,
    name: string,
    take?: (stream: StreamName, bytes: Buffer) => boolean,
  ): Promise<ContainerClient> {
    const socket = connect(socketPath(container.id));
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (cause) => reject(notRunning(name, cause)));
    });
    const client = new ContainerClient(new FrameChannel(socket), name);
    client.#take = take;
    return client;
  }

  #hear(message: ServerMessage): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    switch (message.kind) {
      case 'done':
        waiting?.resolve();
        break;
      case 'failed':
        // What was only told, a signal to one that has just ended, fails unheard.
        waiting?.reject(toFailure(message));
        break;
      case 'exited':
        this.#code = message.code;
        waiting?.resolve();
        this.#ended?.();
        break;
    }
  }

  #lost(): Error {
    return new ContainerFailure({
      operation: 'talk to container',
      path: this.name,
      reason: 'its server is gone',
      remedy: `see \`tsoverlay ps -a\`, and start it again with \`tsoverlay start ${this.name}\``,
    });
  }

  /** Asks, and settles when it is done or the container has ended over it. */
  ask(message: ClientMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#waiting = { resolve, reject };
      this.channel.send(message);
    });
  }

  /** Sends what is not answered. */
  tell(message: ClientMessage): void {
    this.channel.send(message);
  }

  /** Answers false where the program reads slowly. */
  sendInput(bytes: Uint8Array): boolean {
    return this.channel.sendBytes('stdin', bytes);
  }

  drained(callback: () => void): void {
    this.channel.drained(callback);
  }

  /** The command can take more again. */
  goOn(): void {
    this.channel.setPaused(false);
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
    this.channel.destroy();
  }
}

function notRunning(name: string, cause: unknown): OverlayError {
  return new ContainerFailure({
    operation: 'reach container',
    path: name,
    reason: 'it is not running',
    remedy: `start it with \`tsoverlay start ${name}\``,
    cause,
  });
}
