// SPDX-License-Identifier: MIT
/**
 * What does not belong in a layer: marks that lead nowhere or say nothing, and
 * whiteouts over nothing. A layer is walked beside the merged view of the layers
 * below it, so that every mark is judged by what it would meet there.
 *
 * A repair changes the layer and never the view: what cannot be mended so is only
 * reported.
 */
import { type ByteString, joinPath } from '../../base/bytes.js';
import { EIO, ENOENT, type Errno, errnoName } from '../../base/errno.js';
import { check } from '../../base/errors.js';
import { listDirectory, unlink } from '../../sys/entries.js';
import { close } from '../../sys/files.js';
import { openReadable } from '../../sys/handles.js';
import { S_IFREG, Stat, statAt } from '../../sys/stat.js';
import { getXattr, listXattrs, removeXattr, setXattr } from '../../sys/xattrs.js';
import { type Marks, YES } from '../formats/marks.js';
import { isOrigin } from '../formats/origin.js';
import { hiddenBy, isFileOfFormat } from '../formats/whiteout-names.js';
import { DirectoryDescriptors } from '../layers/directory-descriptors.js';
import { type Layer, RealDirectory } from '../layers/layer.js';
import { mayHoldFileWhiteouts } from '../layers/layer-format.js';
import { LayerWatch } from '../layers/layer-watch.js';
import { openForRepair } from '../layers/open-layer.js';
import { resolveData } from '../names/file-lookup.js';
import { findNode } from '../names/lookup.js';
import { walk } from '../names/walk.js';
import { holdsMarkedWhiteouts, isWhiteoutIn } from '../names/whiteouts.js';
import type { DirectoryNode } from '../nodes/node.js';
import { release, settle } from '../nodes/references.js';
import { gone, type Union } from '../nodes/union.js';

export type FindingKind =
  | 'whiteout over nothing'
  | 'dangling redirect'
  | 'malformed redirect'
  | 'metacopy without data'
  | 'malformed mark'
  | 'missing impure mark'
  | 'unreadable';

export interface Finding {
  kind: FindingKind;
  /** The layer, as given. */
  layer: string;
  /** Absolute in the layer. */
  path: ByteString;
  /** In words. */
  what: string;
  repaired: boolean;
}

/** Where the walk is: a directory of the layer, and the one it would be merged with. */
interface Step {
  real: RealDirectory;
  path: ByteString;
  below: DirectoryNode | null;
}

/**
 * Walks one layer. `below` is the view of the layers under it, null where there is
 * none or it is not known: then nothing is said about what marks lead to.
 * Throws an OverlayError where the layer cannot be read at all.
 */
export function checkLayer(path: string, below: Union | null, marks: Marks, repair: boolean): Finding[] {
  const layer = openForRepair(path);
  layer.readsFiles = mayHoldFileWhiteouts('both', marks, layer);
  const walker = new Walker(layer, below, marks, repair);
  try {
    walker.run();
    return walker.findings;
  } finally {
    walker.close();
  }
}

class Walker {
  readonly findings: Finding[] = [];
  readonly #directories = new DirectoryDescriptors(256, { current: LayerWatch.private() });
  readonly #stat = new Stat();
  /** The directory that is being visited has marked files that are whiteouts. */
  #holdsMarked = false;
  /** Nodes of the view below that are still to be compared with; each holds a reference. */
  readonly #pending: Step[] = [];

  constructor(
    private readonly layer: Layer,
    private readonly below: Union | null,
    private readonly marks: Marks,
    private readonly repair: boolean,
  ) {}

  run(): void {
    this.#push({ real: this.layer.root, path: '/', below: this.below?.root ?? null });
    for (let step = this.#pending.pop(); step !== undefined; step = this.#pending.pop()) {
      this.#visit(step);
      if (step.below !== null) release(this.below!, step.below);
    }
  }

  close(): void {
    this.#directories.closeAll();
    close(this.layer.fd);
  }

  #push(step: Step): void {
    if (step.below !== null) step.below.references++;
    this.#pending.push(step);
  }

  /** Says what is wrong and, where there is a way and it is wanted, mends it. */
  #report(kind: FindingKind, path: ByteString, what: string, mend?: () => Errno): void {
    let repaired = false;
    if (this.repair && mend !== undefined) {
      check(mend(), { operation: 'repair', path, layer: this.layer.path });
      repaired = true;
    }
    this.findings.push({ kind, layer: this.layer.path, path, what, repaired });
  }

  #visit({ real, path, below }: Step): void {
    const dir = this.#directories.of(real);
    const names: ByteString[] = [];
    const readable = dir < 0 ? dir : openReadable(dir);
    const listed = readable < 0 ? gone(readable) : listDirectory(readable, (name) => names.push(name) > 0);
    if (readable >= 0) close(readable);
    if (listed < 0) {
      this.#report('unreadable', path, `it cannot be listed: ${errnoName(listed)}`);
      return;
    }
    this.#holdsMarked = holdsMarkedWhiteouts(this.marks, dir, '.');
    let hasOrigins = false;
    for (const name of names) {
      if (this.#visitEntry(real, joinPath(path, name), name, below)) hasOrigins = true;
    }
    this.#checkImpure(real, path, hasOrigins);
  }

  /** Answers whether the entry has an origin. */
  #visitEntry(
    parent: RealDirectory,
    path: ByteString,
    name: ByteString,
    below: DirectoryNode | null,
  ): boolean {
    const dir = this.#directories.of(parent);
    const stat = this.#stat;
    const found = dir < 0 ? dir : statAt(dir, name, stat);
    if (found < 0) {
      this.#report('unreadable', path, `it cannot be looked at: ${errnoName(found)}`);
      return false;
    }
    if (parent.layer.readsFiles && isFileOfFormat(name)) {
      if (hiddenBy(name) !== '') this.#checkWhiteout(dir, path, name, hiddenBy(name), below);
      return false;
    }
    if (isWhiteoutIn({ marks: this.marks, holdsMarked: this.#holdsMarked }, dir, name, stat)) {
      this.#checkWhiteout(dir, path, name, name, below);
      return false;
    }
    const names = listXattrs(dir, name);
    if (typeof names === 'number') {
      if (stat.isRegular || stat.isDirectory) {
        this.#report('unreadable', path, `its attributes cannot be read: ${errnoName(names)}`);
      }
      return false;
    }
    if (stat.isDirectory) this.#visitDirectory(parent, path, name, names, below);
    else if (stat.isRegular && names.includes(this.marks.metacopy))
      this.#checkMetacopy(dir, path, name, below);
    return this.#checkOrigin(dir, path, name, names);
  }

  #checkWhiteout(
    dir: number,
    path: ByteString,
    entry: ByteString,
    hidden: ByteString,
    below: DirectoryNode | null,
  ): void {
    if (this.below === null) return;
    if (below !== null && this.#has(below, hidden)) return;
    this.#report('whiteout over nothing', path, 'no layer below has that name', () => unlink(dir, entry));
  }

  #has(directory: DirectoryNode, name: ByteString): boolean {
    const node = findNode(this.below!, directory, name);
    if (typeof node !== 'number') settle(this.below!, node);
    return node !== -ENOENT;
  }

  #visitDirectory(
    parent: RealDirectory,
    path: ByteString,
    name: ByteString,
    marked: readonly ByteString[],
    below: DirectoryNode | null,
  ): void {
    const dir = this.#directories.of(parent);
    const real = new RealDirectory(this.layer, parent, name);
    let under: DirectoryNode | null = null;
    if (marked.includes(this.marks.opaque)) this.#checkOpaque(dir, path, name);
    const isOpaque = this.#valueOf(dir, name, this.marks.opaque) === 'y';
    if (marked.includes(this.marks.redirect)) under = this.#followRedirect(dir, path, name, below);
    else if (!isOpaque && below !== null) under = this.#directoryAt(below, name);
    this.#push({ real, path, below: under });
    if (under !== null) settle(this.below!, under);
  }

  #valueOf(dir: number, name: ByteString, mark: ByteString): ByteString | undefined {
    const value = getXattr(dir, name, mark);
    return typeof value === 'number' ? undefined : value.latin1Slice();
  }

  #checkOpaque(dir: number, path: ByteString, name: ByteString): void {
    const value = this.#valueOf(dir, name, this.marks.opaque);
    if (value === 'y' || value === 'x') return;
    this.#report(
      'malformed mark',
      path,
      `its opaque mark says ${JSON.stringify(value)}, which means nothing`,
      () => removeXattr(dir, name, this.marks.opaque),
    );
  }

  #directoryAt(parent: DirectoryNode, name: ByteString): DirectoryNode | null {
    const node = findNode(this.below!, parent, name);
    if (typeof node === 'number') return null;
    if (node.isDirectory()) return node;
    settle(this.below!, node);
    return null;
  }

  #followRedirect(
    dir: number,
    path: ByteString,
    name: ByteString,
    below: DirectoryNode | null,
  ): DirectoryNode | null {
    const value = this.#valueOf(dir, name, this.marks.redirect) ?? '';
    // A directory whose redirect leads nowhere shows its own entries alone; opaque says just that.
    const close = (): Errno => {
      const status = setXattr(dir, name, this.marks.opaque, YES);
      return status < 0 ? status : removeXattr(dir, name, this.marks.redirect);
    };
    if (!isRedirect(value)) {
      this.#report('malformed redirect', path, `its redirect is ${JSON.stringify(value)}`, close);
      return null;
    }
    if (this.below === null) return null;
    const target = value.startsWith('/')
      ? this.#walkTo(value)
      : below === null
        ? null
        : this.#directoryAt(below, value);
    if (target === null) {
      this.#report('dangling redirect', path, `no layer below has the directory ${value}`, close);
    }
    return target;
  }

  #walkTo(path: ByteString): DirectoryNode | null {
    const union = this.below!;
    const node = walk(union, path, false);
    if (typeof node === 'number') return null;
    node.references--;
    if (node.isDirectory()) return node;
    settle(union, node);
    return null;
  }

  #checkMetacopy(dir: number, path: ByteString, name: ByteString, below: DirectoryNode | null): void {
    const mark = getXattr(dir, name, this.marks.metacopy);
    if (typeof mark !== 'number' && mark.length > 0 && (mark.length < 4 || mark[1] !== mark.length)) {
      this.#report('malformed mark', path, 'its metacopy mark is not one');
      return;
    }
    if (this.below === null) return;
    const redirect = this.#valueOf(dir, name, this.marks.redirect);
    const data = redirect?.startsWith('/')
      ? walk(this.below, redirect, false)
      : below === null
        ? -ENOENT
        : findNode(this.below, below, redirect ?? name);
    const resolved =
      typeof data === 'number' ? data : data.type === S_IFREG ? resolveData(this.below, data) : -EIO;
    if (resolved < 0) {
      const why = resolved === -EIO ? 'what it leads to has no data either' : 'no layer below has it';
      this.#report('metacopy without data', path, `the file has its metadata only, and ${why}`);
    }
    if (typeof data === 'number') return;
    if (redirect?.startsWith('/')) data.references--;
    settle(this.below, data);
  }

  #checkOrigin(dir: number, path: ByteString, name: ByteString, marked: readonly ByteString[]): boolean {
    if (!marked.includes(this.marks.origin)) return false;
    const mark = getXattr(dir, name, this.marks.origin);
    if (typeof mark === 'number' || isOrigin(mark)) return true;
    this.#report('malformed mark', path, 'its origin mark is not one', () =>
      removeXattr(dir, name, this.marks.origin),
    );
    return false;
  }

  #checkImpure(real: RealDirectory, path: ByteString, hasOrigins: boolean): void {
    const dir = this.#directories.of(real);
    if (!hasOrigins || this.#valueOf(dir, '.', this.marks.impure) === 'y') return;
    this.#report(
      'missing impure mark',
      path,
      'it holds copied-up objects, so listings show wrong inode numbers',
      () => setXattr(dir, '.', this.marks.impure, YES),
    );
  }
}

function isRedirect(value: ByteString): boolean {
  const names = value.startsWith('/') ? value.slice(1).split('/') : [value];
  return names.every((name) => name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name));
}
