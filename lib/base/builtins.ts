// SPDX-License-Identifier: MIT
/**
 * Parts of Node that are loaded when they are used: each takes milliseconds of the start
 * and some hundred KB of every process and thread, of which most never need it.
 */

export function cryptography(): typeof import('node:crypto') {
  return process.getBuiltinModule('node:crypto');
}

export function childProcesses(): typeof import('node:child_process') {
  return process.getBuiltinModule('node:child_process');
}
