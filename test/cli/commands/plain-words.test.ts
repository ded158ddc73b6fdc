// SPDX-License-Identifier: MIT
/** What is read without yargs is read as yargs reads it, for every command. */
import fc from 'fast-check';
import t from 'tap';
import { argumentsOf, type Command, type Option } from '../../../lib/cli/commands/command.js';
import { readPlainWords } from '../../../lib/cli/commands/plain-words.js';
import { type CommandName, commands } from '../../../lib/cli/commands/table.js';
import { commandModule, reader } from '../../../lib/cli/program.js';

async function byYargs(
  name: CommandName,
  words: readonly string[],
): Promise<Record<string, unknown> | undefined> {
  let args: object | undefined;
  const module = commandModule({ names: ['x'], command: name }, async (read) => {
    args = read;
  });
  try {
    await reader(['x', ...words], [module])
      .version(false)
      .help(false)
      .fail((message, failure) => {
        throw failure ?? new Error(message);
      })
      .parseAsync();
  } catch {
    return undefined;
  }
  return args as Record<string, unknown> | undefined;
}

type Named = [name: string, option: Option];

/** An option as people write it. */
function usualForms([name, { type, alias, choices = ['value'] }]: Named): string[][] {
  const names = [`--${name}`, ...(alias === undefined ? [] : [`-${alias}`])];
  if (type === 'boolean') return names.map((one) => [one]);
  const value = type === 'number' ? '5' : choices[0];
  return [...names.map((one) => [one, value]), [`--${name}=${value}`]];
}

/** Glued, together, wrong. */
function oddForms([name, { alias = 'x' }]: Named): string[][] {
  const long = ['', '=', '=value', '=false', '=07'].map((end) => `--${name}${end}`);
  const short = [`-${alias}`, `-${alias}=x`, `-${alias}x`, `-${alias}q`, `-q${alias}`, `--${alias}`];
  return [...long, `--no-${name}`, ...short].map((word) => [word]);
}

const ODD = ['1', '07', 'true', '-', '', '--', '-1', '-x', '--unknown', '--debug'].map((word) => [word]);

const lines = fc.constantFrom(...(Object.keys(commands) as CommandName[])).chain((name) => {
  const options: Named[] = Object.entries((commands[name] as Command).options);
  const part = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(['a'], ...options.flatMap(usualForms)) },
    { weight: 1, arbitrary: fc.constantFrom(...ODD, ...options.flatMap(oddForms)) },
  );
  const needed = argumentsOf(commands[name]).flatMap(({ isRequired }) => (isRequired ? ['word'] : []));
  return fc.tuple(
    fc.constant(name),
    fc.array(part, { maxLength: 4 }).map((parts) => [...parts.flat(), ...needed]),
  );
});

t.test('plain words are read to the same arguments as by yargs', async (t) => {
  const seed = Number(process.env.WORDS_SEED ?? Math.floor(Math.random() * 2 ** 31));
  t.comment(`WORDS_SEED=${seed}`);
  const plain = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(lines, async ([name, words]) => {
      const read = readPlainWords(commands[name], words);
      if (read === undefined) return;
      plain.set(name, (plain.get(name) ?? 0) + 1);
      const expected = await byYargs(name, words);
      const { options }: Command = commands[name];
      const names = [...Object.keys(options), ...argumentsOf(commands[name]).map((one) => one.name), '--'];
      for (const one of names) {
        const [quick, slow] = [read[one], expected?.[one]].map((value) => JSON.stringify(value));
        if (quick !== slow)
          throw new Error(`${name} ${JSON.stringify(words)}: ${one} is ${quick}, yargs says ${slow}`);
      }
    }),
    { seed, numRuns: 800 },
  );
  const count = [...plain.values()].reduce((sum, one) => sum + one, 0);
  t.ok(count > 250, `${count} were plain`);
  t.strictSame([...plain.keys()].sort(), Object.keys(commands).sort(), 'some of every command');
});

t.test('what is unusual is left to yargs', async (t) => {
  for (const words of [
    ['--help'],
    ['a', '-h'],
    ['a', '--unknown'],
    ['a', '--root'],
    [],
    ['a', 'b', 'c'],
    ['a', '--root', 'x', '--root', 'y'],
  ])
    t.equal(readPlainWords(commands.port, words), undefined, words.join(' '));
  t.equal(readPlainWords(commands.mount, ['/mnt', '--driver', 'none']), undefined, 'no choice of ours');
});
