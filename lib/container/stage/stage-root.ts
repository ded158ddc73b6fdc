// SPDX-License-Identifier: MIT
/**
 * The root file system of a container, put together by the stage in a mount
 * namespace of its own, in the order of runc's prepareRootfs: mounts, devices, then
 * the root changes by pivot_root, then what is masked.
 *
 * An image decides what lies at a destination, so every one is resolved as seen
 * from the new root (openat2, RESOLVE_IN_ROOT) and mounted on by descriptor.
 */
import { components, fromText, toText } from '../../base/bytes.js';
import { ENOENT } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import { makeDirectory, makeSymlink } from '../../sys/entries.js';
import {
  close,
  Fd,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_PATH,
  O_RDONLY,
  openBeneath,
  openInRoot,
  openPath,
} from '../../sys/files.js';
import {
  MNT_DETACH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_RECURSIVE,
  MS_REMOUNT,
  mountFileSystem,
  mountFlagsOf,
  pivotRootHere,
  unmountFileSystem,
} from '../../sys/mounts.js';
import { changeDirectoryTo } from '../../sys/programs.js';
import { S_IFDIR, S_IFMT, Stat, statFd } from '../../sys/stat.js';
import { DEVICE_LINKS, DEVICES, type SpecMount } from '../spec/defaults.js';
import type { RuntimeSpec } from '../spec/runtime-spec.js';
import { parseMountOptions } from './mount-options.js';

const proc = (fd: number): string => `/proc/self/fd/${fd}`;

function isDirectory(fd: number): boolean {
  const stat = new Stat();
  return statFd(fd, stat) >= 0 && (stat.mode & S_IFMT) === S_IFDIR;
}

/** The new root: a mount, by a descriptor of its own. */
export class StageRoot {
  private constructor(private readonly fd: Fd) {}

  /** Makes `path` a mount in a mount namespace that nothing else sees. */
  static open(path: string): StageRoot {
    const story = { operation: 'set up the root file system', path };
    check(mountFileSystem('none', '/', '', MS_PRIVATE | MS_RECURSIVE, ''), story);
    const root = fromText(path);
    check(mountFileSystem(root, root, '', MS_BIND | MS_RECURSIVE, ''), story);
    return new StageRoot(new Fd(check(openPath(root, O_PATH | O_DIRECTORY), story)));
  }

  openInside(path: string, flags: number): number {
    return openInRoot(this.fd.number, fromText(path), flags);
  }

  /** An O_PATH descriptor of a place to mount on, which is made if it is not there. */
  #place(path: string, directory: boolean): Fd {
    const story = { operation: 'make a place for a mount', path };
    const found = this.openInside(path, O_PATH);
    if (found !== -ENOENT) return new Fd(check(found, story));
    const parts = components(fromText(path));
    for (let depth = 1; depth < parts.length + (directory ? 1 : 0); depth++) {
      this.#makeDirectory(parts.slice(0, depth));
    }
    if (!directory) {
      const fd = openInRoot(this.fd.number, parts.join('/'), O_RDONLY | O_CREAT | O_EXCL, 0o644);
      close(check(fd, story));
    }
    return new Fd(check(this.openInside(path, O_PATH), story));
  }

  #makeDirectory(parts: readonly string[]): void {
    const path = parts.join('/');
    const story = { operation: 'make a directory', path: `/${toText(path)}` };
    const found = openInRoot(this.fd.number, path, O_PATH | O_DIRECTORY);
    if (found >= 0) {
      close(found);
      return;
    }
    if (found !== -ENOENT) check(found, story);
    using parent = new Fd(
      check(openInRoot(this.fd.number, parts.slice(0, -1).join('/') || '.', O_PATH | O_DIRECTORY), story),
    );
    check(makeDirectory(parent.number, parts.at(-1)!, 0o755), story);
  }

  /** Makes a directory for the program to start in, where the image has none. */
  makeDirectories(path: string): void {
    this.#place(path, true).close();
  }

  mount({ destination, type, source, options }: SpecMount): void {
    const { flags, data, propagation, bind } = parseMountOptions(options);
    if (bind) {
      this.bind(source, destination, flags);
      return;
    }
    if (type === 'proc' || type === 'sysfs') this.#refuseLinks(destination);
    const mode = type === 'tmpfs' && !/(^|,)mode=/.test(data) ? this.#modeAt(destination) : '';
    using place = this.#place(destination, true);
    // Devices in /dev are bound from the host one by one, so none that is made there needs to work.
    const extra = destination === '/dev' ? MS_NODEV : 0;
    const all = [mode, data].filter(Boolean).join(',');
    check(mountFileSystem(fromText(source), proc(place.number), type, flags | extra, all), {
      operation: `mount ${type} at`,
      path: destination,
    });
    for (const change of propagation) this.#change(destination, change);
  }

  /** A tmpfs takes the mode of the directory that it covers (runc's mountToRootfs); where none is, the kernel's 1777. */
  #modeAt(path: string): string {
    const found = this.openInside(path, O_PATH);
    if (found === -ENOENT) return '';
    const story = { operation: 'mount tmpfs at', path };
    using place = new Fd(check(found, story));
    const stat = new Stat();
    check(statFd(place.number, stat), story);
    return `mode=${(stat.mode & 0o7777).toString(8)}`;
  }

  /** What is masked and read-only in them is so by its path (runc's checkProcMount). */
  #refuseLinks(path: string): void {
    const found = openBeneath(this.fd.number, fromText(path.slice(1)), O_PATH);
    if (found >= 0) close(found);
    if (found >= 0 || found === -ENOENT) return;
    throw new OverlayError({
      operation: 'mount at',
      path,
      errno: found,
      reason: 'the image has a symlink there',
      remedy: 'use an image that has a directory',
    });
  }

  /** Shows a file or directory of the host. */
  bind(source: string, destination: string, flags: number): void {
    const story = { operation: `show ${source} at`, path: destination };
    const opened = openPath(fromText(source), O_PATH);
    if (opened === -ENOENT) throw new OverlayError({ ...story, reason: `there is no ${source}` });
    using from = new Fd(check(opened, story));
    this.#bindTo(from, destination, flags);
  }

  /** Shows what the container has at one place at another, too. */
  bindInside(source: string, destination: string): void {
    using from = new Fd(check(this.openInside(source, O_PATH), { operation: 'show', path: source }));
    this.#bindTo(from, destination, 0);
  }

  /** `flags` beside MS_BIND and MS_RECURSIVE are set in a second step, as the kernel wants it. */
  #bindTo(from: Fd, destination: string, flags: number): void {
    const story = { operation: 'mount at', path: destination };
    using place = this.#place(destination, isDirectory(from.number));
    const recursive = flags & MS_RECURSIVE;
    check(mountFileSystem(proc(from.number), proc(place.number), '', MS_BIND | recursive, ''), story);
    this.#change(destination, MS_PRIVATE | MS_RECURSIVE);
    const restrictions = flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
    if (restrictions !== 0) this.#restrict(destination, restrictions);
  }

  /** Changes the mount that is on top at a path. */
  #change(path: string, flags: number): void {
    const story = { operation: 'change the mount at', path };
    using top = new Fd(check(this.openInside(path, O_PATH), story));
    check(mountFileSystem('none', proc(top.number), '', flags, ''), story);
  }

  /** What is restricted already stays so: in a user namespace nobody may take it back (mount_namespaces(7)). */
  #restrict(path: string, restrictions: number): void {
    const story = { operation: 'restrict the mount at', path };
    using top = new Fd(check(this.openInside(path, O_PATH), story));
    const present = check(mountFlagsOf(top.number), story);
    check(
      mountFileSystem('none', proc(top.number), '', MS_REMOUNT | MS_BIND | present | restrictions, ''),
      story,
    );
  }

  makeDevices(): void {
    for (const name of DEVICES) this.bind(`/dev/${name}`, `/dev/${name}`, 0);
    using dev = new Fd(
      check(this.openInside('/dev', O_PATH | O_DIRECTORY), { operation: 'open', path: '/dev' }),
    );
    for (const [name, target] of DEVICE_LINKS) {
      check(makeSymlink(dev.number, name, target), { operation: 'make', path: `/dev/${name}` });
    }
  }

  /** Hides what shows the host. What is not there needs no hiding. */
  protect({ maskedPaths, readonlyPaths }: RuntimeSpec['linux']): void {
    for (const path of readonlyPaths) {
      if (!this.#has(path)) continue;
      this.bindInside(path, path);
      this.#restrict(path, MS_RDONLY);
    }
    for (const path of maskedPaths) {
      if (!this.#has(path)) continue;
      using place = new Fd(check(this.openInside(path, O_PATH), { operation: 'mask', path }));
      const isFile = !isDirectory(place.number);
      if (isFile) this.bindInside('/dev/null', path);
      else
        check(mountFileSystem('tmpfs', proc(place.number), 'tmpfs', MS_RDONLY, 'size=0'), {
          operation: 'mask',
          path,
        });
    }
  }

  #has(path: string): boolean {
    const fd = this.openInside(path, O_PATH);
    if (fd >= 0) close(fd);
    return fd >= 0;
  }

  makeReadOnly(): void {
    this.#restrict('/', MS_RDONLY);
  }

  /** The root of this process and of all in its mount namespace becomes this; nothing else stays in reach. */
  enter(): void {
    const story = { operation: 'change the root file system' };
    check(changeDirectoryTo(this.fd.number), story);
    check(pivotRootHere(), story);
    check(unmountFileSystem('.', MNT_DETACH), story);
    this.fd.close();
  }
}
