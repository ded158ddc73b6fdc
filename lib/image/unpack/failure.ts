// SPDX-License-Identifier: MIT
/** Why an entry of a layer cannot be unpacked, in words: an errno means something particular beneath a layer's root. */
import { EEXIST, ELOOP, ENOENT, ENOSPC, ENOTDIR, EPERM, EXDEV } from '../../base/errno.js';
import { OverlayError } from '../../base/errors.js';

/** An entry that is not as it may be. */
export function refusal(path: string, layer: string, reason: string, remedy?: string): OverlayError {
  return new OverlayError({ operation: 'unpack', path, layer, errno: EPERM, reason, remedy });
}

/** What a system call's answer says of an entry; `subject` is what it was about, if not the entry itself. */
export function unpackFailure(status: number, path: string, layer: string, subject = 'it'): OverlayError {
  switch (status) {
    case -EEXIST:
      return refusal(path, layer, 'the archive has it twice');
    case -ELOOP:
    case -ENOTDIR:
      return refusal(path, layer, `${subject} lies behind a file or a symlink`);
    case -ENOENT:
      return refusal(path, layer, `${subject} is not in the layer`);
    case -EXDEV:
      return refusal(path, layer, `${subject} lies behind a symlink that leads out of the layer`);
    case -ENOSPC:
      return new OverlayError({
        operation: 'unpack',
        path,
        layer,
        errno: status,
        reason: 'no space is left on the device',
        remedy: 'free some (`tsoverlay image prune`), or choose another store with --root',
      });
    default:
      return new OverlayError({ operation: 'unpack', path, layer, errno: status });
  }
}
