// SPDX-License-Identifier: MIT
/** One client of a container's server, from its request to its end. */
import { OverlayError, UsageError } from '../../base/errors.js';
import { CODE_FAILED, ContainerFailure } from '../failure.js';
import { execute } from './execution.js';
import type { FrameChannel } from './frames.js';
import type { ProgramStreams } from './program-streams.js';
import type { ClientMessage, ServerMessage } from './protocol.js';
import type { ContainerServer } from './server.js';

/** A failure as clients are told it. */
export function failureMessage(failure: unknown): ServerMessage {
  const error = failure instanceof OverlayError ? failure : undefined;
  const { operation = 'serve the container', path, layer, errno, remedy } = error ?? {};
  const reason = error === undefined ? ((failure as Error)?.stack ?? String(failure)) : error.reason;
  const code = failure instanceof ContainerFailure ? failure.exitCode : CODE_FAILED;
  const story = { operation, path, layer, errno, reason, remedy };
  return { kind: 'failed', usage: failure instanceof UsageError, story, code };
}

export class ClientSession {
  /** Whose input and terminal this client has, if any. */
  #streams: (() => ProgramStreams | undefined) | undefined;
  #closeOnLeave: (() => void) | undefined;

  constructor(
    private readonly server: ContainerServer,
    private readonly channel: FrameChannel,
  ) {}

  listen(): void {
    this.channel.listen({
      message: (value) => {
        this.#answer(value as ClientMessage).catch((failure) => this.channel.send(failureMessage(failure)));
      },
      bytes: (stream, bytes) => {
        if (stream !== 'stdin') return;
        const streams = this.#streams?.();
        if (bytes.length === 0) streams?.endInput();
        else if (streams?.write(bytes, () => this.channel.setPaused(false)) === false)
          this.channel.setPaused(true);
      },
      closed: () => {
        this.server.outlet.remove(this.channel);
        this.#closeOnLeave?.();
      },
    });
  }

  /** What the container writes goes to this client, and what it sends to the container. */
  attach(): void {
    this.#streams = () => this.server.streams;
    this.server.outlet.add(this.channel);
  }

  /** The container ends when this client goes. */
  bind(): void {
    this.#closeOnLeave = () => void this.server.stop(0);
  }

  #done(): void {
    this.channel.send({ kind: 'done' } satisfies ServerMessage);
  }

  /** Says how it ended, and hangs up. */
  exited(code: number): Promise<void> {
    this.channel.send({ kind: 'exited', code } satisfies ServerMessage);
    return this.channel.end();
  }

  async #answer(message: ClientMessage): Promise<void> {
    switch (message.op) {
      case 'attach':
        this.attach();
        if (message.size !== undefined) this.server.streams?.resize(message.size);
        this.#done();
        return;
      case 'exec':
        await this.#execute(message);
        return;
      case 'resize':
        this.#streams?.()?.resize(message.size);
        return;
      case 'signal':
        this.server.signal(message.signal);
        break;
      case 'stop':
        await this.server.stop(message.seconds);
        return;
      case 'pause':
        await this.server.pause();
        break;
      case 'unpause':
        await this.server.resume();
        break;
      case 'wait':
        // Every client is told at the end.
        return;
      default:
        throw new OverlayError({
          operation: 'ask the container',
          reason: 'its server knows no such request',
        });
    }
    this.#done();
  }

  async #execute({ request, detach }: ClientMessage & { op: 'exec' }): Promise<void> {
    if (this.server.state.status === 'paused') {
      throw new OverlayError({
        operation: 'run in container',
        path: this.server.config.name,
        reason: 'it is paused',
        remedy: `let it go on with \`tsoverlay unpause ${this.server.config.name}\``,
      });
    }
    const { streams, exited } = await execute(this.server, request, (stream, bytes) => {
      if (detach || this.channel.closed || this.channel.sendBytes(stream, bytes)) return;
      streams.pause();
      this.channel.drained(() => streams.resume());
    });
    if (!detach) {
      this.#streams = () => streams;
      // Hanging up hangs up a terminal; what has pipes goes on without being heard.
      if (request.terminal) this.#closeOnLeave = () => streams.close();
    }
    this.#done();
    const code = await exited;
    streams.close();
    if (!detach) await this.exited(code);
  }
}
