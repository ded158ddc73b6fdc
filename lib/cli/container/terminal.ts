// SPDX-License-Identifier: MIT
/** A person's terminal and pipes, joined to a program in a container. */
import { OverlayError, UsageError } from '../../base/errors.js';
import type { ContainerClient } from '../../container/server/client.js';
import type { StreamName } from '../../container/wire/frames.js';
import { makeRaw, restoreTerminal, type TerminalSize } from '../../sys/terminals.js';
import { rejection } from '../words/outputs.js';

/** As Docker has it: ^P ^Q. */
export const DETACH_KEYS = 'ctrl-p,ctrl-q';

/** The bytes of `ctrl-p,ctrl-q` or `a,b`. Throws UsageError. */
export function parseKeys(text: string): Buffer {
  const codes = text.split(',').map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key);
    if (control !== null) return control[1].toUpperCase().charCodeAt(0) & 0x1f;
    if (key.length === 1) return key.charCodeAt(0);
    throw new UsageError(
      `--detach-keys ${text}: there is no key ${key}`,
      'write keys as in ctrl-p,ctrl-q or ctrl-x',
    );
  });
  return Buffer.from(codes);
}

export function terminalSize(): TerminalSize | undefined {
  const { rows, columns } = process.stdout;
  return rows === undefined || columns === undefined ? undefined : { rows, columns };
}

/** Outputs that somebody waits for already. */
const slow = new Set<NodeJS.WriteStream>();

/** Writes what a program writes; answers false where our own output is slow, and calls `room` when it is not any more. */
export function writeOutput(stream: StreamName, bytes: Buffer, room: () => void): boolean {
  const out = stream === 'stderr' ? process.stderr : process.stdout;
  if (out.write(bytes)) return true;
  if (slow.has(out)) return false;
  slow.add(out);
  out.once('drain', () => {
    slow.delete(out);
    room();
  });
  return false;
}

export interface Joining {
  terminal: boolean;
  /** What is typed or piped is sent. */
  input: boolean;
  detachKeys: Buffer;
  /** Signals that this command gets are passed on. */
  signals: boolean;
}

export type JoinEnd = { kind: 'exited'; code: number } | { kind: 'detached' };

const PASSED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/**
 * Joins until the program ends or the keys to detach are typed. Leaves the terminal as it was. Throws when the
 * signal says that what the program writes cannot be passed on.
 */
export async function join(client: ContainerClient, joining: Joining, failed: AbortSignal): Promise<JoinEnd> {
  using scope = new JoinScope(client, joining);
  const ended = client.exited().then((code): JoinEnd => ({ kind: 'exited', code }));
  return await Promise.race([ended, scope.detached, rejection(failed)]);
}

class JoinScope implements Disposable {
  readonly #undo: (() => void)[] = [];
  readonly detached: Promise<JoinEnd>;
  #detach!: () => void;
  /** How many of the detach keys have been typed. */
  #matched = 0;

  constructor(
    private readonly client: ContainerClient,
    private readonly joining: Joining,
  ) {
    this.detached = new Promise((resolve) => {
      this.#detach = () => resolve({ kind: 'detached' });
    });
    if (joining.input) this.#sendInput();
    if (joining.terminal) this.#followSize();
    if (joining.signals) this.#passSignals();
  }

  #on(target: NodeJS.EventEmitter, event: string, listener: (...args: never[]) => void): void {
    target.on(event, listener as never);
    this.#undo.push(() => target.off(event, listener as never));
  }

  #sendInput(): void {
    const { stdin } = process;
    const raw = this.joining.terminal && stdin.isTTY;
    if (raw) {
      const before = makeRaw(stdin.fd);
      if (typeof before === 'number')
        throw new OverlayError({ operation: 'set up the terminal', errno: before });
      this.#undo.push(() => restoreTerminal(stdin.fd, before));
    }
    this.#on(stdin, 'data', (bytes: Buffer) => {
      const sent = raw ? this.#withoutDetachKeys(bytes) : bytes;
      if (sent.length === 0 || this.client.sendInput(sent)) return;
      stdin.pause();
      this.client.drained(() => stdin.resume());
    });
    // An empty piece is the end.
    this.#on(stdin, 'end', () => this.client.sendInput(Buffer.alloc(0)));
    this.#undo.push(() => {
      stdin.pause();
      stdin.unref?.();
    });
    stdin.resume();
  }

  /** Keys that turn out to be something else are sent after all. */
  #withoutDetachKeys(bytes: Buffer): Buffer {
    const { detachKeys } = this.joining;
    const sent: number[] = [];
    for (const byte of bytes) {
      if (byte === detachKeys[this.#matched]) {
        if (++this.#matched === detachKeys.length) this.#detach();
        continue;
      }
      sent.push(...detachKeys.subarray(0, this.#matched));
      this.#matched = byte === detachKeys[0] ? 1 : 0;
      if (this.#matched === 0) sent.push(byte);
    }
    return Buffer.from(sent);
  }

  #followSize(): void {
    this.#on(process.stdout, 'resize', () => {
      const size = terminalSize();
      if (size !== undefined) this.client.tell({ op: 'resize', size });
    });
  }

  #passSignals(): void {
    for (const signal of PASSED_SIGNALS)
      this.#on(process, signal, () => this.client.tell({ op: 'signal', signal }));
  }

  [Symbol.dispose](): void {
    for (const undo of this.#undo.reverse()) undo();
  }
}
