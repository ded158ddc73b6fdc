// SPDX-License-Identifier: MIT
/**
 * Loaded before a server (NODE_OPTIONS=--require), this kills it at the nth fault point: one
 * lies before each system call that it makes through lib/sys and one after it, where the
 * process has the answer and has done nothing with it yet. The file that FAULT_POINTS names
 * holds two 32-bit numbers: how many points are left (0: none is wanted), and how many
 * servers were killed by this.
 *
 * Waiting for requests is left out: nothing is in hand there.
 */
import koffi = require('koffi');
import fs = require('node:fs');

type Native = (...args: unknown[]) => unknown;

const PAGE = 4096;
const path = process.env.FAULT_POINTS;

function mapCounter(libc: koffi.LibraryHandle, file: string): Int32Array {
  const mmap = libc.func(
    'void *mmap(uintptr_t at, size_t size, int protection, int flags, int fd, int64 offset)',
  );
  const fd = fs.openSync(file, 'r+');
  const address = mmap(0, PAGE, 3, 1, fd, 0) as bigint;
  fs.closeSync(fd);
  return new Int32Array(koffi.view(address, PAGE));
}

function pass(counter: Int32Array): void {
  if (counter[0] === 0 || --counter[0] > 0) return;
  counter[1]++;
  process.kill(process.pid, 'SIGKILL');
}

/** As before Linux 6.9: nobody sends a request again (FUSE_NOTIFY_RESEND). */
const withoutResend = process.env.FAULT_NO_RESEND !== undefined;

function isResend([, message]: unknown[]): boolean {
  return (
    Buffer.isBuffer(message) &&
    message.length === 16 &&
    message.readInt32LE(4) === 7 &&
    message.readInt32LE(8) === 0
  );
}

if (path !== undefined) {
  const load = koffi.load.bind(koffi);
  const instrumented = (name: string | null): unknown => {
    const library = load(name);
    const counter = mapCounter(library, path);
    return {
      func: (prototype: string) => {
        const native = library.func(prototype) as unknown as Native;
        if (/ \*?(read|poll|mmap|munmap)\(/.test(prototype)) return native;
        return (...args: unknown[]) => {
          if (withoutResend && isResend(args)) return (args[1] as Buffer).length;
          pass(counter);
          const result = native(...args);
          pass(counter);
          return result;
        };
      },
    };
  };
  koffi.load = instrumented as typeof koffi.load;
}
