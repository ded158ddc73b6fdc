// SPDX-License-Identifier: MIT
/**
 * Errno values as the hot path passes them: a call answers a number >= 0, or
 * the negated errno. No exception is built for a miss; an exception costs more
 * than the system call that missed.
 */
import { constants } from 'node:os';

/** A negated errno (-2 is ENOENT); 0 where a call only says that it worked. */
export type Errno = number;

/** An open descriptor, or a negated errno. */
export type FdOrErrno = number;

/** A count or a position, of bytes or blocks, or a negated errno. */
export type SizeOrErrno = number;

const linux = constants.errno as Record<string, number>;

export const {
  E2BIG,
  EACCES,
  EAGAIN,
  EBADF,
  EBUSY,
  EEXIST,
  EFAULT,
  EFBIG,
  EINTR,
  EINVAL,
  EIO,
  EISDIR,
  ELOOP,
  EMFILE,
  EMLINK,
  ENAMETOOLONG,
  ENFILE,
  ENODATA,
  ENODEV,
  ENOENT,
  ENOMEM,
  ENOSPC,
  ENOSYS,
  ENOTCONN,
  ENOTDIR,
  ENOTEMPTY,
  ENOTTY,
  ENXIO,
  EOPNOTSUPP,
  EOVERFLOW,
  EPERM,
  ERANGE,
  EROFS,
  ESTALE,
  EXDEV,
} = linux as Record<string, number>;

const names = new Map<number, string>();
for (const [name, value] of Object.entries(linux)) if (!names.has(value)) names.set(value, name);
// EDQUOT and EOPNOTSUPP have no or a shared entry in Node's table.
names.set(122, 'EDQUOT');
names.set(95, 'EOPNOTSUPP');
names.set(11, 'EAGAIN');

/** The name of an errno, given negated or not: `errnoName(-2)` is `'ENOENT'`. */
export function errnoName(errno: number): string {
  return names.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`;
}
