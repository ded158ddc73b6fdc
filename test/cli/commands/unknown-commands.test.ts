// SPDX-License-Identifier: MIT
/** What is said of a word that is no command. */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import t from 'tap';

const program = resolve('bin/tsoverlay');

const SAID: [words: string, message: string][] = [
  ['version', "there is no command 'version'; see `tsoverlay --help`"],
  ['--debug version', "there is no command 'version'; see `tsoverlay --help`"],
  ['imags', "there is no command 'imags'; did you mean images or image?"],
  ['container xx', "there is no command 'container xx'; see `tsoverlay container --help`"],
  ['container stat', "there is no command 'container stat'; did you mean start or stats or stop?"],
  ['image lss', "there is no command 'image lss'; did you mean ls?"],
  ['system dg', "there is no command 'system dg'; did you mean df?"],
];

t.test(
  'an unknown command is called that at every level, with the commands whose names are near',
  async (t) => {
    for (const [words, message] of SAID) {
      const { status, stderr } = spawnSync(program, words.split(' '), { encoding: 'utf8' });
      t.match({ status, first: stderr.split('\n')[0] }, { status: 2, first: `tsoverlay: ${message}` }, words);
    }
  },
);
