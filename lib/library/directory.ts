// SPDX-License-Identifier: MIT
/** Directories that are read: `readdir` with its options, and node:fs's Dir. */
import type { ByteString } from '../base/bytes.js';
import { S_IFDIR, S_IFLNK } from '../sys/stat.js';
import { encodeName } from './arguments.js';
import { codedError } from './errors.js';
import { OverlayDirent } from './stats.js';
import type { Listed, View } from './view.js';

export interface ListingOptions {
  encoding: unknown;
  withFileTypes: unknown;
  recursive: unknown;
}

interface Placed extends Listed {
  /** Of the directory that it is in, as the path was given. */
  parent: ByteString;
}

/** A name below a path as it was given, which may end in slashes. */
export function below(path: ByteString, name: ByteString): ByteString {
  return path.endsWith('/') ? path + name : `${path}/${name}`;
}

/** Whether a recursive listing descends into an entry. */
type Enters = (path: ByteString, type: number) => boolean;

/** The entries of a directory, then those of the directories in it that are to be entered. */
function* entriesOf(view: View, path: ByteString, enters: Enters): Generator<Placed> {
  const waiting = [path];
  for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
    for (const entry of view.list(at)) {
      yield { ...entry, parent: at };
      const inner = below(at, entry.name);
      if (enters(inner, entry.type)) waiting.push(inner);
    }
  }
}

const entersNothing: Enters = () => false;
const entersDirectories: Enters = (_, type) => type === S_IFDIR;

export function readdir(
  view: View,
  path: ByteString,
  { encoding, withFileTypes, recursive }: Partial<ListingOptions>,
): (string | Buffer | OverlayDirent<string | Buffer>)[] {
  if (withFileTypes) {
    const entries = entriesOf(view, path, recursive ? entersDirectories : entersNothing);
    return Array.from(entries, (entry) => direntOf(entry, encoding));
  }
  // Where it gives names alone, Node's own goes through symlinks, too.
  const entersLinks: Enters = (inner, type) =>
    type === S_IFDIR || (type === S_IFLNK && view.leadsToDirectory(inner));
  const start = below(path, '').length;
  return Array.from(entriesOf(view, path, recursive ? entersLinks : entersNothing), ({ parent, name }) =>
    encodeName(below(parent, name).slice(start), encoding),
  );
}

function direntOf({ name, type, parent }: Placed, encoding: unknown): OverlayDirent<string | Buffer> {
  return new OverlayDirent(encodeName(name, encoding), encodeName(parent, 'utf8') as string, type);
}

/** A directory that is read entry by entry; what it holds is what was there when it was opened. */
export class OverlayDir implements AsyncDisposable {
  #entries: Iterator<Placed> | null;
  readonly #encoding: unknown;

  constructor(
    readonly path: string,
    entries: Iterator<Placed>,
    encoding: unknown,
  ) {
    this.#entries = entries;
    this.#encoding = encoding;
  }

  static open(view: View, path: ByteString, { encoding, recursive }: Partial<ListingOptions>): OverlayDir {
    const first = view.list(path, 'opendir');
    const entries =
      recursive === true
        ? entriesOf(view, path, entersDirectories)
        : first.map((entry) => ({ ...entry, parent: path })).values();
    return new OverlayDir(encodeName(path, 'utf8') as string, entries, encoding);
  }

  async read(): Promise<OverlayDirent<string | Buffer> | null> {
    return this.readSync();
  }

  readSync(): OverlayDirent<string | Buffer> | null {
    if (this.#entries === null) throw closed();
    const next = this.#entries.next();
    return next.done === true ? null : direntOf(next.value, this.#encoding);
  }

  async close(): Promise<void> {
    this.closeSync();
  }

  closeSync(): void {
    if (this.#entries === null) throw closed();
    this.#entries = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#entries !== null) this.closeSync();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<OverlayDirent<string | Buffer>> {
    try {
      for (let entry = await this.read(); entry !== null; entry = await this.read()) yield entry;
    } finally {
      if (this.#entries !== null) this.closeSync();
    }
  }
}

function closed(): Error {
  return codedError(new Error('Directory handle was closed'), 'ERR_DIR_CLOSED');
}
