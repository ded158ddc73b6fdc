// SPDX-License-Identifier: MIT
/** The attributes that a lookup or a creation reads on its way, for a caller that wants them next. */
import { Stat } from '../../sys/stat.js';
import type { FileNode } from './node.js';

/** Owned by the caller, which uses one again for all its calls. */
export class Measured {
  /** The file that `stat` holds the attributes of, as they are on disk; null: of none. */
  file: FileNode | null = null;

  /** `stat` is where attributes are read to, and nothing to rely on before `file` is set. */
  constructor(public stat = new Stat()) {}

  /** Ready for the next call, which is to read to `stat`. */
  into(stat: Stat): this {
    this.stat = stat;
    this.file = null;
    return this;
  }
}

/** For callers that want no attributes. */
export const unmeasured = new Measured();
