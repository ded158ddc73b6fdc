// SPDX-License-Identifier: MIT
/** What clients ask a container's server, and what it answers (frames.ts carries both). */
import { join } from 'node:path';
import type { WireError } from '../../supervise/error-wire.js';
import { runtimeDirectory } from '../../supervise/runtime-directory.js';
import type { TerminalSize } from '../../sys/terminals.js';

export interface ExecRequest {
  args: string[];
  env: string[];
  cwd?: string | undefined;
  user?: string | undefined;
  terminal: boolean;
  interactive: boolean;
  privileged: boolean;
  size?: TerminalSize | undefined;
}

/** How many bytes of each stream a client has. */
export interface Received {
  stdout: number;
  stderr: number;
}

/** A client of the container's own program, or of one that is run beside it, by which it is found again. */
export const OWN_PROGRAM = 'own';

/** Who types, a number of its own for each client, so that what is sent again is not typed twice. */
interface Typing {
  typist: number;
}

export type ClientMessage =
  /** The first of a new server; with `attach` what it writes comes along, with `bound` it ends when the client goes. */
  | ({
      op: 'start';
      root: string;
      id: string;
      attach: boolean;
      bound: boolean;
      size?: TerminalSize | undefined;
    } & Typing)
  | ({ op: 'attach'; size?: TerminalSize | undefined } & Typing)
  | ({ op: 'exec'; key: string; request: ExecRequest; detach: boolean } & Typing)
  /** The first of a client whose server has ended, to the next one. `taken`: how much it knows to be taken of what it has sent. */
  | ({ op: 'rejoin'; key: string; received: Received; taken: number; bound: boolean } & Typing)
  | { op: 'signal'; signal: string }
  | { op: 'stop'; seconds: number }
  | { op: 'pause' }
  | { op: 'unpause' }
  | { op: 'resize'; size: TerminalSize };

export type StartMessage = ClientMessage & { op: 'start' };
export type ExecMessage = ClientMessage & { op: 'exec' };

export type ServerMessage =
  /** It runs, or what was asked is done. Who attaches is told how much of each stream has gone before. */
  | { kind: 'done'; before?: Received }
  | { kind: 'failed'; failure: WireError }
  /** How much was taken of what the client has sent to the program: it need not keep it any longer. */
  | { kind: 'taken'; count: number }
  /** It has been heard before; what it has not received follows, and what was not taken is to be sent again. */
  | { kind: 'rejoined'; taken: number }
  /** For the user of who is attached. */
  | { kind: 'notice'; text: string }
  /** For every client: the container's own program has ended so, and everything is given back; who hears no more knows enough. */
  | { kind: 'ending'; code: number }
  /** The program, or what was executed beside it, has ended. */
  | { kind: 'exited'; code: number };

/** Where a container's server listens. */
export function socketPath(id: string): string {
  return join(runtimeDirectory(), `container-${id.slice(0, 20)}.sock`);
}
