// SPDX-License-Identifier: MIT
/**
 * The context: the directory that a build may read. What .dockerignore leaves out is
 * hidden by a layer of whiteouts on top of it, so that every reader of
 * the context sees what is there for the build and nothing else.
 */
import { existsSync, mkdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type ByteString, fromText, toText } from '../../base/bytes.js';
import { check, OverlayError } from '../../base/errors.js';
import { layWhiteout } from '../../overlay/formats/lay-whiteout.js';
import { Marks } from '../../overlay/formats/marks.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { changeMode, changeTimes, listDirectory, makeDirectory } from '../../sys/entries.js';
import { AT_FDCWD, Fd, O_DIRECTORY, O_RDONLY, openAt, openPath } from '../../sys/files.js';
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { Stat, statAt, statFd } from '../../sys/stat.js';
import { IgnoreList } from '../language/ignore.js';

export interface Context {
  /** Absolute. */
  directory: string;
  ignored: IgnoreList;
}

/** Throws an OverlayError for what is no directory. `dockerfile` may have an ignore file of its own. */
export function openContext(path: string, dockerfile: string | undefined): Context {
  const story = { operation: 'read the context', path };
  try {
    if (!statSync(path).isDirectory())
      throw new OverlayError({
        ...story,
        reason: 'it is not a directory',
        remedy: 'give the directory to build',
      });
  } catch (cause) {
    if (cause instanceof OverlayError) throw cause;
    const { errno, code } = cause as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'there is no such directory' : undefined;
    throw new OverlayError({ ...story, errno, reason, remedy: 'give the directory to build', cause });
  }
  const directory = realpathSync(path);
  const own = dockerfile === undefined ? undefined : `${resolve(dockerfile)}.dockerignore`;
  const file = own !== undefined && existsSync(own) ? own : join(directory, '.dockerignore');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return { directory, ignored: IgnoreList.parse(text, file) };
}

/** The context as layers, top first; `makeScratch` gives a path for a new directory, which has the whiteouts. */
export function layersOfContext({ directory, ignored }: Context, makeScratch: () => string): LayerSet {
  if (ignored.isEmpty) return { lowers: [directory] };
  const { mask } = look(ignored, AT_FDCWD, fromText(directory), '');
  if (mask === undefined) return { lowers: [directory] };
  const scratch = makeScratch();
  mkdirSync(scratch);
  const marks = new Marks(!hasTrustedAttributes());
  using root = new Fd(
    check(openPath(fromText(scratch), O_RDONLY | O_DIRECTORY), { operation: 'open', path: scratch }),
  );
  place(mask, root.number, (directory, name) => layWhiteout(marks, root.number, directory, name));
  return { lowers: [scratch, directory] };
}

/** What is hidden in a directory and below it, and what the directory looks like, which its topmost layer says. */
interface Mask {
  hidden: ByteString[];
  below: Map<ByteString, Mask>;
  mode: number;
  seconds: number;
  nanoseconds: number;
}

interface Seen {
  /** Whether anything in the directory is there for the build. */
  isShown: boolean;
  /** Undefined where nothing is hidden. */
  mask: Mask | undefined;
}

function look(ignored: IgnoreList, parent: number, name: ByteString, path: ByteString): Seen {
  const story = { operation: 'read the context', path: toText(path === '' ? name : path) };
  using fd = new Fd(check(openAt(parent, name, O_RDONLY | O_DIRECTORY), story));
  const stat = new Stat();
  check(statFd(fd.number, stat), story);
  const { mode, modifySeconds: seconds, modifyNanoseconds: nanoseconds } = stat;
  const mask: Mask = { hidden: [], below: new Map(), mode, seconds, nanoseconds };
  const names: ByteString[] = [];
  check(
    listDirectory(fd.number, (entry) => names.push(entry) > 0),
    story,
  );
  for (const entry of names) {
    const whole = path === '' ? entry : `${path}/${entry}`;
    const isIgnored = ignored.ignores(toText(whole));
    check(statAt(fd.number, entry, stat), { ...story, path: toText(whole) });
    const isWalked = stat.isDirectory && (!isIgnored || ignored.hasExceptions);
    const seen = isWalked ? look(ignored, fd.number, entry, whole) : undefined;
    // An ignored directory is there for the sake of what is brought back in it.
    if (isIgnored && seen?.isShown !== true) mask.hidden.push(entry);
    else if (seen?.mask !== undefined) mask.below.set(entry, seen.mask);
  }
  const isChanged = mask.hidden.length > 0 || mask.below.size > 0;
  return { isShown: mask.hidden.length < names.length, mask: isChanged ? mask : undefined };
}

/** Makes the whiteouts. */
function place(
  { hidden, below, mode, seconds, nanoseconds }: Mask,
  directory: number,
  hide: (directory: number, name: ByteString) => number,
): void {
  const story = { operation: 'hide what .dockerignore leaves out' };
  for (const name of hidden) check(hide(directory, name), { ...story, path: toText(name) });
  for (const [name, mask] of below) {
    check(makeDirectory(directory, name, 0o700), { ...story, path: toText(name) });
    using fd = new Fd(check(openAt(directory, name, O_RDONLY | O_DIRECTORY), story));
    place(mask, fd.number, hide);
  }
  check(changeMode(directory, '.', mode & 0o7777), story);
  const times = { modifySeconds: seconds, modifyNanoseconds: nanoseconds };
  check(
    changeTimes(directory, '.', { accessSeconds: seconds, accessNanoseconds: nanoseconds, ...times }),
    story,
  );
}
