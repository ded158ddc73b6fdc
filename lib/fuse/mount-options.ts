// SPDX-License-Identifier: MIT
/** What a FUSE mount is asked to be. */
export interface FuseMountOptions {
  target: string;
  /** What /proc/mounts shows as source. */
  source: string;
  /** Follows `fuse.` in the type that /proc/mounts shows. */
  subtype: string;
  /** MS_* flags. */
  flags: number;
  /** Other users may use the mount. */
  allowOther: boolean;
  /** SELinux context of every file. */
  context?: string | undefined;
  /** A descriptor of /dev/fuse that somebody else has mounted at the target; it becomes the mount's. */
  device?: number | undefined;
}
