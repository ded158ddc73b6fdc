// SPDX-License-Identifier: MIT
/** The log of a server in the background: its standard error, a line a fault. */
export function logFault(text: string): void {
  const { stderr } = process;
  // A log on a full disk loses lines; the server goes on.
  if (stderr.listenerCount('error') === 0) stderr.on('error', () => undefined);
  stderr.write(`${new Date().toISOString()} ${text}\n`);
}
