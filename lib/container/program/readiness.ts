// SPDX-License-Identifier: MIT
/**
 * Being told that a descriptor is ready without reading it. Node reads whatever it watches, and what it has read
 * dies with it; so the kernel sends SIGIO (fcntl(2), O_ASYNC), and all who wait look for themselves.
 */
import { check } from '../../base/errors.js';
import { setStatusFlags, signalWhenReady } from '../../sys/channels.js';
import { O_NONBLOCK, O_RDWR } from '../../sys/files.js';

const watchers = new Set<() => void>();

function lookAll(): void {
  for (const look of watchers) look();
}

/** Calls `look` whenever one of the descriptors may be ready; they do not wait any more. Answers what ends it. */
export function watchReady(descriptors: readonly number[], look: () => void): () => void {
  // Without somebody to hear it the signal would end the process.
  if (watchers.size === 0) process.on('SIGIO', lookAll);
  watchers.add(look);
  for (const fd of descriptors) check(signalWhenReady(fd), { operation: 'watch standard streams' });
  return () => {
    watchers.delete(look);
    // Others may have the same open file; nobody here hears of it any more.
    for (const fd of descriptors) setStatusFlags(fd, O_RDWR | O_NONBLOCK);
  };
}
