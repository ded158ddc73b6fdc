// SPDX-License-Identifier: MIT
/**
 * Files from one root file system to another, as `docker cp` does it. Paths are
 * resolved as programs see them whose root it is (openat2, RESOLVE_IN_ROOT), so that
 * no symlink of a container leads out of it; what lies below goes by descriptors.
 */
import { type ByteString, fromText, toText } from '../base/bytes.js';
import { ENOENT, ENOTDIR } from '../base/errno.js';
import { check, OverlayError } from '../base/errors.js';
import { type NewOwner, packTree } from '../image/pack-tree.js';
import { TarReader } from '../image/tar-reader.js';
import { DEFAULT_LIMITS, LayerUnpacker } from '../image/unpack.js';
import { Marks } from '../overlay/marks.js';
import { readLink } from '../sys/entries.js';
import { Fd, O_DIRECTORY, O_NOFOLLOW, O_PATH, openAt, openInRoot, openPath } from '../sys/files.js';
import { hasTrustedAttributes } from '../sys/privilege.js';
import { S_IFLNK, Stat, statFd } from '../sys/stat.js';

/** A root file system that is mounted somewhere. */
export class Root implements Disposable {
  readonly #fd: Fd;

  /** `name` is for messages. */
  constructor(
    path: string,
    readonly name: string,
  ) {
    const story = { operation: 'open the root file system of', path: name };
    this.#fd = new Fd(check(openPath(fromText(path), O_PATH | O_DIRECTORY), story));
  }

  open(path: ByteString, flags: number): number {
    return openInRoot(this.#fd.number, path === '' ? '.' : path, flags);
  }

  [Symbol.dispose](): void {
    this.#fd.close();
  }
}

/** A path taken apart: where it lies, what it is called, and how it was written. */
interface Place {
  parent: ByteString;
  /** Empty for the root itself. */
  name: ByteString;
  /** `x/.`: what a directory holds, not itself. */
  contents: boolean;
  /** `x/`: a directory, or what a link leads to. */
  slash: boolean;
}

function takeApart(path: ByteString): Place {
  const contents = /(^|\/)\.$/.test(path);
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  // What `..` means is for the root file system to say.
  const name = parts.at(-1) === '..' ? '' : (parts.pop() ?? '');
  return { parent: parts.join('/'), name, contents, slash: path.endsWith('/') };
}

export interface Source {
  archive: Generator<Buffer>;
  isDirectory: boolean;
  contents: boolean;
  name: ByteString;
}

function missing(root: Root, path: ByteString, errno: number): OverlayError {
  const isMissing = errno === -ENOENT || errno === -ENOTDIR;
  return new OverlayError({
    operation: 'copy',
    path: `${root.name}:${toText(path)}`,
    errno,
    reason: isMissing ? 'there is no such file or directory' : undefined,
  });
}

/** A symlink's target as a path from the root. */
function targetOf(root: Root, { parent, name }: Place): ByteString {
  using directory = new Fd(check(root.open(parent, O_PATH | O_DIRECTORY), { operation: 'follow' }));
  const target = readLink(directory.number, name);
  if (typeof target === 'number') throw missing(root, name, target);
  return target.startsWith('/') ? target : `${parent}/${target}`;
}

const MOST_LINKS = 40;

/**
 * Packs what lies at a path. `as` gives it a name in the archive. A symlink is copied as
 * one, unless `follow` is set or the path ends in a slash.
 */
export function openSource(
  root: Root,
  path: ByteString,
  as: (source: Omit<Source, 'archive'>) => ByteString,
  { follow, owner }: { follow: boolean; owner: NewOwner | undefined },
): Source {
  const written = takeApart(path);
  let place = written;
  const stat = new Stat();
  for (let links = 0; ; links++) {
    const found = root.open(
      place.name === '' ? place.parent : `${place.parent}/${place.name}`,
      O_PATH | O_NOFOLLOW,
    );
    if (found < 0 || links > MOST_LINKS) throw missing(root, path, found);
    using fd = new Fd(found);
    check(statFd(fd.number, stat), { operation: 'stat', path: toText(path) });
    if (stat.type !== S_IFLNK || !(follow || written.slash || written.contents)) break;
    place = takeApart(targetOf(root, place));
  }
  if (written.slash && !stat.isDirectory) throw missing(root, path, -ENOTDIR);
  const source = { isDirectory: stat.isDirectory, contents: written.contents, name: written.name };
  return { ...source, archive: packFrom(root, place, as(source), owner) };
}

function* packFrom(
  root: Root,
  { parent, name }: Place,
  as: ByteString,
  owner: NewOwner | undefined,
): Generator<Buffer> {
  using directory = new Fd(
    check(root.open(parent, O_PATH | O_DIRECTORY), { operation: 'copy from', path: root.name }),
  );
  yield* packTree(directory.number, name === '' ? '.' : name, as, owner);
}

/** Where a copy goes: a directory that is there, and the name it gets in it. */
export interface Destination extends Disposable {
  directory: Fd;
  /** What the topmost entry is called; `.` for the directory itself. */
  nameFor(source: Omit<Source, 'archive'>): ByteString;
}

/** Throws an OverlayError for a place that cannot take what is copied. */
export function openDestination(root: Root, path: ByteString): Destination {
  const place = takeApart(path);
  const found = root.open(path, O_PATH);
  const refuse = (reason: string): OverlayError =>
    new OverlayError({ operation: 'copy to', path: `${root.name}:${toText(path)}`, reason });
  if (found >= 0) {
    const stat = new Stat();
    check(statFd(found, stat), { operation: 'stat', path: toText(path) });
    if (stat.isDirectory) {
      const directory = new Fd(found);
      return {
        directory,
        nameFor: ({ contents, isDirectory, name }) =>
          contents && isDirectory ? '.' : name === '' ? '.' : name,
        [Symbol.dispose]: () => directory.close(),
      };
    }
    new Fd(found).close();
    if (place.slash || place.contents) throw refuse('it is no directory');
  } else if (found !== -ENOENT) throw missing(root, path, found);
  const parent = root.open(place.parent, O_PATH | O_DIRECTORY);
  if (parent < 0) throw refuse('the directory that it would lie in is not there');
  const directory = new Fd(parent);
  return {
    directory,
    nameFor: ({ isDirectory }) => {
      if (isDirectory && found >= 0) throw refuse('a directory cannot take the place of a file');
      if (!isDirectory && place.slash) throw refuse('there is no such directory');
      return place.name;
    },
    [Symbol.dispose]: () => directory.close(),
  };
}

/** Unpacks an archive below a directory; files that are there are replaced. Answers the bytes that were written. */
export async function unpackInto(
  directory: Fd,
  archive: Iterable<Buffer> | AsyncIterable<Buffer>,
  what: string,
): Promise<number> {
  using root = new Fd(check(openAt(directory.number, '.', O_DIRECTORY), { operation: 'open', path: what }));
  const marks = new Marks(!hasTrustedAttributes());
  const unpacker = new LayerUnpacker(root.number, what, marks, DEFAULT_LIMITS, 'copy');
  try {
    const reader = new TarReader(unpacker, what);
    for await (const piece of archive) reader.write(piece);
    reader.finish();
    return unpacker.finish().size;
  } finally {
    unpacker.close();
  }
}
