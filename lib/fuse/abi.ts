// SPDX-License-Identifier: MIT
/**
 * The kernel's side of /dev/fuse: numbers and sizes of linux/fuse.h, protocol
 * 7.31 to 7.45. Kernel spelling stays in this room. test/fuse/abi.test.ts
 * compares them with the header of the machine.
 */

export const PROTOCOL_MAJOR = 7;
/** The newest minor spoken; an older kernel is answered in its own. */
export const PROTOCOL_MINOR = 45;
/** Linux 5.4; before it there is no FUSE_NO_OPENDIR_SUPPORT with cached directories and no max_pages. */
export const OLDEST_MINOR = 31;

export const IN_HEADER = 40;
export const OUT_HEADER = 16;
/** A read on /dev/fuse needs room for this much beside the data (FUSE_MIN_READ_BUFFER is 8192). */
export const REQUEST_OVERHEAD = 4096;

export const Opcode = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;

/** INIT flags: bits 0 to 31 travel in `flags`, 32 and up in `flags2`. */
export const InitFlag = {
  ASYNC_READ: 0,
  EXPORT_SUPPORT: 4,
  BIG_WRITES: 5,
  DONT_MASK: 6,
  DO_READDIRPLUS: 13,
  READDIRPLUS_AUTO: 14,
  ASYNC_DIO: 15,
  WRITEBACK_CACHE: 16,
  NO_OPEN_SUPPORT: 17,
  PARALLEL_DIROPS: 18,
  POSIX_ACL: 20,
  ABORT_ERROR: 21,
  MAX_PAGES: 22,
  CACHE_SYMLINKS: 23,
  NO_OPENDIR_SUPPORT: 24,
  HANDLE_KILLPRIV_V2: 28,
  SETXATTR_EXT: 29,
  INIT_EXT: 30,
  HAS_EXPIRE_ONLY: 35,
} as const;

/** `valid` of fuse_setattr_in. */
export const SetAttr = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  KILL_SUIDGID: 1 << 11,
} as const;

export const WRITE_KILL_SUIDGID = 1 << 2;
export const FSYNC_DATA_ONLY = 1;
export const SETXATTR_ACL_KILL_SGID = 1;

export const ENTRY_OUT = 128;
export const ATTR_OUT = 104;
export const OPEN_OUT = 16;
export const STATFS_OUT = 80;
export const STATX_OUT = 288;
export const INIT_OUT = 64;
export const DIRENT = 24;
