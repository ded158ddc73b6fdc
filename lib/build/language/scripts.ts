// SPDX-License-Identifier: MIT
/** Where a here-document is that is a program itself; /dev is no part of any layer. */
const SCRIPTS = '/dev/pipes';

export function scriptPath(name: string): string {
  return `${SCRIPTS}/${name}`;
}
