// SPDX-License-Identifier: MIT
/**
 * INIT: what this server and the kernel agree on.
 *
 *   fuse_init_in:  u32 major, minor, max_readahead, flags, flags2, unused[11]
 *   fuse_init_out: u32 major, minor, max_readahead, flags, u16 max_background, congestion_threshold,
 *                  u32 max_write, time_gran, u16 max_pages, map_alignment, u32 flags2, ...
 */
import { EINVAL } from '../base/errno.js';
import { INIT_OUT, InitFlag, OLDEST_MINOR, PROTOCOL_MAJOR, PROTOCOL_MINOR, REQUEST_OVERHEAD } from './abi.js';
import type { Message } from './message.js';
import type { Reply } from './reply.js';

/** The largest WRITE and READ; the kernel's own limit unless fs.fuse.max_pages_limit was raised. */
export const MAX_WRITE = 1 << 20;
const PAGE_SIZE = 4096;
const MAX_BACKGROUND = 64;
const CONGESTION_THRESHOLD = 48;

const WANTED: readonly number[] = [
  InitFlag.ASYNC_READ,
  InitFlag.BIG_WRITES,
  InitFlag.DONT_MASK,
  InitFlag.DO_READDIRPLUS,
  InitFlag.NO_OPEN_SUPPORT,
  InitFlag.PARALLEL_DIROPS,
  InitFlag.POSIX_ACL,
  InitFlag.ABORT_ERROR,
  InitFlag.MAX_PAGES,
  InitFlag.CACHE_SYMLINKS,
  InitFlag.NO_OPENDIR_SUPPORT,
  InitFlag.HANDLE_KILLPRIV_V2,
  InitFlag.SETXATTR_EXT,
  InitFlag.INIT_EXT,
];

/** Choices left to the mounter. */
export interface SessionChoices {
  /** The kernel may keep written data to itself for a while (WRITEBACK_CACHE). */
  writeback?: boolean | undefined;
  /** The kernel is not to look at POSIX ACLs. */
  noAcl?: boolean | undefined;
  /** Node ids come back in file handles that outlive what the kernel remembers (EXPORT_SUPPORT). */
  nfsExport?: boolean | undefined;
  /** Seconds that names and attributes stay valid. */
  timeout?: number | undefined;
  /** Where requests are read to; of a size that holds the largest. */
  buffer?: Buffer | undefined;
  /** What tells node ids of this mount from those of others in file handles. */
  generation?: number | undefined;
}

/** Bytes of the largest request. */
export const LARGEST_REQUEST = MAX_WRITE + REQUEST_OVERHEAD;

/** What was agreed; requests are read by it. */
export interface Agreement {
  minor: number;
  /** As the reply to INIT has them. */
  flags: number;
  flags2: number;
  /** Agreed flags, by bit number. */
  has(flag: number): boolean;
}

/** Answers the agreement and writes the reply's body, or a negated errno for a kernel too old. */
export function negotiate(message: Message, reply: Reply, choices: SessionChoices): Agreement | number {
  const major = message.u32(0);
  const minor = message.u32(4);
  if (major < PROTOCOL_MAJOR || (major === PROTOCOL_MAJOR && minor < OLDEST_MINOR)) return -EINVAL;
  const offered = message.u32(12);
  const offered2 = message.bodyLength >= 20 ? message.u32(16) : 0;
  const agreed = wantedFlags(choices).filter((flag) => isSet(offered, offered2, flag));
  const spoken = Math.min(minor, PROTOCOL_MINOR);
  reply.zero(0, INIT_OUT);
  reply.u32(0, PROTOCOL_MAJOR);
  reply.u32(4, spoken);
  reply.u32(8, message.u32(8));
  reply.u32(12, maskOf(agreed, 0));
  reply.u32(16, MAX_BACKGROUND | (CONGESTION_THRESHOLD << 16));
  reply.u32(20, MAX_WRITE);
  reply.u32(24, 1);
  reply.u32(28, MAX_WRITE / PAGE_SIZE);
  reply.u32(32, maskOf(agreed, 32));
  return agreementOf(spoken, maskOf(agreed, 0), maskOf(agreed, 32));
}

/** An agreement by what was answered, which an earlier server may have done. */
export function agreementOf(minor: number, flags: number, flags2: number): Agreement {
  return { minor, flags, flags2, has: (flag) => isSet(flags, flags2, flag) };
}

function wantedFlags({ writeback, noAcl, nfsExport }: SessionChoices): readonly number[] {
  const wanted = WANTED.filter((flag) => noAcl !== true || flag !== InitFlag.POSIX_ACL);
  if (writeback === true) wanted.push(InitFlag.WRITEBACK_CACHE);
  if (nfsExport === true) wanted.push(InitFlag.EXPORT_SUPPORT);
  return wanted;
}

function isSet(low: number, high: number, flag: number): boolean {
  return ((flag < 32 ? low : high) & (1 << (flag & 31))) !== 0;
}

function maskOf(flags: readonly number[], base: number): number {
  let mask = 0;
  for (const flag of flags) if (flag >= base && flag < base + 32) mask |= 1 << (flag - base);
  return mask >>> 0;
}
