// SPDX-License-Identifier: MIT
/** All commands by name. Loading it loads nothing of what they do (../implementations.ts). */
import { buildCommands } from './build.js';
import type { ArgumentsOf, Command } from './command.js';
import { containerCommands } from './container.js';
import { imageCommands } from './image.js';
import { mountCommands } from './mount.js';

export const commands = {
  ...mountCommands,
  ...containerCommands,
  ...buildCommands,
  ...imageCommands,
  completion: { describe: 'Print a script that completes commands and options in your shell', options: {} },
};

export type CommandName = keyof typeof commands;

/** What the command of that name is called with. */
export type Arguments<Name extends CommandName> = ArgumentsOf<(typeof commands)[Name]>;

/** A command by the words that it has in a group, or without one. */
export interface Member {
  names: readonly [string, ...aliases: string[]];
  command: CommandName;
}

/** A word that commands stand behind. */
export interface Group {
  describe: string;
  members: readonly Member[];
}

/** Commands by their own names: `image prune` is `prune` in its group. */
function ownNames(names: readonly CommandName[]): Member[] {
  return names.map((command) => ({ names: [command.split(' ').at(-1)!], command }));
}

export const groups: Readonly<Record<string, Group>> = {
  container: {
    describe: 'Commands about containers',
    members: [
      ...ownNames(namesOf(containerCommands)),
      { names: ['ls', 'list'], command: 'ps' },
      ...ownNames(['container prune', 'inspect', 'export', 'commit', 'diff']),
    ],
  },
  image: {
    describe: 'Commands about images',
    members: [
      { names: ['ls'], command: 'images' },
      { names: ['rm'], command: 'rmi' },
      ...ownNames(['image prune', 'pull', 'push', 'inspect', 'history', 'tag', 'save', 'load', 'import']),
    ],
  },
  system: { describe: 'Commands about the store', members: ownNames(['system df', 'system check']) },
  build: {
    describe: 'Commands about what builds keep',
    members: ownNames(['build ls', 'build prune']),
  },
};

/** The names of commands that stand in no group. */
function namesOf(part: object): CommandName[] {
  return (Object.keys(part) as CommandName[]).filter((name) => !name.includes(' '));
}

/** The commands that stand in no group. */
export const topLevel: readonly Member[] = namesOf(commands).map((command) => {
  const { aliases = [] }: Command = commands[command];
  return { names: [command, ...aliases], command };
});

/** The groups that are no commands themselves. */
export const groupNames: readonly string[] = Object.keys(groups).filter((name) => !(name in commands));

/** The parts in which `--help` shows the commands, after those of every day. */
export const helpParts: Readonly<Record<string, readonly CommandName[]>> = {
  'Mount Commands': namesOf(mountCommands),
  'Container Commands': namesOf(containerCommands),
  'Image Commands': namesOf({ ...buildCommands, ...imageCommands }),
};
