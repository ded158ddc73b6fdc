// SPDX-License-Identifier: MIT
/** `--output`: what was built, elsewhere than in the store. */
import { mkdirSync } from 'node:fs';
import { fromText } from '../../base/bytes.js';
import { check } from '../../base/errors.js';
import { saveImages } from '../../image/archive/save.js';
import type { Digest } from '../../image/model/digest.js';
import { packView } from '../../image/pack/pack.js';
import { readImage } from '../../image/store/images.js';
import type { Store } from '../../image/store/store.js';
import { TarReader } from '../../image/tar/reader.js';
import { DEFAULT_LIMITS, LayerUnpacker } from '../../image/unpack/unpack.js';
import { Marks } from '../../overlay/formats/marks.js';
import type { Union } from '../../overlay/nodes/union.js';
import { openUnion } from '../../overlay/open/open.js';
import { Fd, O_DIRECTORY, O_RDONLY, openPath } from '../../sys/files.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { writeOut } from '../image/write-out.js';
import type { Output } from './requests.js';

/** Writes an image of the store. `names` are those that it was given. */
export async function writeOutput(
  store: Store,
  manifestDigest: Digest,
  names: readonly string[],
  { type, destination }: Output,
): Promise<void> {
  if (type === 'oci' || type === 'docker') {
    await writeOut(saveImages(store, names.length > 0 ? names : [manifestDigest]), destination);
    return;
  }
  const union = openUnion({
    lowers: store.lowersOf(readImage(store, manifestDigest).config.rootfs.diff_ids),
  });
  try {
    if (type === 'tar') await writeOut(packView(union), destination);
    else fillDirectory(union, destination);
  } finally {
    union.close();
  }
}

/** Files that are there make way; the rest stays. Everything becomes its maker's own, as with Docker. */
function fillDirectory(union: Union, directory: string): void {
  mkdirSync(directory, { recursive: true });
  const story = { operation: 'write', path: directory };
  using root = new Fd(check(openPath(fromText(directory), O_RDONLY | O_DIRECTORY), story));
  const marks = new Marks(!hasTrustedAttributes());
  const unpacker = new LayerUnpacker(root.number, directory, marks, DEFAULT_LIMITS, 'copy');
  const reader = new TarReader(unpacker, directory);
  try {
    for (const piece of packView(union, (entry) => ({ ...entry, uid: 0, gid: 0 }))) reader.write(piece);
    reader.finish();
    unpacker.finish();
  } finally {
    unpacker.close();
  }
}
