// SPDX-License-Identifier: MIT
/** What is derived from the table of commands, and what is written beside it, agrees with it. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import type { Command } from '../../../lib/cli/commands/command.js';
import { findCall, serverOf, WITHOUT_SERVER } from '../../../lib/cli/commands/command-line.js';
import { type CommandName, commands, groupNames, groups, topLevel } from '../../../lib/cli/commands/table.js';
import { composeHelp } from '../../../lib/cli/help.js';

const program = resolve('bin/tsoverlay');
const all: readonly [CommandName, Command][] = Object.entries(commands) as [CommandName, Command][];
const topNames = [...topLevel.map(({ command }) => command), ...groupNames].sort();

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

t.test('every command has one way in the table, and its options have letters of their own', async (t) => {
  for (const [name, { options }] of all) {
    t.match(findCall(name.split(' ')), { name, path: name.split(' '), words: [] }, name);
    const letters = Object.values(options).flatMap(({ alias }) => alias ?? []);
    t.equal(new Set(letters).size, letters.length, `${name}: ${letters}`);
  }
  for (const [group, { members }] of Object.entries(groups))
    for (const { names, command } of members)
      for (const word of names) t.equal(findCall([group, word, 'x'])?.name, command, `${group} ${word}`);
  t.equal(findCall(['container', '--debug', 'list'])?.name, 'ps');
  t.equal(findCall(['build', 'context'])?.name, 'build');
  t.equal(findCall(['constructor']), undefined);
});

t.test('bin/tsoverlay starts the servers that the table says', async (t) => {
  const source = fs.readFileSync(program, 'utf8');
  const patterns = [...source.matchAll(/^ {4}(\S.*)\)(?: ;;| start node.*| *)$/gm)].map((match) =>
    match[1].split(' | '),
  );
  t.strictSame(
    patterns[0].map((pattern) => pattern.replaceAll(/[*' ]/g, '')),
    [...WITHOUT_SERVER],
  );
  const started = (kind: string): string[] =>
    topLevel
      .filter(({ command }) => (commands[command] as Command).starts === kind)
      .map(({ names }) => names[0]);
  const named = (of: string[]): string[] => of.map((pattern) => pattern.replace(',*', ''));
  t.strictSame(named(patterns[1]), started('container'));
  t.strictSame(named(patterns[2]), [...started('mount'), '-o*'], 'and the forms without a command');
});

t.test('a server is started for what runs, not for help and not for the words of a container', async (t) => {
  const server = (line: string): unknown => serverOf(findCall(line.split(' '))!);
  for (const line of ['run box', 'container run box', 'run box ls -f --help', 'start -a c'])
    t.equal(server(line), 'container', line);
  t.equal(server('mount --lower a /mnt'), 'mount');
  for (const line of ['mount -f /mnt', 'run --help', 'ps', 'container'])
    t.equal(server(line), undefined, line);
});

t.test('the shell is given exactly the commands and options of the table', async (t) => {
  const complete = (...words: string[]): string[] => {
    const args = ['--get-yargs-completions', 'tsoverlay', ...words];
    return lines(spawnSync(program, args, { encoding: 'utf8' }).stdout).sort();
  };
  t.strictSame(complete(''), topNames);
  const members = groups.image.members.map(({ names }) => names[0]);
  t.strictSame(complete('image', ''), members.sort());
  for (const name of ['run', 'mount'] as const) {
    const words = Object.entries((commands[name] as Command).options).flatMap(([long, { alias }]) => [
      `--${long}`,
      ...(alias === undefined ? [] : [`--${alias}`]),
    ]);
    t.strictSame(complete(name, '--'), [...words, '--help', '--debug', '--version'].sort(), name);
  }
});

t.test('--help shows each command in one group and in one line, those of every day first', async (t) => {
  const help = composeHelp();
  const shown = [...help.matchAll(/^ {2}([a-z]\w*) {2}/gm)].map((match) => match[1]);
  t.strictSame([...shown].sort(), topNames);
  const common = topLevel.filter(({ command }) => (commands[command] as Command).isCommon === true);
  t.strictSame(
    shown.slice(0, common.length),
    common.map(({ command }) => command),
  );
  t.ok(common.length > 8 && common.length < 20, `${common.length} of every day`);
  for (const line of lines(help)) t.ok(line.length <= 100, line);
  t.equal(spawnSync(program, ['--debug', '-h'], { encoding: 'utf8' }).stdout, help);
});

t.test('the README has no command and no option that the table lacks', async (t) => {
  const readme = fs.readFileSync('README.md', 'utf8');
  const called = [...readme.matchAll(/bin\/tsoverlay (?!-)((?:[a-z]+)(?: [a-z]+)?)/g)].map(
    (match) => match[1],
  );
  t.ok(called.length > 30, `${called.length} lines`);
  for (const words of called) t.ok(findCall(words.split(' '))?.name, words);
  /** The first cells of the table below a heading. */
  const cells = (heading: string): string[] => {
    const section = readme.split(`### ${heading}\n`)[1].split('\n### ')[0];
    return [...section.matchAll(/^\| ([^|]*(?:\\\|[^|]*)*) \|/gm)].flatMap((match) =>
      [...match[1].matchAll(/`([^`]+)`/g)].map((code) => code[1].replaceAll('\\|', '|')),
    );
  };
  for (const words of cells('Images')) t.ok(findCall(words.split(' ')), words);
  for (const [heading, command] of [
    ['Containers', commands.run],
    ['Builds', commands.build],
  ] as const) {
    const { options }: Command = command;
    const letters = Object.values(options).map(({ alias }) => `-${alias}`);
    const given = cells(heading).filter((word) => word.startsWith('-'));
    t.ok(given.length > 10, `${heading}: ${given.length} options`);
    for (const word of given.map((one) => one.split(' ')[0]))
      t.ok(word.slice(2) in options || letters.includes(word), `${heading}: ${word}`);
  }
});
