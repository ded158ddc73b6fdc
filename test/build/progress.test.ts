// SPDX-License-Identifier: MIT
/** What is seen of a build: on a terminal, in a log, by a program. */
import t from 'tap';
import { Builder, makeContext } from '../support/builds.js';
import { PROGRAM, Terminal } from '../support/containers.js';

const DOCKERFILE = 'FROM box\nRUN echo kept\nRUN echo first line; printf "no end"\nLABEL a=b\n';

t.test('without a terminal each step is told by lines, with what it prints', async (t) => {
  const builder = await Builder.make(t);
  await builder.ok('FROM box\nRUN echo kept\n');
  const { stdout, stderr } = await builder.run(DOCKERFILE, {}, '-t', 'other:1');
  t.match(
    stderr,
    /^#1 \[1\/4\] FROM box\n#1 DONE 0\.\ds\n#2 \[2\/4\] RUN echo kept\n#2 CACHED\n#3 \[3\/4\] RUN echo first line.*\n#3 \d\.\d{3} first line\n#3 \d\.\d{3} no end\n#3 DONE \d\.\ds\n#4 \[4\/4\] LABEL a=b\n#4 DONE 0\.0s\n$/,
  );
  t.match(stdout, /^Built [0-9a-f]{12} in 4 steps, 1 cached\nTagged built:latest\nTagged other:1\n$/);
  const stages = await builder.ok('FROM box AS one\nRUN echo 1\nFROM box\nCOPY --from=one /etc/passwd /p\n');
  t.match(stages, /^#\d+ \[one 2\/2\] RUN echo 1$/m, 'with several stages their names are told');
});

t.test('--progress json tells each event in a line of JSON', async (t) => {
  const { cli, base } = await Builder.make(t);
  const context = makeContext(base, { Dockerfile: DOCKERFILE });
  const { stderr } = await cli.run('build', '--progress', 'json', context);
  const events = stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.match(events[0], { event: 'begin', id: 1, number: 1, total: 4, text: 'FROM box', time: /^\d{4}-.*Z$/ });
  const output = events.filter(({ event, id }) => event === 'output' && id === 3).map(({ text }) => text);
  t.equal(output.join(''), 'first line\nno end');
  t.strictSame(
    events.filter(({ event }) => event === 'end').map(({ id, how }) => `${id} ${how}`),
    ['1 done', '2 done', '3 done', '4 done'],
  );
  const failed = await cli.run(
    'build',
    '--progress',
    'json',
    makeContext(base, { Dockerfile: 'FROM box\nRUN exit 4\n' }),
  );
  t.match(failed.stderr, /"how":"failed"\}\ntsoverlay: build .*Dockerfile:2: .*exit code 4/);
});

t.test('on a terminal the running step is drawn over, and no program draws over it', async (t) => {
  const { cli, base } = await Builder.make(t);
  const context = makeContext(base, {
    Dockerfile: 'FROM box\nRUN echo kept\nRUN echo shown; printf "\\033[2Jdrawn\\n"; sleep 1; echo last\n',
  });
  const terminal = new Terminal(t, cli, PROGRAM, 'build', context);
  await terminal.shows(/ => \[3\/3\] RUN echo shown[^\n]* \d\.\ds\r\n {4}shown/);
  const rest = await terminal.shows(/Built in \d\.\ds, 3 steps/);
  t.notOk(rest.includes('\x1b[2J'), 'a program does not draw over what is shown');
  t.match(rest, / \[3\/3\] RUN echo shown[^\n]* \d\.\ds\r\n/);
  t.equal(await terminal.exited, 0);
  const again = new Terminal(t, cli, PROGRAM, 'build', context);
  await again.shows(/ \[2\/3\] RUN echo kept +CACHED/);
  t.equal(await again.exited, 0);
});
