// SPDX-License-Identifier: MIT
/** Commands that are run without yargs when nothing about their words is unusual. */
import type { CommandModule } from 'yargs';
import { buildCommand } from './build/commands.js';
import { containerCommands, separateWords } from './container/commands.js';
import { runPlainly } from './define.js';
import { imageCommands } from './image/commands.js';

function firstWord({ command }: CommandModule): string {
  return [command].flat()[0]!.split(' ')[0];
}

/** Answers false for a command line that yargs is to read. */
export async function runPlainCommand(words: readonly string[]): Promise<boolean> {
  const [first, ...rest] = separateWords(words);
  const known = [...imageCommands, ...containerCommands, buildCommand(words)];
  const command = known.find((one) => firstWord(one) === first);
  return command !== undefined && (await runPlainly(command, rest));
}
