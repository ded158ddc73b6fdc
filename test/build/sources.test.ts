// SPDX-License-Identifier: MIT
/** What sources of COPY and ADD mean when they are there, and when they are not. */
import t from 'tap';
import { Builder, makeContext } from '../support/builds.js';
import { shell } from '../support/ground.js';

const FILES = { a: 'a\n', b1: 'b\n', b2: 'b\n', 'dir/c': 'c\n', '[odd]*': 'odd\n' };

t.test('a pattern without a match is nothing, alone and beside a source that is there', async (t) => {
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
COPY nosuch* nodir/? /9/
COPY --from=other /o/nosuch* /9/
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
  ['COPY a [ /x/', /the pattern \[ has a \[ without \]/],
  ['COPY a b[ /x/', /the pattern b\[ has a \[ without \]/],
  ['COPY a [z-a] /x/', /the pattern \[z-a\] has a range that runs backwards/],
];

t.test('a name that is not there ends the build, and so does a pattern that is none', async (t) => {
  const builder = await Builder.make(t);
  for (const [line, reason] of MISSING) {
    const { status, stderr } = await builder.run(`FROM box\n${line}\n`, FILES);
    t.equal(status, 1, line);
    t.match(stderr.trim().split('\n').at(-1), reason);
    t.match(stderr, /Dockerfile:2: /);
  }
});

/** RFC 8878, 3.1.2: a magic number from 0x184D2A50 to 0x184D2A5F, the size of what is to be skipped, and that. */
const SKIPPABLE_FRAME = String.raw`printf '\137\052\115\030\004\0\0\0skip'`;

t.test('ADD takes a zstd archive apart, also where a skippable frame comes first', async (t) => {
  const builder = await Builder.make(t);
  const context = makeContext(builder.base, {
    a: 'a\n',
    Dockerfile: 'FROM box\nADD plain.tar.zst /plain/\nADD skipped.tar.zst /skipped/\n',
  });
  shell(
    `tar -cf a.tar a; zstd -q -o plain.tar.zst a.tar
     { ${SKIPPABLE_FRAME}; cat plain.tar.zst; } > skipped.tar.zst`,
    context,
  );
  await builder.cli.ok('build', '-q', '-t', 'built', context);
  t.equal(await builder.say('cat', '/plain/a', '/skipped/a'), 'a\na\n');
});

t.test('ADD copies a file that begins like an archive and is none', async (t) => {
  const builder = await Builder.make(t);
  const context = makeContext(builder.base, { Dockerfile: 'FROM box\nADD odd.gz odd.xz /odd/\n' });
  shell(
    String.raw`printf '\037\213\010garbage' > odd.gz; printf '\375\067\172\130\132\000garbage' > odd.xz`,
    context,
  );
  await builder.cli.ok('build', '-q', '-t', 'built', context);
  t.equal(await builder.say('sh', '-c', 'tail -c 7 /odd/odd.gz; tail -c 7 /odd/odd.xz'), 'garbagegarbage');
});

t.test('a stage may copy from one that begins later, by name and by number', async (t) => {
  const builder = await Builder.make(t);
  await builder.ok(
    `FROM box AS first
COPY --from=later /x /1
COPY --from=1 /x /2
FROM box AS later
RUN echo later > /x
`,
    {},
    '--target',
    'first',
  );
  t.equal(await builder.say('cat', '/1', '/2'), 'later\nlater\n');
});
