// SPDX-License-Identifier: MIT
/** What loading an archive of images is asked for, and answers. */
import type { Digest } from '../model/digest.js';
import type { Platform } from '../model/platform.js';
import type { UnpackLimits } from '../unpack/unpack.js';

export interface LoadOptions {
  /** Asked for, and refused where it is not there; without one the machine's is preferred. */
  platform?: Platform | undefined;
  limits: UnpackLimits;
}

export interface LoadedImage {
  id: Digest;
  /** In full; undefined for an image that the archive gives no name. */
  name: string | undefined;
}
