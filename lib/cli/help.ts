// SPDX-License-Identifier: MIT
/** `--help` without a command: one line for each, those of every day first, as Docker has it. */
import type { Command } from './commands/command.js';
import { COMMON_OPTIONS } from './commands/command-line.js';
import { type CommandName, commands, groupNames, groups, helpParts } from './commands/table.js';
import { table } from './words/format.js';

const USAGE = `tsoverlay COMMAND [OPTIONS]

A union filesystem: read-only layers under one writable layer, the images that they
come in, and containers.
`;
export const EPILOGUE = 'Exit codes: 0 it worked, 1 it did not, 2 the command was called wrongly.';

type Line = readonly [name: string, describe: string];

/** Up to what a list has no room for. */
function lineOf(name: CommandName): Line {
  return [name, commands[name].describe.split(/[:;]/)[0]];
}

export function composeHelp(): string {
  const isCommon = (name: CommandName): boolean => (commands[name] as Command).isCommon === true;
  const options = Object.entries(COMMON_OPTIONS).map(
    ([name, option]): Line => [
      `${'alias' in option ? `-${option.alias},` : '   '} --${name}`,
      option.describe,
    ],
  );
  const parts: [title: string, lines: Line[]][] = [
    ['Common Commands', Object.values(helpParts).flat().filter(isCommon).map(lineOf)],
    [
      'Management Commands',
      [...groupNames.map((name): Line => [name, groups[name].describe]), lineOf('completion')],
    ],
    ...Object.entries(helpParts).map(([title, names]): [string, Line[]] => [
      title,
      names.filter((name) => !isCommon(name)).map(lineOf),
    ]),
    ['Options', options],
  ];
  // One table, so that all descriptions stand below each other.
  const rows = parts.flatMap(([, lines]) => lines.map(([name, describe]) => [`  ${name}`, describe]));
  const shown = table(rows).split('\n');
  const blocks = parts.map(([title, lines]) =>
    [`${title}:`, ...shown.splice(0, lines.length), ''].join('\n'),
  );
  return [USAGE, ...blocks, EPILOGUE, ''].join('\n');
}
