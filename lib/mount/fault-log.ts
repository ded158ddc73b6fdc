// SPDX-License-Identifier: MIT
/** The log of a server in the background: its standard error, a line a fault. */

export function logFault(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
}
