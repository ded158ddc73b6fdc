// SPDX-License-Identifier: MIT
/**
 * Loaded before a container's server (NODE_OPTIONS=--require), this kills it, once, at the moment
 * when a program is prepared and kept, and about to be let go on. The file that DIE_ONCE names is
 * there from then on.
 */
import childProcess = require('node:child_process');
import fs = require('node:fs');
import net = require('node:net');

const mark = process.env.DIE_ONCE;

function die(): void {
  try {
    fs.writeFileSync(mark!, '', { flag: 'wx' });
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw failure;
  }
  process.kill(process.pid, 'SIGKILL');
}

/** Calls `die` before a method that is called with something that `isIt`. */
function before(object: object, name: string, isIt: (args: unknown[]) => boolean): void {
  const methods = object as Record<string, (...args: unknown[]) => unknown>;
  const method = methods[name];
  methods[name] = function (this: unknown, ...args: unknown[]): unknown {
    if (isIt(args)) die();
    return method.apply(this, args);
  };
}

if (mark !== undefined) {
  before(net.Socket.prototype, 'write', ([data]) => data === 'go on\n');
  before(childProcess, 'spawn', ([, args]) => Array.isArray(args) && args.at(-2) === 'start');
}
