// SPDX-License-Identifier: MIT
/** A directory of a view as a real one. */
import { fromText } from '../../base/bytes.js';
import { check } from '../../base/errors.js';
import { packDirectory } from '../../image/pack/pack.js';
import { TarReader } from '../../image/tar/reader.js';
import { LayerUnpacker } from '../../image/unpack/unpack.js';
import { getAttributes } from '../../overlay/data/attributes.js';
import { Marks } from '../../overlay/formats/marks.js';
import type { DirectoryNode } from '../../overlay/nodes/node.js';
import type { Union } from '../../overlay/nodes/union.js';
import { changeMode, changeOwner, changeTimes } from '../../sys/entries.js';
import { Fd, O_DIRECTORY, O_RDONLY, openPath } from '../../sys/files.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { Stat } from '../../sys/stat.js';

/** Fills an empty directory with all that one of the view holds, and makes it like that. `what` is for messages. */
export function fillFromView(union: Union, from: DirectoryNode, to: string, what: string): void {
  using root = new Fd(check(openPath(fromText(to), O_RDONLY | O_DIRECTORY), { operation: 'open', path: to }));
  const unpacker = new LayerUnpacker(root.number, what, new Marks(!hasTrustedAttributes()));
  try {
    const reader = new TarReader(unpacker, what);
    for (const piece of packDirectory(union, from)) reader.write(piece);
    reader.finish();
    unpacker.finish();
    copyAttributes(union, from, root.number, to);
  } finally {
    unpacker.close();
  }
}

function copyAttributes(union: Union, from: DirectoryNode, to: number, path: string): void {
  const story = { operation: 'make a directory', path };
  const stat = new Stat();
  check(getAttributes(union, from, stat), story);
  check(changeOwner(to, '.', stat.uid, stat.gid), story);
  check(changeMode(to, '.', stat.mode & 0o7777), story);
  const { modifySeconds, modifyNanoseconds } = stat;
  const times = { accessSeconds: modifySeconds, accessNanoseconds: modifyNanoseconds };
  check(changeTimes(to, '.', { ...times, modifySeconds, modifyNanoseconds }), story);
}
