// SPDX-License-Identifier: MIT
/** Something that a build may read and that is kept nowhere. */
export interface Secret {
  /** Read when a step asks for it. Throws an OverlayError where it cannot be. */
  read(): Buffer;
}
