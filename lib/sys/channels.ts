// SPDX-License-Identifier: MIT
/** Descriptors between processes: pipes, sockets, and what is handed over through them (unix(7), SCM_RIGHTS). */
import { fromText } from '../base/bytes.js';
import { ENAMETOOLONG } from '../base/errno.js';
import { O_NONBLOCK, O_RDWR } from './files.js';
import { addressOf, raw, result } from './libc.js';
import { ownedArgument } from './names.js';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const F_SETFL = 4;
const F_SETOWN = 8;
const O_ASYNC = 0o20000;
const SIZEOF_MSGHDR = 56;
const SIZEOF_CMSG = 24;
/** Of a cmsghdr with one descriptor, without the padding. */
const CMSG_LENGTH = 20;

/** Two connected sockets, neither of which programs inherit unless it is passed to them; or a negated errno. */
export function socketPair(): [number, number] | number {
  const pair = Buffer.alloc(8);
  const status = result(raw.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  return status < 0 ? status : [pair.readInt32LE(0), pair.readInt32LE(4)];
}

const O_CLOEXEC = 0o2000000;

/** A pipe's ends, to read and to write, neither of which programs inherit; or a negated errno. */
export function makePipe(): [number, number] | number {
  const pair = Buffer.alloc(8);
  const status = result(raw.pipe2(pair, O_CLOEXEC));
  return status < 0 ? status : [pair.readInt32LE(0), pair.readInt32LE(4)];
}

const SIZEOF_SUN_PATH = 108;

/** A socket that listens at a path (unix(7)); or a negated errno. */
export function listenAt(path: string): number {
  const name = ownedArgument(fromText(path));
  if (name.length > SIZEOF_SUN_PATH) return -ENAMETOOLONG;
  const socket = result(raw.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket < 0) return socket;
  const address = Buffer.concat([Buffer.of(AF_UNIX, 0), name]);
  let status = result(raw.bind(socket, address, address.length));
  if (status >= 0) status = result(raw.listen(socket, 1));
  if (status >= 0) return socket;
  raw.close(socket);
  return status;
}

/** Waits for a connection; answers its socket or a negated errno. */
export function acceptFrom(socket: number): number {
  return result(raw.accept4(socket, null, null, SOCK_CLOEXEC));
}

/** A message of one byte with room for one descriptor (recvmsg(2), msghdr), used again for each. */
const byte = Buffer.alloc(1);
const control = Buffer.alloc(SIZEOF_CMSG);
const vector = Buffer.alloc(16);
const header = Buffer.alloc(SIZEOF_MSGHDR);

function prepareMessage(): void {
  control.fill(0);
  vector.writeBigUInt64LE(addressOf(byte), 0);
  vector.writeBigUInt64LE(1n, 8);
  header.fill(0);
  header.writeBigUInt64LE(addressOf(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(addressOf(control), 32);
  header.writeBigUInt64LE(BigInt(SIZEOF_CMSG), 40);
}

/** Waits for one message and answers the descriptor that comes with it, -1 where none does, or a negated errno. */
export function receiveDescriptor(socket: number): number {
  prepareMessage();
  const status = result(raw.recvmsg(socket, header, MSG_CMSG_CLOEXEC));
  if (status < 0) return status;
  const isRights =
    control.readBigUInt64LE(0) === BigInt(CMSG_LENGTH) &&
    control.readInt32LE(8) === SOL_SOCKET &&
    control.readInt32LE(12) === SCM_RIGHTS;
  return isRights ? control.readInt32LE(16) : -1;
}

/** Hands a descriptor over with a message of one byte; answers 1 or a negated errno. */
export function sendDescriptor(socket: number, fd: number): number {
  prepareMessage();
  control.writeBigUInt64LE(BigInt(CMSG_LENGTH), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  control.writeInt32LE(fd, 16);
  return result(raw.sendmsg(socket, header, 0));
}

/** Sets a descriptor's status flags (O_NONBLOCK); answers 0 or a negated errno. */
export function setStatusFlags(fd: number, flags: number): number {
  return result(raw.fcntl(fd, F_SETFL, flags));
}

/**
 * Has SIGIO sent to this process whenever `fd`, a pipe or a terminal, can be read or written again (fcntl(2)), and
 * lets neither wait. Answers 0 or a negated errno.
 */
export function signalWhenReady(fd: number): number {
  const status = result(raw.fcntl(fd, F_SETOWN, process.pid));
  return status < 0 ? status : setStatusFlags(fd, O_RDWR | O_NONBLOCK | O_ASYNC);
}
