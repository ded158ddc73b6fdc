// SPDX-License-Identifier: MIT
/** Pseudo-terminals (pty(7), ioctl_tty(2)). All answer >= 0 or a negated errno. */
import { O_RDWR } from './files.js';
import { raw, result } from './libc.js';

const O_NOCTTY = 0o400;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTN = 0x80045430;
const TIOCSCTTY = 0x540e;
const TIOCSWINSZ = 0x5414;

/** Flags to open a terminal with, without making it one's own. */
export const TERMINAL_FLAGS = O_RDWR | O_NOCTTY;

/** Lets the slave of a master that was just opened be opened too. */
export function unlockTerminal(master: number): number {
  return result(raw.ioctl(master, TIOCSPTLCK, Buffer.alloc(4)));
}

/** The number that the terminal has in its devpts. */
export function terminalNumber(master: number): number {
  const number = Buffer.alloc(4);
  const status = result(raw.ioctl(master, TIOCGPTN, number));
  return status < 0 ? status : number.readInt32LE(0);
}

export interface TerminalSize {
  rows: number;
  columns: number;
}

/** The terminal's foreground processes are sent SIGWINCH. */
export function setTerminalSize(master: number, { rows, columns }: TerminalSize): number {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(Math.min(rows, 0xffff), 0);
  size.writeUInt16LE(Math.min(columns, 0xffff), 2);
  return result(raw.ioctl(master, TIOCSWINSZ, size));
}

/** Starts a session, of which this process is the leader. */
export function startSession(): number {
  return result(raw.setsid());
}

/** Makes a terminal the controlling one of the session that this process leads. */
export function takeTerminal(slave: number): number {
  return result(raw.ioctlFd(slave, TIOCSCTTY, 0));
}

/** More than any struct termios has. */
const SIZEOF_TERMIOS = 128;
const TCSADRAIN = 1;

/**
 * Lets every byte pass as it is, in both directions (termios(3), cfmakeraw; the raw mode of
 * Node changes line ends on their way out). Answers what the terminal was like before, or
 * a negated errno.
 */
export function makeRaw(fd: number): Buffer | number {
  const before = Buffer.alloc(SIZEOF_TERMIOS);
  const status = result(raw.tcgetattr(fd, before));
  if (status < 0) return status;
  const now = Buffer.from(before);
  raw.cfmakeraw(now);
  const set = result(raw.tcsetattr(fd, TCSADRAIN, now));
  return set < 0 ? set : before;
}

/** Makes a terminal again what it was before. */
export function restoreTerminal(fd: number, before: Buffer): number {
  return result(raw.tcsetattr(fd, TCSADRAIN, before));
}
