// SPDX-License-Identifier: MIT
/** The errors of `cp` with Node's codes and words (lib/internal/fs/cp/cp.js and errors.js of Node). */
import { type ByteString, toText } from '../base/bytes.js';
import { EEXIST, EINVAL, EISDIR, ENOTDIR, errnoName } from '../base/errno.js';
import { systemError } from './tree.js';

interface Kind {
  code: string;
  about: string;
  errno: number;
  /** `from` and `to` as the message names them. */
  message(from: string, to: string): string;
}

const KINDS = {
  same: {
    code: 'ERR_FS_CP_EINVAL',
    about: 'Invalid src or dest',
    errno: EINVAL,
    message: () => 'src and dest cannot be the same',
  },
  within: {
    code: 'ERR_FS_CP_EINVAL',
    about: 'Invalid src or dest',
    errno: EINVAL,
    message: (from, to) => `cannot copy ${from} to a subdirectory of self ${to}`,
  },
  overNonDirectory: {
    code: 'ERR_FS_CP_DIR_TO_NON_DIR',
    about: 'Cannot overwrite non-directory with directory',
    errno: EISDIR,
    message: (from, to) => `cannot overwrite non-directory ${to} with directory ${from}`,
  },
  overDirectory: {
    code: 'ERR_FS_CP_NON_DIR_TO_DIR',
    about: 'Cannot overwrite directory with non-directory',
    errno: ENOTDIR,
    message: (from, to) => `cannot overwrite directory ${to} with non-directory ${from}`,
  },
  exists: {
    code: 'ERR_FS_CP_EEXIST',
    about: 'Target already exists',
    errno: EEXIST,
    message: (_, to) => `${to} already exists`,
  },
  socket: {
    code: 'ERR_FS_CP_SOCKET',
    about: 'Cannot copy a socket file',
    errno: EINVAL,
    message: (_, to) => `cannot copy a socket file: ${to}`,
  },
  fifo: {
    code: 'ERR_FS_CP_FIFO_PIPE',
    about: 'Cannot copy a FIFO pipe',
    errno: EINVAL,
    message: (_, to) => `cannot copy a FIFO pipe: ${to}`,
  },
  aboveTarget: {
    code: 'ERR_FS_CP_SYMLINK_TO_SUBDIRECTORY',
    about: 'Cannot overwrite symlink in subdirectory of self',
    errno: EINVAL,
    message: (from, to) => `cannot overwrite ${to} with ${from}`,
  },
} satisfies Record<string, Kind>;

/** `path` is what the error names as its path. */
export function copyError(
  kind: keyof typeof KINDS,
  path: ByteString,
  from: ByteString = '',
  to: ByteString = path,
): Error {
  const { code, about, errno, message } = KINDS[kind] as Kind;
  return systemError(code, {
    about,
    message: message(toText(from), toText(to)),
    code: errnoName(errno),
    errno,
    syscall: 'cp',
    path: toText(path),
  });
}
