// SPDX-License-Identifier: MIT
/** What sources of COPY and ADD mean when they are there, and when they are not. */
import t from 'tap';
import { Builder } from '../support/builds.js';

const FILES = { a: 'a\n', b1: 'b\n', b2: 'b\n', 'dir/c': 'c\n', '[odd]*': 'odd\n' };

t.test('a pattern without a match is nothing beside a source that is there', async (t) => {
  const builder = await Builder.make(t);
  await builder.ok(
    `FROM box AS other
RUN mkdir /o && echo o > /o/o
FROM box
COPY nosuch* a /1/
COPY b? nodir/*.txt b[3-9] /2/
ADD no?such/* a /3/
COPY --from=other /o/*.txt /o/o /4/
COPY --parents no*/c dir/c /5/
COPY nosuch* <<E /6/
E
COPY ["no*", "a", "/7/"]
COPY \\\\[odd\\\\]\\\\* no* /8/
RUN find /[1-9] -type f | sort > /found
`,
    FILES,
  );
  t.strictSame((await builder.say('cat', '/found')).trim().split('\n'), [
    '/1/a',
    '/2/b1',
    '/2/b2',
    '/3/a',
    '/4/o',
    '/5/dir/c',
    '/6/E',
    '/7/a',
    '/8/[odd]*',
  ]);
});

const MISSING: [line: string, reason: RegExp][] = [
  ['COPY nosuch a /x/', /copy nosuch: there is no such file in the context/],
  ['COPY a* nosuch /x/', /copy nosuch: there is no such file in the context/],
  ['ADD a nosuch /x/', /copy nosuch: there is no such file in the context/],
  ['COPY a no\\\\*such /x/', /there is no such file in the context/],
  ['COPY a dir/c/d /x/', /copy dir\/c\/d: there is no such file in the context/],
  ['COPY --from=box /etc/nosuch /etc/pass* /x/', /copy \/etc\/nosuch: there is no such file in box/],
  ['COPY nosuch* /x/', /copy "?nosuch\*"?: nothing in the context matches it/],
  ['COPY nosuch* nodir/? /x/', /nothing in the context matches them/],
  ['COPY --from=box /etc/nosuch* /x/', /nothing in box matches it/],
  ['COPY a [ /x/', /the pattern \[ has a \[ without \]/],
  ['COPY a b[ /x/', /the pattern b\[ has a \[ without \]/],
  ['COPY a [z-a] /x/', /the pattern \[z-a\] has a range that runs backwards/],
];

t.test('a name that is not there ends the build, as do patterns of which none has a match', async (t) => {
  const builder = await Builder.make(t);
  for (const [line, reason] of MISSING) {
    const { status, stderr } = await builder.run(`FROM box\n${line}\n`, FILES);
    t.equal(status, 1, line);
    t.match(stderr.trim().split('\n').at(-1), reason);
    t.match(stderr, /Dockerfile:2: /);
  }
});
