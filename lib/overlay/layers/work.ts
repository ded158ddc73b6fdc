// SPDX-License-Identifier: MIT
/**
 * The work directory: where changes of several steps are made ready, and where
 * removed files stay that a program still has open. Only `WORKDIR/work` is used;
 * it is emptied at every mount, so whatever a kill left behind is gone then.
 *
 * Two locks (flock(2), gone with their holder) keep a second tsoverlay from the
 * same upper or work directory.
 */
import type { ByteString } from '../../base/bytes.js';
import { overlayDebug } from '../../base/debug.js';
import { EEXIST, EISDIR, EMLINK, ENOENT, EPERM, type Errno, errnoName } from '../../base/errno.js';
import { check } from '../../base/errors.js';
import {
  changeMode,
  listDirectory,
  makeDirectory,
  makeLink,
  makeNode,
  removeDirectory,
  rename,
  unlink,
} from '../../sys/entries.js';
import { close, Fd, O_DIRECTORY, O_PATH, openAt } from '../../sys/files.js';
import { S_IFREG } from '../../sys/stat.js';
import { setXattr } from '../../sys/xattrs.js';
import { type Marks, WHITEOUT_DEVICE, WHITEOUT_MODE, YES } from '../formats/marks.js';
import type { Layer } from './layer.js';
import type { UpperWays } from './upper-probe.js';
import { refuseStrangers, refuseVolatile, takeLock } from './work-checks.js';

/** As they are handed on to a new server. */
export interface WorkDescriptors {
  /** Of `WORKDIR/work`. */
  readonly fd: number;
  /** They hold the upper's lock and the work directory's. */
  readonly locks: readonly number[];
}

/** Marks that refuse later mounts outlive this one. */
export const INCOMPATIBLE: ReadonlySet<ByteString> = new Set(['incompat']);

export class WorkDirectory {
  #counter = 0;
  #whiteout: ByteString | null = null;
  #ways!: UpperWays;

  private constructor(
    /** O_PATH descriptor of `WORKDIR/work`. */
    readonly fd: number,
    private readonly locks: number[],
    private readonly marks: Marks,
  ) {}

  /** How whiteouts are written, and what the upper can do besides. */
  get ways(): UpperWays {
    return this.#ways;
  }

  /**
   * Takes the work directory for this mount: locks it and the upper, empties it.
   * Throws an OverlayError when another mount has it or when it holds anything
   * that is not a work directory's. `look` finds out, in the empty directory, what the
   * upper can do, and may refuse it.
   */
  static open(
    workRoot: number,
    workPath: string,
    { fd: upper, path: upperPath }: Layer,
    marks: Marks,
    look: (work: number) => UpperWays,
  ): WorkDirectory {
    const locks: number[] = [];
    try {
      locks.push(takeLock(upper, upperPath, 'upper'), takeLock(workRoot, workPath, 'work'));
      refuseStrangers(locks[1], workPath);
      const made = makeDirectory(workRoot, 'work', 0o700);
      if (made !== -EEXIST) check(made, { operation: 'create work directory', path: `${workPath}/work` });
      // The kernel makes it with mode 0, which keeps an ordinary owner out.
      else check(changeMode(workRoot, 'work', 0o700), { operation: 'open work directory', path: workPath });
      const fd = check(openAt(workRoot, 'work', O_PATH | O_DIRECTORY), {
        operation: 'open work directory',
        path: `${workPath}/work`,
      });
      locks.push(fd);
      refuseVolatile(fd, workPath);
      const work = new WorkDirectory(fd, locks, marks);
      check(work.clear(), { operation: 'empty work directory', path: `${workPath}/work` });
      work.#ways = look(fd);
      return work;
    } catch (failure) {
      for (const held of locks) close(held);
      throw failure;
    }
  }

  /**
   * The work directory of an earlier server, by the descriptors that were handed on;
   * the locks are held by them. Throws an OverlayError.
   */
  static resume({ fd, locks }: WorkDescriptors, marks: Marks, ways: UpperWays): WorkDirectory {
    const work = new WorkDirectory(fd, [...locks, fd], marks);
    work.#ways = ways;
    const names: ByteString[] = [];
    check(work.#list('.', names), { operation: 'read work directory' });
    const listed = work.#list('lazy', names);
    if (listed !== -ENOENT) check(listed, { operation: 'read the list of copies' });
    for (const name of names) {
      const number = name.startsWith('#') ? Number.parseInt(name.slice(1), 16) : 0;
      if (number > work.#counter) work.#counter = number;
    }
    return work;
  }

  /** What a new server of the same mount needs of it. */
  get descriptors(): WorkDescriptors {
    return { fd: this.fd, locks: this.locks.slice(0, 2) };
  }

  /**
   * Leaves the mark of a volatile mount, which refuses the next mount until somebody
   * has judged what the upper is worth (ovl_create_volatile_dirty).
   */
  markVolatile(path: string): void {
    const story = { operation: 'mark work directory', path };
    check(makeDirectory(this.fd, 'incompat', 0o700), story);
    using incompat = new Fd(check(openAt(this.fd, 'incompat', O_PATH | O_DIRECTORY), story));
    check(makeDirectory(incompat.number, 'volatile', 0o700), story);
    using volatile = new Fd(check(openAt(incompat.number, 'volatile', O_PATH | O_DIRECTORY), story));
    check(makeNode(volatile.number, 'dirty', S_IFREG | 0o600, 0), story);
  }

  /** A name that nothing in the work directory has, spelled as the kernel spells its own. */
  temporaryName(): ByteString {
    return `#${(++this.#counter).toString(16)}`;
  }

  /** Makes a whiteout in some directory. All whiteouts are links to one, as the kernel's are. */
  makeWhiteout(dir: number, name: ByteString): Errno {
    if (this.#whiteout === null) {
      const shared = this.temporaryName();
      const made = this.#makeOwnWhiteout(shared);
      if (made < 0) return made;
      this.#whiteout = shared;
    }
    const shared = this.#whiteout;
    const linked = makeLink(this.fd, shared, dir, name);
    if (linked !== -EMLINK && linked !== -EPERM) return linked;
    // It has as many names as it can have: this one goes there itself.
    this.#whiteout = null;
    return rename(this.fd, shared, dir, name);
  }

  #makeOwnWhiteout(name: ByteString): Errno {
    if (this.ways.form === 'device') return makeNode(this.fd, name, WHITEOUT_MODE, WHITEOUT_DEVICE);
    const made = makeNode(this.fd, name, S_IFREG | 0o444, 0);
    return made < 0 ? made : setXattr(this.fd, name, this.marks.whiteout, YES);
  }

  /** Removes a temporary file; a failure leaves a leftover that the next mount clears. */
  discard(name: ByteString): Errno {
    return unlink(this.fd, name);
  }

  /**
   * Removes a whole tree in the work directory. Directories found inside are
   * moved up to its root first: no recursion, so no depth is too deep.
   */
  discardTree(name: ByteString): Errno {
    const pending = [name];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const status = this.#flatten(next, pending);
      if (status < 0) return status;
    }
    return 0;
  }

  /** Empties the work directory, but for what is still in use. */
  clear(inUse: ReadonlySet<ByteString> = new Set()): Errno {
    const names: ByteString[] = [];
    const listed = this.#list('.', names);
    if (listed < 0) return listed;
    for (const name of names) {
      // The list of copies that are to be finished first (lazy-copy.ts).
      if (name === 'lazy' || name === this.#whiteout || inUse.has(name)) continue;
      const status = unlink(this.fd, name);
      if (status < 0 && status !== -EISDIR && status !== -EPERM) return status;
      if (status < 0) {
        const removed = this.discardTree(name);
        if (removed < 0) return removed;
      }
    }
    return 0;
  }

  /**
   * Lets go of it. Orphans go too: a connection that ends drops the RELEASE and FORGET requests that
   * nobody has read (fuse_abort_conn), so their nodes may never have been let go.
   */
  close(): void {
    if (this.#whiteout !== null) this.discard(this.#whiteout);
    this.#whiteout = null;
    const cleared = this.clear(INCOMPATIBLE);
    if (cleared < 0) overlayDebug('leftovers stay in the work directory: %s', errnoName(cleared));
    for (const held of this.locks) close(held);
  }

  #list(name: ByteString, names: ByteString[]): Errno {
    const fd = openAt(this.fd, name, O_DIRECTORY);
    if (fd < 0) return fd;
    const status = listDirectory(fd, (entry) => names.push(entry) > 0);
    close(fd);
    return status;
  }

  #flatten(name: ByteString, pending: ByteString[]): Errno {
    const names: ByteString[] = [];
    const listed = this.#list(name, names);
    if (listed < 0) return listed;
    const dir = openAt(this.fd, name, O_PATH | O_DIRECTORY);
    if (dir < 0) return dir;
    for (const child of names) {
      let status = unlink(dir, child);
      if (status === -EISDIR || status === -EPERM) {
        const moved = this.temporaryName();
        status = rename(dir, child, this.fd, moved);
        if (status === 0) pending.push(moved);
      }
      if (status < 0) {
        close(dir);
        return status;
      }
    }
    close(dir);
    return removeDirectory(this.fd, name);
  }
}
