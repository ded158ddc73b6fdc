// SPDX-License-Identifier: MIT
/** Reads 4 KiB at 20,000 places of a file, the same ones every time. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const fd = openSync(process.argv[2], 'r');
const blocks = Math.floor(fstatSync(fd).size / 4096);
const buffer = Buffer.alloc(4096);
let state = 12345;
for (let count = 0; count < 20_000; count++) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  readSync(fd, buffer, 0, 4096, (state % blocks) * 4096);
}
closeSync(fd);
