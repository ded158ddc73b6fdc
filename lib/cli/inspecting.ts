// SPDX-License-Identifier: MIT
/**
 * `tsoverlay explain`, `tsoverlay diff` and `tsoverlay fsck`: their arguments. What they do is loaded
 * when they are run, so that `mount` does not wait for it.
 */
import type { Argv, CommandModule } from 'yargs';
import type { DiffArguments } from './container/diff.js';
import type { ExplainArguments } from './mount/explain.js';
import type { FsckArguments } from './mount/fsck.js';

const asJson = { type: 'boolean', default: false, describe: 'Print it as JSON' } as const;

export const explainCommand: CommandModule<unknown, ExplainArguments> = {
  command: 'explain <paths..>',
  describe: 'Which layer supplies a path of a mount, and what the other layers have of it',
  builder: ((yargs: Argv) =>
    yargs
      .positional('paths', { type: 'string', array: true, demandOption: true, describe: 'Paths in a mount' })
      .option('json', asJson)
      .example('$0 explain /mnt/etc/passwd', 'Where it comes from')) as never,
  handler: async (args) => (await import('./mount/explain.js')).explain(args),
};

export const fsckCommand: CommandModule<unknown, FsckArguments> = {
  command: 'fsck <layers..>',
  describe: 'Find what does not belong in layers, top first as for mount; the first may be an upper',
  builder: ((yargs: Argv) =>
    yargs
      .positional('layers', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'Layers; each is judged by those after it, the last by itself alone',
      })
      .option('work', { type: 'string', describe: 'The work directory of the upper, to look for leftovers' })
      .option('repair', {
        type: 'boolean',
        default: false,
        describe: 'Mend what can be mended without changing what a mount shows',
      })
      .option('userxattr', { type: 'boolean', describe: 'Marks are in user.overlay.*' })
      .option('json', asJson)
      .example('$0 fsck changes base --work work', 'An upper over one lower layer')
      .example('$0 fsck --repair changes base', 'The same, and mend it')) as never,
  handler: async (args) => (await import('./mount/fsck.js')).fsck(args),
};

export const diffCommand: CommandModule<unknown, DiffArguments> = {
  command: 'diff <target> [other]',
  describe:
    'What a container or an upper changes, or what differs from one image to another: A added, C changed, D deleted',
  builder: ((yargs: Argv) =>
    yargs
      .positional('target', {
        type: 'string',
        demandOption: true,
        describe: 'A container, a mount, an upper directory, or an image',
      })
      .positional('other', { type: 'string', describe: 'An image, to be compared with the first' })
      .option('root', { type: 'string', nargs: 1, describe: 'The store of the containers and images' })
      .example('$0 diff web', 'What a container has changed')
      .option('json', asJson)
      .example('$0 diff /mnt', 'Everything that was changed through the mount')
      .example('$0 diff nginx:1.26 nginx:1.27', 'What differs from the first to the second')) as never,
  handler: async (args) => (await import('./container/diff.js')).diff(args),
};
