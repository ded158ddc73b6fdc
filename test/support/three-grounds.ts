// SPDX-License-Identifier: MIT
/**
 * Three grounds for one suite: node:fs/promises on a plain directory, which says what is right, the
 * library over layers, and node:fs/promises on a mount of the same layers. What a case answers is put
 * into a form that is the same on each where they do the same.
 */
import * as fs from 'node:fs';
import * as promises from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Overlay } from '../../lib/index.js';
import type { FilePromises } from '../../lib/library/shape.js';
import { makeLayers, mountOurs, scratch } from './ground.js';

/** `at` is the directory of a case, with a tree of its own in it. */
export type Case = (fs: FilePromises, at: string) => unknown;

export interface Ground {
  name: string;
  fs: FilePromises;
  /** What every path of it begins with. */
  base: string;
}

/** What each case has: files, directories, links to both, one that leads nowhere and one to itself. */
function makeTree(at: string): void {
  for (const name of ['dir/sub/deep', 'empty']) fs.mkdirSync(join(at, name), { recursive: true });
  const files = {
    file: 'content',
    '.hidden': 'dot',
    'dir/inner': 'inner',
    'dir/sub/x': 'x',
    'dir/sub/deep/y': 'y',
  };
  for (const [name, content] of Object.entries(files)) fs.writeFileSync(join(at, name), content);
  const links = { dlink: 'dir', flink: 'file', dangling: 'nowhere', loop: 'loop', through: 'dir/made' };
  for (const [name, target] of Object.entries(links)) fs.symlinkSync(target, join(at, name));
  fs.linkSync(join(at, 'file'), join(at, 'hard'));
  fs.chmodSync(join(at, 'file'), 0o640);
  fs.chmodSync(join(at, 'dir'), 0o1755);
  fs.utimesSync(join(at, 'file'), 1_000_000_000.123456, 1_000_000_000.123456);
}

const node = {
  ...promises,
  createReadStream: fs.createReadStream,
  createWriteStream: fs.createWriteStream,
} as unknown as FilePromises;

/** Grounds that hold one tree for each of so many cases: `/0`, `/1` and so on. */
export async function grounds(t: Test, cases: number): Promise<Ground[]> {
  const base = scratch(t);
  const layers = makeLayers(base, 1);
  const mounted = makeLayers(join(base, 'mounted'), 1);
  const plain = join(base, 'plain');
  for (const place of [plain, layers.lowers[0], mounted.lowers[0]]) {
    for (let index = 0; index < cases; index++) makeTree(join(place, `${index}`));
  }
  const overlay = await Overlay.open({ ...layers, index: true });
  t.teardown(() => overlay.close());
  await mountOurs(t, mounted, { index: true });
  return [
    { name: 'a directory', fs: node, base: plain },
    { name: 'the library', fs: overlay, base: '' },
    { name: 'a mount', fs: node, base: mounted.target },
  ];
}

/** What a case answered or threw. Answers of promises and iterators are waited for. */
export async function outcome(ground: Ground, index: number, act: Case): Promise<unknown> {
  try {
    return plain(await act(ground.fs, `${ground.base}/${index}`), ground);
  } catch (failure) {
    return { threw: errorOf(failure as NodeJS.ErrnoException, ground) };
  }
}

function errorOf(failure: NodeJS.ErrnoException & { dest?: string }, ground: Ground): object {
  const { code, errno, syscall, path, dest, message } = failure;
  const kind = [TypeError, RangeError].find((one) => failure instanceof one)?.name ?? 'Error';
  // Of others the words may change with the version of Node.
  const isErrno = code !== undefined && /^E[A-Z0-9]+$/.test(code);
  const words = isErrno ? { errno, syscall, message } : { kind };
  return plain({ code, path, dest, ...words }, ground) as object;
}

function plain(value: unknown, ground: Ground): unknown {
  if (typeof value === 'string') return ground.base === '' ? value : value.replaceAll(ground.base, '');
  if (Buffer.isBuffer(value)) return { buffer: plain(value.toString('latin1'), ground) };
  if (Array.isArray(value)) return value.map((one) => plain(one, ground));
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== undefined)
      .map(([name, one]) => [name, plain(one, ground)]),
  );
}

/** Answers the error of a promise in place of ending the case. */
export async function tried(act: Promise<unknown> | (() => unknown)): Promise<unknown> {
  try {
    return (await (typeof act === 'function' ? act() : act)) ?? 'done';
  } catch (failure) {
    const { code, syscall } = failure as NodeJS.ErrnoException;
    return `${code ?? (failure as Error).name} ${syscall ?? ''}`.trim();
  }
}
