// SPDX-License-Identifier: MIT
/** Signals as people write them (signal(7)). */
import { constants } from 'node:os';
import { OverlayError } from '../base/errors.js';

/** `TERM`, `SIGTERM` or `15`. Throws an OverlayError for what is none. */
export function signalNumber(text: string): number {
  const known = constants.signals as Record<string, number>;
  const name = text.toUpperCase().startsWith('SIG') ? text.toUpperCase() : `SIG${text.toUpperCase()}`;
  const number = /^\d+$/.test(text) ? Number(text) : (realTimeSignal(name) ?? known[name]);
  if (number !== undefined && number >= 0 && number <= 64) return number;
  throw new OverlayError({ operation: 'send signal', path: text, reason: 'there is no such signal' });
}

const RTMIN = 34;
const RTMAX = 64;

/** `SIGRTMIN+3`, which systemd wants in a container to shut down. */
function realTimeSignal(name: string): number | undefined {
  const match = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (match === null) return undefined;
  const offset = Number(match[3] ?? 0) * (match[2] === '-' ? -1 : 1);
  const number = (match[1] === 'MIN' ? RTMIN : RTMAX) + offset;
  return number >= RTMIN && number <= RTMAX ? number : undefined;
}

/** One that has just ended needs no signal any more. */
export function sendSignal(pid: number, number: number): void {
  try {
    process.kill(pid, number);
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== 'ESRCH') throw failure;
  }
}
