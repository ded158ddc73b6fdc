// SPDX-License-Identifier: MIT
/** What clients ask a container's server, and what it answers (frames.ts carries both). */
import { join } from 'node:path';
import type { ErrorStory } from '../../base/errors.js';
import { runtimeDirectory } from '../../mount/registry.js';
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

export type ClientMessage =
  /** The first of a new server; with `attach` what it writes comes along, with `bound` it ends when the client goes. */
  | {
      op: 'start';
      root: string;
      id: string;
      attach: boolean;
      bound: boolean;
      size?: TerminalSize | undefined;
    }
  | { op: 'attach'; size?: TerminalSize | undefined }
  | { op: 'exec'; request: ExecRequest; detach: boolean }
  | { op: 'signal'; signal: string }
  | { op: 'stop'; seconds: number }
  | { op: 'pause' }
  | { op: 'unpause' }
  | { op: 'wait' }
  | { op: 'resize'; size: TerminalSize };

export type ServerMessage =
  /** It runs, or what was asked is done. */
  | { kind: 'done' }
  | { kind: 'failed'; usage: boolean; story: ErrorStory; code: number }
  /** The program, or what was executed beside it, has ended. */
  | { kind: 'exited'; code: number };

/** Where a container's server listens. */
export function socketPath(id: string): string {
  return join(runtimeDirectory(), `container-${id.slice(0, 20)}.sock`);
}
