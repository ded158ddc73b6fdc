// SPDX-License-Identifier: MIT
/** poll(2) of one descriptor. */
import { raw, result } from './libc.js';

const POLLIN = 1;
const record = Buffer.alloc(8);

/** Waits until `fd` can be read; `timeout` in ms, -1 for ever. Answers 1, 0 when time is up, or a negated errno. */
export function waitReadable(fd: number, timeout: number): number {
  record.writeInt32LE(fd, 0);
  record.writeUInt32LE(POLLIN, 4);
  return result(raw.poll(record, 1, timeout));
}
