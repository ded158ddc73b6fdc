// SPDX-License-Identifier: MIT
/** The library against node:fs/promises on a directory, which says what is right, and on a mount. */
import t from 'tap';
import { type Case, grounds, outcome } from '../support/three-grounds.js';
import { optionCases, pathCases } from './cases.js';
import { handleCases } from './copy-cases.js';

const all: [string, string, Case][] = Object.entries({
  ...pathCases,
  ...optionCases,
  ...handleCases,
}).flatMap(([name, cases]) =>
  Object.entries(cases).map(([title, act]): [string, string, Case] => [name, title, act]),
);

t.test('the library and a mount do what node:fs/promises does on a directory', async (t) => {
  const [control, ...others] = await grounds(t, all.length);
  for (const [index, [name, title, act]] of all.entries()) {
    const wanted = await outcome(control, index, act);
    for (const ground of others) {
      t.strictSame(await outcome(ground, index, act), wanted, `${name}: ${title}, on ${ground.name}`);
    }
  }
});
