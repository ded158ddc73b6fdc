// SPDX-License-Identifier: MIT
/** What a registry warns of is told to people once, on one line, and changes nothing else. */
import t from 'tap';
import { parseWarnings, Warnings } from '../../../lib/image/registry/warnings.js';
import { storeCli } from '../../support/images.js';
import { OddRegistry } from '../../support/odd-registry.js';

/** A control character of Unicode, in UTF-8 as a header has it. */
const NEL = Buffer.from('\u0085').toString('latin1');

t.test('the texts for people are found in a Warning header', (t) => {
  const headers: [header: string, texts: string[]][] = [
    ['299 - "Your token ends soon."', ['Your token ends soon.']],
    ['299 - "a, b", 299 - "c \\"d\\""', ['a, b', 'c "d"']],
    ['299 proxy.example:80 "a" "Sat, 25 Aug 2012 23:34:45 GMT", 299 - "b"', ['a', 'b']],
    ['110 cache "Response is Stale", 299 - "a"', ['a']],
    [`299 - "${Buffer.from('für').toString('latin1')}"`, ['für']],
    ['299 - "a\tb \x1b[2J\u0085"', ['a b [2J\ufffd']],
    [`299 - "${'x'.repeat(1000)}"`, [`${'x'.repeat(500)}…`]],
    ['299 - ""', []],
    ['299 - a', []],
    ['299 - "a', []],
    ['2990 - "a"', []],
    ['', []],
  ];
  for (const [header, texts] of headers) t.strictSame(parseWarnings(header), texts, header.slice(0, 80));
  t.end();
});

t.test('warnings beyond 4096 bytes together are left out', (t) => {
  const told: string[] = [];
  const warnings = new Warnings({ note: (text) => told.push(text) });
  for (let index = 100; index < 200; index++)
    warnings.take('r.example', `299 - "${index} ${'x'.repeat(396)}"`);
  t.equal(told.length, 10);
  t.match(told[0], /^r\.example warns: 100 x+$/);
  t.end();
});

t.test(
  'pull, pull --all-tags, push and search tell each warning once and do what they were asked',
  async (t) => {
    const registry = await OddRegistry.start(t, (_asked, response, pass) => {
      response.setHeader('warning', ['299 - "This registry moves."', `299 - "So does ${NEL}this image."`]);
      pass();
    });
    for (const tag of ['1', '2', '3']) registry.image('app', tag, { tag });
    const cli = storeCli(t);
    const said = `${registry.host} warns: This registry moves.\n${registry.host} warns: So does this image.\n`;
    const name = `${registry.host}/app`;
    for (const args of [
      ['pull', '-q', `${name}:1`],
      ['pull', '-q', '-a', name],
      ['push', '-q', `${name}:1`],
      ['search', '--tags', name],
    ])
      t.match(await cli.run(...args), { status: 0, stderr: said }, args.join(' '));
  },
);
