// SPDX-License-Identifier: MIT
/** Becoming another program in the place of this process. All answer a negated errno, or >= 0. */
import { type ByteString, fromText } from '../base/bytes.js';
import { addressOf, raw, result } from './libc.js';
import { ownedArgument } from './names.js';

const PR_SET_PDEATHSIG = 1;
const SYS_CLOSE_RANGE = 436;
const CLOSE_RANGE_CLOEXEC = 4;
const LARGEST_FD = 0xffffffff;
const SIG_DFL = 0;
const SIG_SETMASK = 2;
const LAST_SIGNAL = 64;
const F_GETFD = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** By name, without RLIMIT_ (asm-generic/resource.h). */
export const LIMITS: readonly string[] = [
  'CPU',
  'FSIZE',
  'DATA',
  'STACK',
  'CORE',
  'RSS',
  'NPROC',
  'NOFILE',
  'MEMLOCK',
  'AS',
  'LOCKS',
  'SIGPENDING',
  'MSGQUEUE',
  'NICE',
  'RTPRIO',
  'RTTIME',
];

const UNLIMITED = 0xffffffffffffffffn;

/** Of this process: `soft` and `hard` as numbers, -1 for no limit. Answers 0 or a negated errno. */
export function setLimit(name: string, soft: number, hard: number): number {
  const value = (limit: number): bigint => (limit < 0 ? UNLIMITED : BigInt(limit));
  const limit = Buffer.alloc(16);
  limit.writeBigUInt64LE(value(soft), 0);
  limit.writeBigUInt64LE(value(hard), 8);
  return result(raw.prlimit(0, LIMITS.indexOf(name), limit, null));
}

/** Of this process, as `setLimit` takes them. */
export function limitOf(name: string): { soft: number; hard: number } {
  const limit = Buffer.alloc(16);
  raw.prlimit(0, LIMITS.indexOf(name), null, limit);
  const value = (at: number): number => {
    const number = limit.readBigUInt64LE(at);
    return number === UNLIMITED ? -1 : Number(number);
  };
  return { soft: value(0), hard: value(8) };
}

/** The signal that the kernel sends this process when its parent dies; changing users takes it back. */
export function setParentDeathSignal(signal: number): number {
  return result(raw.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0));
}

/** Puts every signal as a new program expects it: Node ignores some of them, and that would be inherited. */
export function resetSignals(): number {
  for (let number = 1; number <= LAST_SIGNAL; number++) raw.signal(number, SIG_DFL);
  return result(raw.sigprocmask(SIG_SETMASK, Buffer.alloc(128), null));
}

/** Leaves the next program the first three descriptors and no other. */
export function closeOthersOnExec(): number {
  for (const fd of [0, 1, 2]) raw.fcntl(fd, F_SETFD, 0);
  return result(raw.syscall3(SYS_CLOSE_RANGE, 3, LARGEST_FD, CLOSE_RANGE_CLOEXEC));
}

/** Whether a descriptor was left open for programs to inherit. */
export function isInheritable(fd: number): boolean {
  const flags = result(raw.fcntl(fd, F_GETFD, 0));
  return flags >= 0 && (flags & FD_CLOEXEC) === 0;
}

/** Puts `from` in the place of `to`, which programs inherit. */
export function duplicateTo(from: number, to: number): number {
  return result(raw.dup2(from, to));
}

export function changeDirectory(path: ByteString): number {
  return result(raw.chdir(ownedArgument(path)));
}

export function changeDirectoryTo(fd: number): number {
  return result(raw.fchdir(fd));
}

export function changeOwner(fd: number, uid: number, gid: number): number {
  return result(raw.fchown(fd, uid, gid));
}

/** A null-terminated vector of strings, which lie behind it in the same buffer. */
function stringVector(texts: readonly string[]): Buffer {
  const strings = texts.map((text) => ownedArgument(fromText(text)));
  const vectorSize = 8 * (strings.length + 1);
  const all = Buffer.concat([Buffer.alloc(vectorSize), ...strings]);
  let address = addressOf(all) + BigInt(vectorSize);
  strings.forEach((string, index) => {
    all.writeBigUInt64LE(address, 8 * index);
    address += BigInt(string.length);
  });
  return all;
}

/** execve(2): comes back only with the negated errno of what went wrong. */
export function becomeProgram(
  path: string,
  programArguments: readonly string[],
  env: readonly string[],
): number {
  return result(raw.execve(ownedArgument(fromText(path)), stringVector(programArguments), stringVector(env)));
}
