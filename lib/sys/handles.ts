// SPDX-License-Identifier: MIT
/** File handles (name_to_handle_at(2)) and file system ids: what an origin mark is made of. */
import type { ByteString } from '../base/bytes.js';
import { ENODATA } from '../base/errno.js';
import { control, O_DIRECTORY, O_RDONLY, openAt } from './files.js';
import { raw, result } from './libc.js';
import { pathArgument } from './names.js';

const MAX_HANDLE_SZ = 128;
const AT_EMPTY_PATH = 0x1000;
const FS_IOC_GETFSUUID = 0x80111500;

export interface FileHandle {
  type: number;
  bytes: Buffer;
}

const handle = Buffer.allocUnsafeSlow(8 + MAX_HANDLE_SZ);
const mountId = Buffer.allocUnsafeSlow(4);

/** The handle of `name` in `dir` ('' means `dir` itself), or a negated errno. */
export function handleOf(dir: number, name: ByteString): FileHandle | number {
  handle.writeUInt32LE(MAX_HANDLE_SZ, 0);
  const flags = name === '' ? AT_EMPTY_PATH : 0;
  const status = result(raw.nameToHandleAt(dir, pathArgument(name), handle, mountId, flags));
  if (status < 0) return status;
  return { type: handle.readInt32LE(4), bytes: Buffer.from(handle.subarray(8, 8 + handle.readUInt32LE(0))) };
}

/** Opens what a handle stands for on the file system of `mountFd` (not O_PATH); needs CAP_DAC_READ_SEARCH. */
export function openHandle(mountFd: number, { type, bytes }: FileHandle, flags: number): number {
  if (bytes.length > MAX_HANDLE_SZ) return -ENODATA;
  handle.writeUInt32LE(bytes.length, 0);
  handle.writeInt32LE(type, 4);
  bytes.copy(handle, 8);
  return result(raw.openByHandleAt(mountFd, handle, flags));
}

/** The 16 bytes that tell a file system from others (FS_IOC_GETFSUUID, Linux 6.9), or undefined. */
export function fileSystemUuid(fd: number): Buffer | undefined {
  const reply = Buffer.alloc(17);
  if (control(fd, FS_IOC_GETFSUUID, reply) < 0 || reply[0] !== 16) return undefined;
  return reply.subarray(1);
}

/** An O_PATH directory opened again so that ioctl(2) and fsync(2) take it; or a negated errno. */
export function openReadable(directory: number): number {
  return openAt(directory, '.', O_RDONLY | O_DIRECTORY);
}
