// SPDX-License-Identifier: MIT
/** What an earlier mount left in a work directory, and whether that is harmless. */
import { existsSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EAGAIN } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import {
  Fd,
  LOCK_EXCLUSIVE,
  LOCK_NONBLOCKING,
  lock,
  O_DIRECTORY,
  O_RDONLY,
  openPath,
} from '../../sys/files.js';

export interface Leftover {
  path: string;
  /** In words. */
  what: string;
  repaired: boolean;
}

/** Looks through a work directory. Throws an OverlayError while a live mount has it. */
export function checkWork(path: string, repair: boolean): Leftover[] {
  using fd = new Fd(
    check(openPath(path, O_RDONLY | O_DIRECTORY), { operation: 'open work directory', path }),
  );
  const locked = lock(fd.number, LOCK_EXCLUSIVE | LOCK_NONBLOCKING);
  if (locked < 0) {
    throw new OverlayError({
      operation: 'check work directory',
      path,
      errno: locked,
      reason: locked === -EAGAIN ? 'a live mount uses it' : undefined,
      remedy: 'unmount that first',
    });
  }
  const work = join(path, 'work');
  const names = existsSync(work)
    ? readdirSync(work).filter((name) => name !== 'incompat' && name !== 'lazy')
    : [];
  const marks = existsSync(join(work, 'incompat/volatile')) ? [volatileMark(work)] : [];
  return [
    ...marks,
    ...unfinished(join(work, 'lazy')),
    ...names.map((name) => leftover(join(work, name), repair)),
  ];
}

/** Whoever removes this mark says that the upper is to be trusted: that is not for a program to say. */
function volatileMark(work: string): Leftover {
  const what = 'the upper was mounted volatile and not unmounted, so what was written last may be missing';
  return { path: join(work, 'incompat/volatile'), what, repaired: false };
}

/** Until then the file is a metacopy, and what was written to it is not seen by anybody else. */
function unfinished(list: string): Leftover[] {
  const records = existsSync(list) ? readdirSync(list) : [];
  return records.map((record) => {
    const path = join(list, record);
    const what = `the copy of ${readlinkSync(path).replace(/^\S+ /, '')} was cut short; mount the upper with tsoverlay once to finish it`;
    return { path, what, repaired: false };
  });
}

function leftover(path: string, repair: boolean): Leftover {
  if (repair) rmSync(path, { recursive: true });
  return {
    path,
    what: 'left over from a change that was cut short; the next mount clears it',
    repaired: repair,
  };
}
