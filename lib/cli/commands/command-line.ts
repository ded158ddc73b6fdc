// SPDX-License-Identifier: MIT
/** Which command a command line calls, and what is said where it is none. */
import { nearestName, nearestNames, UsageError } from '../../base/errors.js';
import type { Command } from './command.js';
import { type CommandName, commands, groupNames, groups, type Member, topLevel } from './table.js';

export interface Call {
  /** As it was written: `container`, `ls`. */
  path: readonly string[];
  /** Undefined where a group's name stands alone. */
  name: CommandName | undefined;
  /** What follows; where this is another program's command, `--` stands before it. */
  words: readonly string[];
}

/** Options that may also come before the command's name. */
export const COMMON_OPTIONS = {
  help: { type: 'boolean', alias: 'h', describe: 'Show help' },
  debug: { type: 'boolean', describe: 'Show where an error comes from' },
  version: { type: 'boolean', describe: 'Show version number' },
} as const;

const COMMON_WORDS = ['-h', ...Object.keys(COMMON_OPTIONS).map((name) => `--${name}`)];

/** Undefined where the line begins with no command. */
export function findCall(argv: readonly string[]): Call | undefined {
  const words = [...argv];
  const common: string[] = [];
  const next = (): string => {
    while (COMMON_WORDS.includes(words[0])) common.push(words.shift()!);
    return words[0] ?? '';
  };
  const find = (members: readonly Member[], word: string) =>
    members.find(({ names }) => names.includes(word))?.command;
  const first = next();
  const own = find(topLevel, first);
  const group = Object.hasOwn(groups, first) ? groups[first] : undefined;
  if (own === undefined && group === undefined) return undefined;
  words.shift();
  const second = own === undefined ? next() : words[0];
  const inGroup = find(group?.members ?? [], second);
  if (inGroup !== undefined) words.shift();
  const name = inGroup ?? own;
  const all = [...common, ...words];
  return {
    path: inGroup === undefined ? [first] : [first, second],
    name,
    words: name === undefined ? all : separateWords(commands[name], all),
  };
}

/** Puts `--` before a command in a container, so that no option of it is taken for one of ours. */
function separateWords({ runsCommand, options }: Command, words: readonly string[]): readonly string[] {
  if (runsCommand === undefined) return words;
  const takesValue = (name: string): boolean => {
    const found = Object.entries(options).find(([long, { alias }]) => long === name || alias === name);
    return found !== undefined && found[1].type !== 'boolean';
  };
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    if (word === '--') return words;
    if (!word.startsWith('-') || word === '-') return [...words.slice(0, at), '--', ...words.slice(at)];
    if (word.startsWith('--')) {
      if (!word.includes('=') && takesValue(word.slice(2))) at++;
      continue;
    }
    // Of `-itp`, the first letter that takes a value takes the rest, or the next word.
    const letters = [...word.slice(1)];
    const first = letters.findIndex(takesValue);
    if (first >= 0 && first === letters.length - 1) at++;
  }
  return words;
}

/** The words that are our options and arguments. */
export function ownWords({ words }: Call): readonly string[] {
  const end = words.indexOf('--');
  return end < 0 ? words : words.slice(0, end);
}

/** With these a command starts no server, or is one itself; bin/tsoverlay has them, too. */
export const WITHOUT_SERVER: readonly string[] = ['-f', '--foreground', '-h', '--help', '--version'];

/** The server that the call will want; a wrong guess costs a process that is ended at once. */
export function serverOf(call: Call): Command['starts'] {
  const command: Command | undefined = call.name === undefined ? undefined : commands[call.name];
  return ownWords(call).some((word) => WITHOUT_SERVER.includes(word)) ? undefined : command?.starts;
}

const MOST_NEAR = 3;

/** Throws UsageError where the line begins with a word that is no command, or has one in a group. */
export function refuseUnknownCommand(argv: readonly string[], call: Call | undefined): void {
  if (call?.name !== undefined) return;
  const [word] = call?.words ?? argv.filter((one) => !COMMON_WORDS.includes(one));
  if (word === undefined || word === '' || word.startsWith('-')) return;
  const members = call === undefined ? topLevel : groups[call.path[0]].members;
  const known = [...members.flatMap(({ names }) => names), ...(call === undefined ? groupNames : [])];
  const before = call?.path ?? [];
  const near = nearestNames(word, known).slice(0, MOST_NEAR);
  const what = [...before, word].join(' ').replace(/[^\x20-\x7e]/g, '?');
  throw new UsageError(
    `there is no command '${what}'`,
    near.length === 0 ? seeHelp(before) : `did you mean ${near.join(' or ')}?`,
  );
}

export function seeHelp(path: readonly string[]): string {
  return `see \`${['tsoverlay', ...path, '--help'].join(' ')}\``;
}

/**
 * Throws UsageError for the first unknown `--flag`, before anything else is said: yargs would take the word
 * after one for its value and complain of a missing argument.
 */
export function refuseUnknownFlags(argv: readonly string[], call: Call | undefined): void {
  const { options = {} }: Partial<Command> = call?.name === undefined ? {} : commands[call.name];
  const known = [...Object.keys(COMMON_OPTIONS), ...Object.keys(options)];
  for (const word of call === undefined ? argv : ownWords(call)) {
    if (word === '--') return;
    const name = /^--([^=]+)/.exec(word)?.[1];
    if (name === undefined || known.includes(name)) continue;
    const nearest = nearestName(name, known);
    throw new UsageError(
      `unknown option --${name}`,
      nearest === undefined ? seeHelp(call?.path ?? []) : `did you mean --${nearest}?`,
    );
  }
}
