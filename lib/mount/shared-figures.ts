// SPDX-License-Identifier: MIT
/**
 * Figures that the serving thread keeps and the main thread reads, in shared
 * memory: the serving thread never answers a message, and counting costs it one
 * store.
 */
import { opcodeName } from '../fuse/requests.js';
import { COUNTED_OPCODES } from '../fuse/session.js';
import type { Union } from '../overlay/nodes/union.js';
import type { MountFigures } from './config.js';

const GAUGES = 4;

export class SharedFigures {
  readonly counts: Float64Array;
  readonly #gauges: Float64Array;

  /** Over memory that both threads see. */
  constructor({ buffer, byteOffset }: Pick<Buffer, 'buffer' | 'byteOffset'>) {
    this.counts = new Float64Array(buffer, byteOffset, COUNTED_OPCODES);
    this.#gauges = new Float64Array(buffer, byteOffset + COUNTED_OPCODES * 8, GAUGES);
  }

  /** Memory for a mount that keeps no state. */
  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer((COUNTED_OPCODES + GAUGES) * 8);
  }

  /** Called by the serving thread. */
  record(union: Union): void {
    this.#gauges[0] = union.nodes.size;
    this.#gauges[1] = union.listedEntries;
    this.#gauges[2] = union.directories.size;
    this.#gauges[3] = union.files.size;
  }

  read(): MountFigures {
    const requestsByName: Record<string, number> = {};
    let requests = 0;
    for (const [opcode, count] of this.counts.entries()) {
      if (count === 0) continue;
      requestsByName[opcodeName(opcode)] = count;
      requests += count;
    }
    const [nodes, listedEntries, openDirectories, openFiles] = this.#gauges;
    const residentMemory = process.memoryUsage.rss();
    return {
      requests,
      requestsByName,
      nodes,
      listedEntries,
      openDirectories,
      openFiles,
      residentMemory,
      shimMemory: 0,
      hungLayers: [],
    };
  }
}
