// SPDX-License-Identifier: MIT
/** The commands about mounts and layers. */
import { type Command, flag, JSON_OUT, ROOT, several, text } from './command.js';

const TARGET = { target: 'Where it is mounted' };

export const mountCommands = {
  mount: {
    args: '<target>',
    describe: 'Merge layers and mount them; returns when the mount can be used',
    positionals: { target: 'An existing directory' },
    options: {
      options: several(
        'Options as mount(8) takes them: lowerdir=A:B (top first), upperdir=, workdir=, ro, nosuid…',
        'o',
      ),
      lower: several('A read-only layer; give it again for each one, top first'),
      image: text('An image of the store gives the layers'),
      ...ROOT,
      upper: text('The writable layer; without it the mount is read-only'),
      work: text("An empty directory on the upper's file system"),
      'read-only': { type: 'boolean', describe: 'Nothing can be changed' },
      foreground: flag('Stay until unmounted', 'f'),
      driver: {
        type: 'string',
        choices: ['kernel', 'fuse-native'],
        default: 'kernel',
        describe: 'kernel speaks to /dev/fuse itself; fuse-native goes through libfuse 2',
      },
      json: flag('Print what was mounted as JSON'),
    },
    examples: [
      ['mount --lower top --lower base --upper changes --work work /mnt', 'Three layers at /mnt'],
      ['mount --image nginx --upper changes --work work /mnt', 'An image of the store, writable'],
      ['mount -o lowerdir=top:base /mnt', 'Read-only'],
      ['mount -o lowerdir=base,upperdir=changes,workdir=work /mnt', 'As overlayfs takes it'],
    ],
    isCommon: true,
    starts: 'mount',
  },
  unmount: {
    args: '<target>',
    aliases: ['umount'],
    describe: 'Write everything out and unmount',
    positionals: TARGET,
    options: {
      detach: flag('Take it from the tree at once, though programs use it; it ends when they do', 'l'),
    },
    examples: [['unmount /mnt', 'Write everything out and unmount']],
    isCommon: true,
  },
  upgrade: {
    args: '[target]',
    describe: 'Go on with this version of the program, without unmounting',
    positionals: TARGET,
    options: { all: flag('Every mount of yours that has a keeper') },
    examples: [['upgrade --all', 'Let all mounts go on with this version']],
  },
  mounts: {
    aliases: ['list'],
    describe: 'What is mounted, since when, and what it has served',
    options: JSON_OUT,
    isCommon: true,
  },
  explain: {
    args: '<paths..>',
    describe: 'Which layer supplies a path of a mount, and what the other layers have of it',
    positionals: { paths: 'Paths in a mount' },
    options: JSON_OUT,
    examples: [['explain /mnt/etc/passwd', 'Where it comes from']],
  },
  diff: {
    args: '<target> [other]',
    describe:
      'What a container or an upper changes, or what differs from one image to another: A added, C changed, D deleted',
    positionals: {
      target: 'A container, a mount, an upper directory, or an image',
      other: 'An image, to be compared with the first',
    },
    options: { root: text('The store of the containers and images'), ...JSON_OUT },
    examples: [
      ['diff web', 'What a container has changed'],
      ['diff /mnt', 'Everything that was changed through the mount'],
      ['diff nginx:1.26 nginx:1.27', 'What differs from the first to the second'],
    ],
    inUserNamespace: true,
  },
  fsck: {
    args: '<layers..>',
    describe: 'Find what does not belong in layers, top first as for mount; the first may be an upper',
    positionals: { layers: 'Layers; each is judged by those after it, the last by itself alone' },
    options: {
      work: text('The work directory of the upper, to look for leftovers'),
      repair: flag('Mend what can be mended without changing what a mount shows'),
      userxattr: { type: 'boolean', describe: 'Marks are in user.overlay.*' },
      ...JSON_OUT,
    },
    examples: [
      ['fsck changes base --work work', 'An upper over one lower layer'],
      ['fsck --repair changes base', 'The same, and mend it'],
    ],
  },
} as const satisfies Record<string, Command>;
