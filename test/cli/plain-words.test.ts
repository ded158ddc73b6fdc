// SPDX-License-Identifier: MIT
/** What is read without yargs is read as yargs reads it. */
import fc from 'fast-check';
import t from 'tap';
import yargs from 'yargs';
import { readPlainWords } from '../../lib/cli/commands/plain-words.js';
import type { Wording } from '../../lib/cli/commands/wording.js';
import { flag, PARSING, several, text } from '../../lib/cli/define.js';

const WORDINGS: Wording[] = [
  {
    command: 'x <name> [other]',
    describe: '',
    options: {
      root: text(''),
      tag: several('', 't'),
      quiet: flag('', 'q'),
      all: flag('', 'a'),
      count: { type: 'number', nargs: 1 },
      progress: { ...text('', 'p'), default: 'auto' },
    },
  },
  { command: 'x [names..]', describe: '', options: { env: several('', 'e'), rm: flag('') } },
];

/** As program.ts sets yargs up. */
async function byYargs(
  { command, options }: Wording,
  words: readonly string[],
): Promise<Record<string, unknown> | undefined> {
  let args: Record<string, unknown> | undefined;
  try {
    await yargs(['x', ...words])
      .command(
        command,
        '',
        (one) => {
          let built = one.options(options);
          for (const [, name, many] of command.matchAll(/[<[](\w+)(\.\.)?/g))
            built = built.positional(name, {
              type: 'string',
              ...(many === undefined ? {} : { array: true, default: [] }),
            });
          return built;
        },
        (parsed) => {
          args = parsed;
        },
      )
      .strict()
      .version(false)
      .help(false)
      .parserConfiguration(PARSING)
      .exitProcess(false)
      .fail((message, failure) => {
        throw failure ?? new Error(message);
      })
      .parseAsync();
  } catch {
    return undefined;
  }
  return args;
}

t.test('plain words are read to the same arguments as by yargs', async (t) => {
  const seed = Number(process.env.WORDS_SEED ?? Math.floor(Math.random() * 2 ** 31));
  t.comment(`WORDS_SEED=${seed}`);
  const word = fc.constantFrom(
    'a',
    'b=c',
    '1',
    '07',
    '--root',
    '--root=r',
    '--root=',
    '-t',
    '--tag',
    '--tag=x',
    '-q',
    '--quiet',
    '-aq',
    '-qa',
    '--quiet=false',
    '--count',
    '--count=5',
    '5',
    '-p',
    '-p=x',
    '-px',
    '--progress',
    '--',
    '-e',
    '--env=a=b',
    '--rm',
    '-x',
    '--unknown',
    '--no-quiet',
    '-',
    '',
    '--t',
    '--q',
    'true',
    '-1',
  );
  let plain = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...WORDINGS),
      fc.array(word, { maxLength: 6 }),
      async (wording, words) => {
        const read = readPlainWords(wording, words);
        if (read === undefined) return;
        plain++;
        const expected = await byYargs(wording, words);
        const names = [...Object.keys(wording.options), 'name', 'other', 'names', '--'];
        for (const name of names) {
          if (JSON.stringify(read[name]) !== JSON.stringify(expected?.[name]))
            throw new Error(
              `${JSON.stringify(words)}: ${name} is ${JSON.stringify(read[name])}, yargs says ${JSON.stringify(expected?.[name])}`,
            );
        }
      },
    ),
    { seed, numRuns: 3000 },
  );
  t.ok(plain > 300, `${plain} were plain`);
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
    t.equal(readPlainWords(WORDINGS[0], words), undefined, words.join(' '));
});
