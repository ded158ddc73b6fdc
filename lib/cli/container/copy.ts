// SPDX-License-Identifier: MIT
/** `tsoverlay cp` */
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { fromText } from '../../base/bytes.js';
import { UsageError } from '../../base/errors.js';
import { openDestination, openSource, Root, unpackInto } from '../../container/copy-files.js';
import { findContainer } from '../../container/state/containers.js';
import type { NewOwner } from '../../image/pack/tree.js';
import { Store } from '../../image/store/store.js';
import type { Arguments } from '../commands/table.js';
import { isStandard, writeOut } from '../image/write-out.js';
import { decimalSize } from '../words/format.js';
import { withRoot } from './live.js';

/** `CONTAINER:PATH`; a path of this machine begins with / or . or has no colon. */
function containerPath(text: string): { name: string; path: string } | undefined {
  if (/^[/.]/.test(text)) return undefined;
  const colon = text.indexOf(':');
  return colon <= 0 ? undefined : { name: text.slice(0, colon), path: text.slice(colon + 1) };
}

/**
 * A path as it is meant: from `base`, `..` by the text, as Docker takes it on both sides, and
 * the slash or the dot at its end, which says that a directory or what is in one is meant.
 */
function wholePath(text: string, base: string): string {
  const end = /(\/\.?|^\.)$/.exec(text)?.[0] ?? '';
  const whole = resolve(base, text);
  return end === '.' ? `${whole}/.` : `${whole}${end}`;
}

const localPath = (text: string): string => wholePath(text, process.cwd());

/** Whether what is copied has a container's directory in it: that copy would hold itself, and never end. */
function holds(args: Arguments<'cp'>, directory: string): boolean {
  const path = resolve(args.source);
  if (!existsSync(path)) return false;
  // A link that is copied as one holds nothing.
  const isFollowed = args['follow-link'] || /(^|\/)\.?$/.test(args.source);
  if (!isFollowed && lstatSync(path).isSymbolicLink()) return false;
  return `${realpathSync(directory)}/`.startsWith(`${realpathSync(path)}/`.replace('//', '/'));
}

/** Without -a everything belongs to root in a container, and to the user outside. */
function ownerOf({ archive }: Arguments<'cp'>, inContainer: boolean): NewOwner | undefined {
  if (archive) return undefined;
  return inContainer ? { uid: 0, gid: 0 } : { uid: process.getuid!(), gid: process.getgid!() };
}

interface Side {
  root: Root;
  path: string;
}

/** Between two root file systems; either may be that of this machine. */
async function copyBetween(
  from: Side,
  to: Side,
  args: Arguments<'cp'>,
  intoContainer: boolean,
): Promise<void> {
  using destination = openDestination(to.root, fromText(to.path));
  const source = openSource(from.root, fromText(from.path), (found) => destination.nameFor(found), {
    follow: args['follow-link'],
    owner: ownerOf(args, intoContainer),
    into: destination.directory,
  });
  const size = await unpackInto(destination.directory, source.archive, args.source);
  if (args.quiet || !process.stderr.isTTY) return;
  process.stderr.write(`Successfully copied ${decimalSize(size)} to ${args.destination}\n`);
}

async function copyOut(args: Arguments<'cp'>, root: Root, path: string): Promise<void> {
  if (!isStandard(args.destination)) {
    using here = new Root('/', 'this machine');
    await copyBetween({ root, path }, { root: here, path: localPath(args.destination) }, args, false);
    return;
  }
  const source = openSource(root, fromText(path), ({ name }) => (name === '' ? '.' : name), {
    follow: args['follow-link'],
    owner: undefined,
  });
  await writeOut(source.archive, '-');
}

async function copyIn(args: Arguments<'cp'>, root: Root, path: string): Promise<void> {
  if (!isStandard(args.source)) {
    using here = new Root('/', 'this machine');
    await copyBetween({ root: here, path: localPath(args.source) }, { root, path }, args, true);
    return;
  }
  using destination = openDestination(root, fromText(path));
  if (destination.nameFor({ isDirectory: true, contents: true, name: '' }) !== '.')
    throw new UsageError(`${args.destination} is not a directory`, 'an archive is unpacked into one');
  await unpackInto(destination.directory, process.stdin, 'standard input');
}

export async function copy(args: Arguments<'cp'>): Promise<void> {
  const from = containerPath(args.source);
  const to = containerPath(args.destination);
  if ((from === undefined) === (to === undefined)) {
    throw new UsageError(
      from === undefined ? 'neither path is of a container' : 'both paths are of containers',
      'write CONTAINER:PATH for one of them',
    );
  }
  const { name, path } = (from ?? to)!;
  const container = findContainer(Store.open(args.root), name);
  if (from === undefined && !isStandard(args.source) && holds(args, container.directory)) {
    throw new UsageError(
      `${args.source} holds the files of ${name}`,
      'copy what lies beside the store one by one',
    );
  }
  await withRoot(container, async (rootPath) => {
    using root = new Root(rootPath, name);
    const inside = wholePath(path, '/');
    await (from === undefined ? copyIn(args, root, inside) : copyOut(args, root, inside));
  });
}
