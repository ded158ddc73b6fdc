// SPDX-License-Identifier: MIT
/** Waiting for a process that a tool started for us and left behind (sys/children.ts). */
import { check } from '../../base/errors.js';
import { reapChild } from '../../sys/children.js';
import type { ExitCode } from '../runtime/runtime.js';

/** Precondition: the process is this one's child, or becomes it when its parent ends. */
export function exitOfAdopted(pid: number): Promise<ExitCode> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const code = reapChild(pid);
      if (code === undefined) return;
      process.off('SIGCHLD', look);
      try {
        resolve(check(code, { operation: 'wait for the container' }));
      } catch (failure) {
        reject(failure);
      }
    };
    process.on('SIGCHLD', look);
    look();
  });
}
