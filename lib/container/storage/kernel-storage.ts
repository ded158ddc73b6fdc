// SPDX-License-Identifier: MIT
/** The kernel's overlayfs (Documentation/filesystems/overlayfs.rst) in the place of our server; the upper is the same. */
import { join, relative } from 'node:path';
import { fromText } from '../../base/bytes.js';
import { EINVAL, ENODEV, EPERM } from '../../base/errno.js';
import { check, OverlayError } from '../../base/errors.js';
import { Marks } from '../../overlay/formats/marks.js';
import { markKernelFormat } from '../../overlay/layers/layer-format.js';
import { Fd, O_DIRECTORY, O_RDONLY, openPath } from '../../sys/files.js';
import { mountFileSystem } from '../../sys/mounts.js';
import type { ContainerPlace, StorageDriver } from './storage-driver.js';
import { shownByKernel } from './take-away.js';
import { changesInUpper, packChangesInUpper, readableLayers, writableLayers } from './upper-storage.js';

/** mount(2) takes a page of options. */
const LONGEST_OPTIONS = 4095;

const escapeOption = (path: string): string => path.replace(/[\\,:]/g, '\\$&');

/** Options with paths as seen from the store, so that many layers fit. */
function mountOptions(place: ContainerPlace): string {
  const { lowers, upper, work, userxattr } = writableLayers(place);
  const short = (path: string): string => escapeOption(relative(place.store.root, path));
  return [
    `lowerdir=${lowers.map(short).join(':')}`,
    `upperdir=${short(upper)}`,
    `workdir=${short(work)}`,
    userxattr === true ? 'userxattr' : 'redirect_dir=on',
    'index=off',
    'metacopy=off',
  ].join(',');
}

function refusal(place: ContainerPlace, errno: number): OverlayError {
  const reasons = new Map([
    [-ENODEV, 'the kernel has no overlayfs'],
    [-EPERM, 'this user may not mount it'],
    [-EINVAL, 'the file system of the store cannot hold the upper of a kernel overlayfs'],
  ]);
  return new OverlayError({
    operation: 'mount kernel overlayfs at',
    path: join(place.directory, 'rootfs'),
    errno,
    reason: reasons.get(errno),
    remedy: 'leave out --storage-driver overlay',
  });
}

/** Who reads the upper later is told that names which begin with `.wh.` are names. */
function markUpper(place: ContainerPlace): void {
  const { upper, userxattr } = writableLayers(place);
  const story = { operation: 'open upper directory', path: upper };
  using fd = new Fd(check(openPath(fromText(upper), O_RDONLY | O_DIRECTORY), story));
  markKernelFormat(fd.number, new Marks(userxattr === true), upper);
}

export const kernelStorage: StorageDriver = {
  async create(place) {
    markUpper(place);
    if (mountOptions(place).length <= LONGEST_OPTIONS) return;
    throw new OverlayError({
      operation: 'use storage driver',
      path: 'overlay',
      reason: `the kernel takes fewer layers at once than the ${place.image.layers.length} of this image`,
      remedy: 'leave out --storage-driver overlay',
    });
  },

  async mount(place, { flags }) {
    const target = join(place.directory, 'rootfs');
    const present = process.cwd();
    process.chdir(place.store.root);
    let status: number;
    try {
      status = mountFileSystem(
        fromText(place.image.name),
        fromText(target),
        'overlay',
        flags,
        mountOptions(place),
      );
    } finally {
      process.chdir(present);
    }
    if (status < 0) throw refusal(place, status);
    return shownByKernel(target);
  },

  resume: async ({ directory }) => shownByKernel(join(directory, 'rootfs')),

  view: readableLayers,
  changes: changesInUpper,
  pack: packChangesInUpper,

  async remove() {
    // All of it lies in the container's directory.
  },
};
