// SPDX-License-Identifier: MIT
/** What a request's row is given beside the message and the reply. */
import type { FileSystem, Requester } from './file-system.js';
import type { Agreement } from './init.js';

export interface ServeContext {
  readonly fileSystem: FileSystem;
  /** The calling process; valid until the reply. */
  readonly requester: Requester;
  /** Null until INIT was answered. */
  readonly agreement: Agreement | null;
  /** Makes the kernel ask for a node's attributes again. */
  attributesChanged(node: number): void;
}
