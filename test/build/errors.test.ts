// SPDX-License-Identifier: MIT
/** Builds that fail: what is said, and that nothing but finished steps is left. */
import { join } from 'node:path';
import t from 'tap';
import { Builder, cachedSteps, makeContext } from '../support/builds.js';
import { census, leftSince, PROGRAM, Terminal } from '../support/containers.js';
import { shell } from '../support/ground.js';

interface Case {
  title: string;
  dockerfile: string;
  files?: Record<string, string>;
  prepare?: string;
  args?: string[];
  status?: number;
  stderr: RegExp;
}

const CASES: Case[] = [
  {
    title: 'an unknown instruction, with the nearest',
    dockerfile: 'FROM box\nRUNN x\n',
    stderr: /Dockerfile:2: there is no instruction RUNN; did you mean RUN\?$/m,
  },
  {
    title: 'a source that is not there',
    dockerfile: 'FROM box\nCOPY nope /x\n',
    stderr:
      /copy nope: there is no such file in the context; see the name, and what \.dockerignore leaves out$/m,
  },
  {
    title: 'a source that is ignored',
    dockerfile: 'FROM box\nCOPY f /x\n',
    files: { f: 'x', '.dockerignore': 'f\n' },
    stderr: /Dockerfile:\d: copy f: there is no such file in the context/,
  },
  {
    title: 'a source above the context',
    dockerfile: 'FROM box\nCOPY ../secret /x\n',
    stderr: /Dockerfile:\d: copy \.\.\/secret: there is no such file in the context/,
  },
  {
    title: 'a source that winds its way above the context',
    dockerfile: 'FROM box\nCOPY a/../../secret /x\n',
    stderr: /copy a\/\.\.\/\.\.\/secret: there is no such file in the context/,
  },
  {
    title: 'a symlink out of the context',
    dockerfile: 'FROM box\nCOPY link/passwd /x\n',
    prepare: 'ln -s /etc link',
    stderr:
      /Dockerfile:\d: copy link\/passwd: link is a symlink to \/etc, which leads to nothing in the context/,
  },
  {
    title: 'a symlink upwards',
    dockerfile: 'FROM box\nCOPY up /x\n',
    prepare: 'ln -s ../../../../../../etc/shadow up',
    stderr: /up is a symlink to .*etc\/shadow, which leads to nothing in the context/,
  },
  {
    title: 'a loop of symlinks',
    dockerfile: 'FROM box\nCOPY l /x\n',
    prepare: 'ln -s l l',
    stderr: /Dockerfile:\d: copy l: ELOOP/,
  },
  {
    title: 'a RUN that fails',
    dockerfile: 'FROM box\nRUN echo said >&2; exit 7\n',
    stderr:
      /------\n > \[2\/2\] RUN echo said[\s\S]*said\n------\n[\s\S]*2 \| >>> RUN echo said[\s\S]*ended with exit code 7; look around in the state before it with `tsoverlay build --debug-shell`/,
  },
  {
    title: 'a RUN of a program that is not there',
    dockerfile: 'FROM box\nRUN ["/no/such"]\n',
    stderr: /Dockerfile:2: run \/no\/such: the container has no such program/,
  },
  {
    title: 'a RUN in an empty image',
    dockerfile: 'FROM scratch\nRUN true\n',
    stderr: /Dockerfile:2: run \/bin\/sh: the container has no such program/,
  },
  {
    title: 'a user that is not there',
    dockerfile: 'FROM box\nUSER nobody-knows\nRUN true\n',
    stderr: /Dockerfile:\d: find user nobody-knows: \/etc\/passwd of the image has no such user/,
  },
  {
    title: '--chown of somebody who is not there',
    dockerfile: 'FROM box\nCOPY --chown=nobody-knows f /f\n',
    files: { f: '' },
    stderr: /Dockerfile:\d: find user nobody-knows/,
  },
  {
    title: 'stages that wait for each other',
    dockerfile: 'FROM box AS a\nCOPY --from=b /x /x\nFROM box AS b\nCOPY --from=a /x /x\n',
    stderr:
      /Dockerfile:2:13: stages wait for each other in a circle: b -> a -> b; name another stage, or an image$/m,
  },
  {
    title: 'a stage on itself',
    dockerfile: 'FROM a AS a\n',
    stderr:
      /Dockerfile:1: the stage a is this one, and stages cannot wait for each other in a circle; as an image: /,
  },
  {
    title: 'a target that is not there',
    dockerfile: 'FROM box AS build\n',
    args: ['--target', 'biuld'],
    stderr: /there is no stage biuld; did you mean build\?/,
  },
  {
    title: 'an image that cannot be had',
    dockerfile: 'FROM 127.0.0.1:1/none\n',
    stderr: /Dockerfile:1: ask registry 127\.0\.0\.1:1: it cannot be reached/,
  },
  {
    title: 'an ARG in FROM that is not set',
    dockerfile: 'ARG BASE\nFROM $BASE\n',
    stderr: /FROM \$BASE is empty; give the ARG a default, or --build-arg/,
  },
  {
    title: 'several files for one name',
    dockerfile: 'FROM box\nCOPY a b /file\n',
    files: { a: '', b: '' },
    stderr: /COPY has 2 sources, and \/file is not a directory; write \/file\//,
  },
  {
    title: 'a directory for a file',
    dockerfile: 'FROM box\nRUN mkdir -p /t/x\nCOPY d /t/\n',
    files: { 'd/x': 'file' },
    stderr: /Dockerfile:\d: copy to \/t\/x: it is a directory in the image, and would become a file/,
  },
  {
    title: 'a file for a directory',
    dockerfile: 'FROM box\nRUN mkdir /t && touch /t/x\nCOPY d /t/\n',
    files: { 'd/x/y': '' },
    stderr: /Dockerfile:\d: copy to \/t\/x: it is a file in the image, and would become a directory/,
  },
  {
    title: 'a destination through a file',
    dockerfile: 'FROM box\nCOPY f /etc/passwd/x\n',
    files: { f: '' },
    stderr: /Dockerfile:\d: copy to \/etc\/passwd\/x: \/etc\/passwd is not a directory in the image/,
  },
  {
    title: 'an archive that is cut short',
    dockerfile: 'FROM box\nADD a.tar /x/\n',
    prepare: 'head -c 100000 /dev/urandom > f; tar -cf a.tar f; truncate -s 50000 a.tar',
    stderr: /unpack a\.tar: it is cut off \(at byte 50000\)/,
  },
  {
    title: 'an archive that leads elsewhere',
    dockerfile: 'FROM box\nADD a.tar /x/\n',
    prepare: 'echo x > f; tar -cPf a.tar --transform s,f,../../../evil, f',
    stderr: /unpack \.\.\/\.\.\/\.\.\/evil \(layer a\.tar\): the name leads out of the/,
  },
  {
    title: 'a variable that must be set',
    dockerfile: 'FROM box\nWORKDIR /${NAME:?is needed}\n',
    stderr: /Dockerfile:2: NAME: is needed/,
  },
  {
    title: 'a quote without an end',
    dockerfile: 'FROM box\nENV A="x\n',
    stderr: /Dockerfile:2: "x has no second "/,
  },
  { title: 'a port that is none', dockerfile: 'FROM box\nEXPOSE 99999\n', stderr: /99999 is not a port/ },
  ...['80:', '99999:80', 'h:80:80', '1.2.3:80:80', '80-81:80-82', '80/tcp:80', '80/icmp'].map((port) => ({
    title: `EXPOSE ${port}`,
    dockerfile: `FROM box\nEXPOSE ${port}\n`,
    stderr: new RegExp(`Dockerfile:2: ${port} is not a port`),
  })),
  {
    title: 'an epoch that is none',
    dockerfile: 'FROM box\n',
    args: ['--build-arg', 'SOURCE_DATE_EPOCH=today'],
    status: 2,
    stderr: /SOURCE_DATE_EPOCH=today is no time; give seconds since 1970/,
  },
  {
    title: 'a signal that is none',
    dockerfile: 'FROM box\nSTOPSIGNAL SIGX\n',
    stderr: /there is no signal SIGX/,
  },
  {
    title: 'a mode that is none',
    dockerfile: 'FROM box\nCOPY --chmod=rwx f /f\n',
    files: { f: '' },
    stderr: /--chmod=rwx is not a mode/,
  },
  {
    title: 'an option that is not there',
    dockerfile: 'FROM box\n',
    args: ['--build-args', 'x=y'],
    status: 2,
    stderr: /unknown option --build-args; did you mean --build-arg\?/,
  },
  {
    title: 'a progress that is not there',
    dockerfile: 'FROM box\n',
    args: ['--progress', 'fancy'],
    status: 2,
    stderr: /--progress fancy is not possible/,
  },
  {
    title: 'a name that is none',
    dockerfile: 'FROM box\n',
    args: ['-t', 'Upper'],
    status: 2,
    stderr: /"Upper" is no image name/,
  },
  {
    title: 'a secret without an id',
    dockerfile: 'FROM box\n',
    args: ['--secret', 'src=x'],
    status: 2,
    stderr: /has no id/,
  },
];

t.test('what is wrong is said in one line', { timeout: 300_000 }, async (t) => {
  const builder = await Builder.make(t);
  const { cli, base } = builder;
  await cli.ok('build', '-q', makeContext(base, { Dockerfile: 'FROM box\nRUN true\n' }));
  const before = census(cli);
  for (const { title, dockerfile, files = {}, prepare, args = [], status = 1, stderr } of CASES) {
    await t.test(title, async (t) => {
      const context = makeContext(base, { ...files, Dockerfile: dockerfile });
      if (prepare !== undefined) shell(prepare, context);
      const outcome = await cli.run('build', ...args, context);
      t.match(outcome, { status, stderr });
      t.match(outcome.stderr.trimEnd().split('\n').at(-1), /^tsoverlay: \S/, 'at the end, in one line');
      t.notMatch(outcome.stderr, /this should not happen|\n +at /);
    });
  }
  const kept = /^file .*\/(steps|layers|blobs|contexts)(\/|$)/;
  t.strictSame(
    (await leftSince(before, cli)).filter((line) => !kept.test(line)),
    [],
    'nothing is left but what was finished',
  );
});

t.test('what is wrong with the text is told before an image is pulled or a program runs', async (t) => {
  const builder = await Builder.make(t);
  for (const text of ['FROM 127.0.0.1:1/none\nEXPOSE 99999\n', 'FROM box\nRUN echo ran\nEXPOSE 99999\n']) {
    const { status, stderr } = await builder.run(text);
    t.equal(status, 1);
    t.match(stderr, /99999 is not a port/);
    t.notMatch(stderr, /^#1 /m, 'no step began');
  }
});

t.test('a Dockerfile or a context that is not there is named, with the remedy', async (t) => {
  const { cli, base } = await Builder.make(t);
  const empty = makeContext(base, {});
  t.match(await cli.run('build', empty), {
    status: 1,
    stderr:
      /read .*\/Dockerfile: there is no such file; write a Dockerfile there, or name another with --file/,
  });
  t.match(await cli.run('build', '-f', '/no/such', empty), {
    status: 1,
    stderr: /read \/no\/such: there is no such file; see the name/,
  });
  t.match(await cli.run('build', '/no/such'), { status: 1, stderr: /no such/ });
  t.match(await cli.run('build', '-f', join(empty, '.'), empty), { status: 1, stderr: /EISDIR/ });
  shell('echo FROM box > Dockerfile', empty);
  t.match(await cli.run('build', '-f', join(empty, 'Dockerfile'), join(empty, 'Dockerfile')), {
    status: 1,
    stderr: /it is not a directory/,
  });
});

t.test('a failure ends what goes on beside it, and finished steps are kept', async (t) => {
  const builder = await Builder.make(t);
  const dockerfile =
    'FROM box AS long\nRUN echo finished > /f\nRUN sleep 1000\nFROM box\nRUN sleep 1; exit 3\nCOPY --from=long /f /f\n';
  const began = Date.now();
  const failed = await builder.run(dockerfile);
  t.match(failed, { status: 1, stderr: /ended with exit code 3/ });
  t.ok(Date.now() - began < 60_000);
  const again = await builder.run(dockerfile);
  t.strictSame(cachedSteps(again.stderr), ['RUN echo finished > /f']);
});

t.test('--debug-shell opens a shell in the state before', async (t) => {
  const builder = await Builder.make(t);
  const { cli, base } = builder;
  const context = makeContext(base, {
    Dockerfile: 'FROM box\nARG WHO=me\nWORKDIR /w\nRUN echo kept > kept\nRUN false\n',
  });
  const before = census(cli);
  const terminal = new Terminal(t, cli, PROGRAM, 'build', '--debug-shell', context);
  await terminal.shows(/This is the state before `RUN false`/);
  await terminal.shows(/# /);
  terminal.type('pwd; cat kept; echo "for $WHO"; ls\r');
  await terminal.shows(/\/w\r?\n[\s\S]*kept\r?\n[\s\S]*for me\r?\n/);
  terminal.type('exit\r');
  t.equal(await terminal.exited, 1);
  const kept = /^file .*\/(steps|layers|blobs|contexts)(\/|$)/;
  t.strictSame(
    (await leftSince(before, cli)).filter((line) => !kept.test(line)),
    [],
  );
});
