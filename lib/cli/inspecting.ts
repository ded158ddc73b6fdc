// SPDX-License-Identifier: MIT
/**
 * `tsoverlay explain` and `tsoverlay diff`: their arguments. What they do is loaded
 * when they are run, so that `mount` does not wait for it.
 */
import type { Argv, CommandModule } from 'yargs';

export interface ExplainArguments {
  paths: string[];
  json: boolean;
}

export interface DiffArguments {
  target: string;
  json: boolean;
}

const asJson = { type: 'boolean', default: false, describe: 'Print it as JSON' } as const;

export const explainCommand: CommandModule<unknown, ExplainArguments> = {
  command: 'explain <paths..>',
  describe: 'Which layer supplies a path of a mount, and what the other layers have of it',
  builder: ((yargs: Argv) =>
    yargs
      .positional('paths', { type: 'string', array: true, demandOption: true, describe: 'Paths in a mount' })
      .option('json', asJson)
      .example('$0 explain /mnt/etc/passwd', 'Where it comes from')) as never,
  handler: async (args) => (await import('./explain.js')).explain(args),
};

export const diffCommand: CommandModule<unknown, DiffArguments> = {
  command: 'diff <target>',
  describe: 'What the upper changes: A added, C changed, D deleted',
  builder: ((yargs: Argv) =>
    yargs
      .positional('target', {
        type: 'string',
        demandOption: true,
        describe: 'A mount, or an upper directory',
      })
      .option('json', asJson)
      .example('$0 diff /mnt', 'Everything that was changed through the mount')) as never,
  handler: async (args) => (await import('./diff.js')).diff(args),
};
