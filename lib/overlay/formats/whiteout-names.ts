// SPDX-License-Identifier: MIT
/** Names of whiteouts that are plain files (image-spec layer.md, "Whiteouts"); file-whiteouts.ts has what they mean. */
import type { ByteString } from '../../base/bytes.js';

export const FILE_WHITEOUT_PREFIX = '.wh.';
const BOOKKEEPING = '.wh..wh.';

/** Whether an entry of a real directory is of this format. */
export function isFileOfFormat(entry: ByteString): boolean {
  return entry.startsWith(FILE_WHITEOUT_PREFIX);
}

/** The name that an entry of a real directory hides; '' where it hides none. Precondition: the entry is reserved. */
export function hiddenBy(entry: ByteString): ByteString {
  return entry.startsWith(BOOKKEEPING) ? '' : entry.slice(FILE_WHITEOUT_PREFIX.length);
}
