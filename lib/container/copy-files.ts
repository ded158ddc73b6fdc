// SPDX-License-Identifier: MIT
/**
 * Files from one root file system to another, as `docker cp` does it. Paths are
 * resolved as programs see them whose root it is (openat2, RESOLVE_IN_ROOT), so that
 * no symlink of a container leads out of it; what lies below goes by descriptors.
 */
import { type ByteString, fromText, toText } from '../base/bytes.js';
import { ELOOP, ENOENT, ENOTDIR } from '../base/errno.js';
import { check, OverlayError } from '../base/errors.js';
import { type NewOwner, packTree } from '../image/pack/tree.js';
import { TarReader } from '../image/tar/reader.js';
import { DEFAULT_LIMITS, LayerUnpacker } from '../image/unpack/unpack.js';
import { Marks } from '../overlay/formats/marks.js';
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

function refusal(root: Root, path: ByteString, reason?: string, errno?: number): OverlayError {
  return new OverlayError({ operation: 'copy', path: `${root.name}:${toText(path)}`, reason, errno });
}

function missing(root: Root, path: ByteString, errno: number): OverlayError {
  const isMissing = errno === -ENOENT || errno === -ENOTDIR;
  if (isMissing) return refusal(root, path, 'there is no such file or directory', errno);
  // openInRoot refuses the links of /proc that are none by name (RESOLVE_NO_MAGICLINKS).
  const isLoop = errno === -ELOOP;
  const links = 'it leads through too many symbolic links, or through one of /proc to what a process has';
  return refusal(root, path, isLoop ? links : undefined, errno);
}

/** A symlink's target as a path from the root. */
function targetOf(root: Root, { parent, name }: Place): ByteString {
  using directory = new Fd(check(root.open(parent, O_PATH | O_DIRECTORY), { operation: 'follow' }));
  const target = readLink(directory.number, name);
  if (typeof target === 'number') throw missing(root, name, target);
  return target.startsWith('/') ? target : `${parent}/${target}`;
}

const pathOf = ({ parent, name }: Place): ByteString => (name === '' ? parent : `${parent}/${name}`);

/** As many as the kernel follows (MAXSYMLINKS). */
const MOST_LINKS = 40;

/** Where a path leads. */
interface Found {
  /** The last link's target, if links were followed, whether or not something is there. */
  place: Place;
  /** 0, or a negated errno where nothing is. */
  status: number;
  stat: Stat;
  /** A slash at the end of the path, or of a link's target, says that it is a directory. */
  asDirectory: boolean;
}

/**
 * Looks at the last component by itself: the name of a file that a link leads to, which the
 * file's descriptor does not tell, is where a copy is written.
 */
function find(root: Root, written: Place, follow: boolean): Found {
  const found: Found = { place: written, status: -ELOOP, stat: new Stat(), asDirectory: false };
  for (let links = 0; links <= MOST_LINKS; links++) {
    const { place, stat } = found;
    found.asDirectory ||= place.slash || place.contents;
    const status = root.open(pathOf(place), O_PATH | O_NOFOLLOW);
    if (status < 0) return { ...found, status };
    using fd = new Fd(status);
    check(statFd(fd.number, stat), { operation: 'stat', path: toText(pathOf(place)) });
    if (stat.type !== S_IFLNK || !follow) return { ...found, status: 0 };
    found.place = takeApart(targetOf(root, place));
  }
  return found;
}

export interface PackOptions {
  follow: boolean;
  owner: NewOwner | undefined;
  /** Where it is unpacked, if that is a directory here. */
  into?: Fd | undefined;
}

/**
 * Packs what lies at a path. `as` gives it a name in the archive. A symlink is copied as
 * one, unless `follow` is set or the path ends in a slash.
 */
export function openSource(
  root: Root,
  path: ByteString,
  as: (source: Omit<Source, 'archive'>) => ByteString,
  { follow, owner, into }: PackOptions,
): Source {
  const written = takeApart(path);
  const { place, status, stat, asDirectory } = find(
    root,
    written,
    follow || written.slash || written.contents,
  );
  if (status < 0) throw missing(root, path, status);
  const { isDirectory } = stat;
  if (asDirectory && !isDirectory) throw refusal(root, path, 'it is not a directory');
  const source = { isDirectory, contents: written.contents, name: written.name };
  return { ...source, archive: packFrom(root, place, as(source), { owner, into }) };
}

function* packFrom(
  root: Root,
  { parent, name }: Place,
  as: ByteString,
  { owner, into }: Pick<PackOptions, 'owner' | 'into'>,
): Generator<Buffer> {
  const stat = new Stat();
  if (into !== undefined) check(statFd(into.number, stat), { operation: 'stat' });
  using directory = new Fd(
    check(root.open(parent, O_PATH | O_DIRECTORY), { operation: 'copy from', path: root.name }),
  );
  yield* packTree(directory.number, name === '' ? '.' : name, as, owner, into && stat);
}

/** Where a copy goes: a directory that is there, and the name it gets in it. */
export interface Destination extends Disposable {
  directory: Fd;
  /** What the topmost entry is called; `.` for the directory itself. */
  nameFor(source: Omit<Source, 'archive'>): ByteString;
}

/**
 * Throws an OverlayError for a place that cannot take what is copied. Links at the end are
 * followed, also those that lead to nothing yet: the link stays, and what it names is written.
 */
export function openDestination(root: Root, path: ByteString): Destination {
  const { place, status, stat, asDirectory } = find(root, takeApart(path), true);
  if (status < 0 && status !== -ENOENT) throw missing(root, path, status);
  const exists = status === 0;
  if (exists && stat.isDirectory) return insideOf(root, place);
  if (exists && asDirectory) throw refusal(root, path, 'it is not a directory');
  // What a program would write to, a copy would take away: /dev/null, a socket.
  if (exists && !stat.isRegular) throw refusal(root, path, 'it is neither a directory nor a regular file');
  const parent = root.open(place.parent, O_PATH | O_DIRECTORY);
  if (parent < 0) throw refusal(root, path, 'the directory that it would lie in is not there');
  const directory = new Fd(parent);
  return {
    directory,
    nameFor: ({ isDirectory }) => {
      if (isDirectory && exists) throw refusal(root, path, 'a directory cannot take the place of a file');
      // `x/.` is in a directory that is there; `x/` may become one.
      if (place.contents || (asDirectory && !isDirectory))
        throw refusal(root, path, 'there is no such directory');
      return place.name;
    },
    [Symbol.dispose]: () => directory.close(),
  };
}

function insideOf(root: Root, place: Place): Destination {
  const story = { operation: 'copy to', path: `${root.name}:${toText(pathOf(place))}` };
  const directory = new Fd(check(root.open(pathOf(place), O_PATH | O_DIRECTORY), story));
  return {
    directory,
    nameFor: ({ contents, isDirectory, name }) => ((contents && isDirectory) || name === '' ? '.' : name),
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
