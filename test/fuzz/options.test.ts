// SPDX-License-Identifier: MIT
/** What people write and files hold, almost right: it is read, or refused in one line. */
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { OverlayError } from '../../lib/base/errors.js';
import { parseDockerfile } from '../../lib/build/language/dockerfile.js';
import { IgnoreList } from '../../lib/build/language/ignore.js';
import { parseReference } from '../../lib/image/model/reference.js';
import { applyOptionString, emptyOptions } from '../../lib/mount/option-string.js';
import { mutate, runs } from '../support/mutation.js';
import { Random } from '../support/random.js';

/** Samples of a file of the corpus; a line of dashes stands between those that have several lines. */
function samples(name: string, separator: string): Buffer[] {
  const parts = readFileSync(`test/fuzz/corpus/${name}`, 'utf8').split(separator);
  return parts.filter((part) => part.trim() !== '').map((part) => Buffer.from(part));
}

function tryAll(t: Test, corpus: readonly Buffer[], read: (text: string) => void): void {
  const random = Random.of(t);
  let [taken, refused] = [0, 0];
  for (let count = 0; count < runs(4000); count++) {
    const text = mutate(random, random.pick(corpus), corpus).toString('utf8');
    try {
      read(text);
      taken++;
    } catch (failure) {
      refused++;
      if (!(failure instanceof OverlayError) || failure.message.includes('\n'))
        throw new Error(`${JSON.stringify(text)}: ${(failure as Error).stack}`);
    }
  }
  t.ok(taken > 50 && refused > 50, `${taken} were taken, ${refused} refused`);
}

t.test('mount options are read, or refused in one line', async (t) => {
  tryAll(t, samples('options.txt', '\n'), (text) => applyOptionString(emptyOptions(), text));
});

t.test('Dockerfiles are read, or refused in one line', async (t) => {
  tryAll(t, samples('dockerfiles.txt', '----\n'), (text) => void parseDockerfile(text, 'Dockerfile'));
});

t.test('names of images are read, or refused in one line', async (t) => {
  tryAll(t, samples('names.txt', '\n'), (text) => void parseReference(text));
});

t.test('.dockerignore is read, or refused in one line', async (t) => {
  const corpus = samples('dockerignore.txt', '----\n');
  tryAll(t, corpus, (text) => void IgnoreList.parse(text, '.dockerignore').ignores('a/b/c.txt'));
});
