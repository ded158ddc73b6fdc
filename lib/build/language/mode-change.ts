// SPDX-License-Identifier: MIT
/** `--chmod`: an octal number, or changes as in chmod(1). */
import { DockerfileError, type Place } from './failure.js';

/** Permission bits from those there are. */
export type ModeChange = (mode: number, isDirectory: boolean) => number;

const WHO: Record<string, number> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 };
/** `g=u`: what another class has, for all of them. */
const SHIFTS: Record<string, number> = { u: 6, g: 3, o: 0 };
const BITS: Record<string, number> = { r: 0o444, w: 0o222, x: 0o111, s: 0o6000, t: 0o1000 };

/** `u=rwX,go+r`. Undefined for what is none. */
function parseClause(text: string): ModeChange | undefined {
  const match = /^([ugoa]*)([-+=])([rwxXst]*|[ugo])$/.exec(text);
  if (match === null) return undefined;
  const [, who, operator, permissions] = match;
  const mask = [...(who === '' ? 'a' : who)].reduce((all, one) => all | WHO[one], 0);
  return (mode, isDirectory) => {
    const bits = [...permissions].reduce((all, one) => {
      if (one in SHIFTS) return all | (((mode >> SHIFTS[one]) & 7) * 0o111);
      if (one !== 'X') return all | BITS[one];
      return isDirectory || (mode & 0o111) !== 0 ? all | BITS.x : all;
    }, 0);
    if (operator === '+') return mode | (bits & mask);
    return operator === '-' ? mode & ~(bits & mask) : (mode & ~mask) | (bits & mask);
  };
}

/** Throws a DockerfileError for what is no mode. */
export function parseModeChange(place: Place, text: string): ModeChange {
  if (/^0*[0-7]{1,4}$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    return () => mode;
  }
  const clauses = text.split(',').map(parseClause);
  if (clauses.every((clause) => clause !== undefined))
    return (mode, isDirectory) => clauses.reduce((bits, clause) => clause(bits, isDirectory), mode);
  throw new DockerfileError(place, `--chmod=${text} is not a mode`, 'write it as in 755 or u+x,go-w');
}
