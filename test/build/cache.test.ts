// SPDX-License-Identifier: MIT
/** The layer cache: what is done again after a change and what is not, reproducible images, and what is kept. */
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Builder, cachedSteps, makeContext } from '../support/builds.js';
import { makeBox } from '../support/containers.js';
import { run, scratch, shell, until } from '../support/ground.js';
import { storeCli } from '../support/images.js';
import { startRegistry } from '../support/registry.js';

const PROJECT = { 'go.mod': 'module x\n', 'main.go': 'package main\n', 'lib/a.go': 'package lib\n' };
const DOCKERFILE = `FROM box
WORKDIR /app
COPY go.mod ./
RUN echo download >> /log
COPY . .
RUN echo build >> /log
CMD ["/app/x"]
`;
const STEPS = [
  'WORKDIR /app',
  'COPY go.mod ./',
  'RUN echo download >> /log',
  'COPY . .',
  'RUN echo build >> /log',
];

t.test('only what follows the first change is done again', async (t) => {
  const { cli, base } = await Builder.make(t);
  const context = makeContext(base, { ...PROJECT, Dockerfile: DOCKERFILE, '.dockerignore': 'Dockerfile\n' });
  const build = async (...args: string[]): Promise<string[]> => {
    const { status, stderr } = await cli.run('build', '--progress=plain', '-t', 'built', ...args, context);
    if (status !== 0) throw new Error(stderr);
    return cachedSteps(stderr);
  };
  const id = async (): Promise<string> => (await cli.ok('inspect', '-f', '{{.Id}}', 'built')).trim();
  t.strictSame(await build(), [], 'from nothing');
  const first = await id();
  t.strictSame(await build(), STEPS, 'nothing changed');
  t.equal(await id(), first, 'the same image');
  utimesSync(join(context, 'main.go'), 1, 1);
  t.strictSame(await build(), STEPS, 'times do not count');
  shell('chmod 755 main.go', context);
  t.strictSame(await build(), STEPS.slice(0, 3), 'modes do');
  writeFileSync(join(context, 'main.go'), 'package main // edited\n');
  t.strictSame(await build(), STEPS.slice(0, 3), 'content does');
  t.equal(
    await cli.ok('run', '--rm', 'built', 'cat', '/log', '/app/main.go'),
    'download\nbuild\npackage main // edited\n',
  );
  const { mtime } = statSync(join(context, 'main.go'));
  writeFileSync(join(context, 'main.go'), 'package main // EDITED\n');
  utimesSync(join(context, 'main.go'), mtime, mtime);
  t.strictSame(await build(), STEPS.slice(0, 3), 'also where size and time are as they were');
  writeFileSync(join(context, 'main.go'), 'package main // edited\n');
  t.strictSame(await build(), STEPS);
  shell('for f in *; do echo "[[1" > $f; done', join(cli.root, 'contexts'));
  t.strictSame(await build(), STEPS, 'what was kept of the context and is damaged is read again');
  writeFileSync(join(context, 'new.go'), 'new\n');
  t.strictSame(await build(), STEPS.slice(0, 3), 'a new file does');
  shell('rm new.go', context);
  t.strictSame(await build(), STEPS, 'and a state that was there before is there still');
  shell('mv main.go renamed.go', context);
  t.strictSame(await build(), STEPS.slice(0, 3), 'names do');
  writeFileSync(join(context, 'go.mod'), 'module y\n');
  t.strictSame(await build(), STEPS.slice(0, 1));
  t.strictSame(await build('--no-cache'), [], '--no-cache does all of it again');
  writeFileSync(
    join(context, 'Dockerfile'),
    DOCKERFILE.replace('CMD', 'ENV X=1\nCMD').replace('download', 'load'),
  );
  t.strictSame(await build(), STEPS.slice(0, 2), 'an instruction that was changed');
});

t.test('variables, users and places are part of what a RUN depends on', async (t) => {
  const builder = await Builder.make(t);
  const cached = async (lines: string, ...args: string[]): Promise<boolean> =>
    cachedSteps(await builder.ok(`FROM box\n${lines}\nRUN echo $A > /a\n`, {}, ...args)).includes(
      'RUN echo $A > /a',
    );
  t.notOk(await cached('ENV A=1'));
  t.ok(await cached('ENV A=1'));
  t.notOk(await cached('ENV A=2'));
  t.notOk(await cached('ARG A'));
  t.notOk(await cached('ARG A', '--build-arg', 'A=3'));
  t.ok(await cached('ARG A=3'), 'the same value is the same, wherever it comes from');
  t.ok(await cached('LABEL l=1'.concat('\nENV A=1')), 'a label is none of a program’s business');
  t.notOk(await cached('ENV A=1\nUSER 0'));
  t.notOk(await cached('ENV A=1\nSHELL ["/bin/ash", "-c"]'));
  t.ok(await cached('ENV A=1', '--label', 'x=y'));
});

t.test('stages that nobody needs are not built, and what they copy counts by its content', async (t) => {
  const builder = await Builder.make(t);
  const dockerfile = (stamp: string): string =>
    `FROM box AS tool\nRUN echo ${stamp} > /stamp && echo same > /tool && touch -d @0 /tool\nFROM box AS unused\nRUN exit 1\nFROM box\nCOPY --from=tool /tool /tool\nRUN echo after > /after\n`;
  const said = await builder.ok(dockerfile('1'));
  t.notMatch(said, /unused/);
  t.strictSame(cachedSteps(await builder.ok(dockerfile('2'))), [
    'COPY --from=tool /tool /tool',
    'RUN echo after > /after',
  ]);
  await builder.ok(dockerfile('2'), {}, '--target', 'tool');
  t.equal(await builder.say('cat', '/stamp'), '2\n');
});

t.test(
  'with SOURCE_DATE_EPOCH the same inputs give the same image, at another time, in another store',
  async (t) => {
    const base = scratch(t);
    makeBox(join(base, 'box'));
    const dockerfile = `FROM box AS one\nRUN mkdir /made && date > /dev/null && echo x > /made/f && ln /made/f /made/g\nFROM box\nWORKDIR /w\nCOPY . .\nCOPY --from=one /made /made\nADD a.tgz /t/\nRUN rm /etc/group && chown -R ann /made\nLABEL l=1\nCMD ["x"]\n`;
    const digests: string[] = [];
    const seconds = (): number => Math.floor(Date.now() / 1000);
    let built = 0;
    for (const store of ['first', 'second']) {
      const cli = storeCli(t, base, store);
      cli.environment.SOURCE_DATE_EPOCH = '1700000000';
      await cli.ok('import', join(base, 'box'), 'box');
      const context = makeContext(base, { ...PROJECT, Dockerfile: dockerfile });
      shell(
        `mkdir in; echo i > in/i; touch -d @1000 in/i in; tar --sort=name --mtime=@5 -czf a.tgz in; rm -r in; touch -d @${store.length}00 *`,
        context,
      );
      await until(() => seconds() > built, 'the clock to show another second');
      await cli.ok('build', '-q', '-t', 'built', context);
      const [{ Id: id, RepoDigests: _, Created: created }] = JSON.parse(await cli.ok('inspect', 'built'));
      built = seconds();
      t.equal(created, '2023-11-14T22:13:20.000Z');
      const index = JSON.parse(readFileSync(join(cli.root, 'index.json'), 'utf8')) as {
        manifests: { digest: string; annotations: Record<string, string> }[];
      };
      const manifest = index.manifests.find(({ annotations }) =>
        Object.values(annotations).some((name) => name.includes('built')),
      );
      digests.push(`${id} ${manifest!.digest}`);
      const newest = shell(
        `find ${cli.root}/layers -path '*/diff/*' -newermt @1700000001 -not -path '*/bin/*' | grep -v -e /etc -e /home -e /srv -e /tmp || true`,
      );
      t.equal(newest, '', 'no file is younger');
    }
    t.equal(digests[0], digests[1]);
  },
);

t.test('SOURCE_DATE_EPOCH is one thing as a variable and as a --build-arg, which goes before', async (t) => {
  const builder = await Builder.make(t);
  const dockerfile = 'FROM box\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH > /epoch\n';
  const made = async (...args: string[]): Promise<string[]> => {
    const said = await builder.ok(dockerfile, {}, ...args);
    t.notMatch(said, /no such ARG/);
    const created = await builder.cli.ok('inspect', '-f', '{{.Created}}', 'built');
    return [created.trim(), (await builder.say('cat', '/epoch')).trim()];
  };
  t.strictSame(await made('--build-arg', 'SOURCE_DATE_EPOCH=86400'), ['1970-01-02T00:00:00.000Z', '86400']);
  builder.cli.environment.SOURCE_DATE_EPOCH = '0';
  t.strictSame(await made(), ['1970-01-01T00:00:00.000Z', '0']);
  t.strictSame(await made('--build-arg', 'SOURCE_DATE_EPOCH=86400'), ['1970-01-02T00:00:00.000Z', '86400']);
  const forOthers = ['--build-arg', 'BUILDKIT_SANDBOX_HOSTNAME=h', '--build-arg', 'SOURCE_DATE_EPOCH=1'];
  const noted = await builder.ok('FROM box\nRUN true\n', {}, ...forOthers);
  t.match(noted, /--build-arg BUILDKIT_SANDBOX_HOSTNAME: it is for BuildKit, and has no effect here/);
  t.notMatch(noted, /no such ARG/);
});

t.test('--cache-from takes layers of an image that was built elsewhere', async (t) => {
  const base = scratch(t);
  const registry = await startRegistry(t, base);
  const name = `${registry.host}/app:1`;
  makeBox(join(base, 'box'));
  const one = storeCli(t, base, 'one');
  await one.ok('import', join(base, 'box'), 'box');
  const context = makeContext(base, { ...PROJECT, Dockerfile: DOCKERFILE });
  await one.ok('build', '-q', '-t', name, context);
  await one.ok('push', '-q', name);
  await one.ok('save', '-o', join(base, 'box.tar'), 'box');
  const two = storeCli(t, base, 'two');
  await two.ok('load', '-i', join(base, 'box.tar'));
  const { stderr } = await two.run('build', '--progress=plain', '-t', 'built', '--cache-from', name, context);
  t.strictSame(cachedSteps(stderr), STEPS);
  const without = await two.run(
    'build',
    '--progress=plain',
    '-t',
    'built',
    '--cache-from',
    `${registry.host}/no:1`,
    '--no-cache',
    context,
  );
  t.equal(without.status, 0, 'an image that cannot be had is no obstacle');
  const noted = await two.run(
    'build',
    '--progress=plain',
    '--cache-from',
    `${registry.host}/no:1`,
    '--build-arg',
    'ODD=1',
    makeContext(base, { Dockerfile: 'FROM box\nRUN true\n' }),
  );
  t.match(noted, {
    status: 0,
    stderr: /--cache-from .*no:1 is left out[\s\S]*--build-arg ODD: the Dockerfile has no such ARG/,
  });
});

t.test('names, labels, an id file and --squash are about what is made', async (t) => {
  const builder = await Builder.make(t);
  const { cli, base } = builder;
  const iidfile = join(base, 'iid');
  const layersOf = async (name: string): Promise<number> =>
    JSON.parse(await cli.ok('inspect', name))[0].RootFS.Layers.length as number;
  const dockerfile =
    'FROM box AS base\nRUN echo 1 > /1 && echo gone > /gone\nRUN rm /gone /etc/group && echo 2 > /2\nLABEL own=1\n';
  await builder.ok(
    dockerfile,
    {},
    '-t',
    'second:tag',
    '--label',
    'given=a=b',
    '--label',
    'own=2',
    '--iidfile',
    iidfile,
  );
  t.equal(readFileSync(iidfile, 'utf8'), await builder.id());
  t.match(await builder.config(), { Labels: { own: '2', given: 'a=b' } });
  t.equal((await cli.ok('inspect', '-f', '{{.Id}}', 'second:tag')).trim(), await builder.id());
  t.equal(await layersOf('built'), 3);
  await builder.ok(dockerfile, {}, '--squash');
  t.equal(await layersOf('built'), 2);
  t.equal(await builder.say('sh', '-c', 'cat /1 /2; ls /gone /etc/group 2>/dev/null | wc -l'), '1\n2\n0\n');
  t.match(await cli.ok('history', 'built'), /squash[\s\S]*import/);
  const quiet = await cli.run('build', '-q', makeContext(base, { Dockerfile: dockerfile }));
  t.match(quiet, { status: 0, stderr: '', stdout: /^sha256:[0-9a-f]{64}\n$/ });
  t.match(
    await cli.ok('images', '-f', 'dangling=true'),
    /<none>/,
    'an image without a name is there by its id',
  );
});

t.test(
  '-o writes a directory, a tar archive, an OCI or a Docker archive, or refuses what is none',
  async (t) => {
    const builder = await Builder.make(t);
    const { cli, base } = builder;
    const out = (name: string): string => join(base, name);
    const dockerfile = 'FROM scratch\nCOPY --chown=5:6 f /d/f\n';
    const context = makeContext(base, { Dockerfile: dockerfile, f: 'content\n' });
    await cli.ok('build', '-q', '-o', out('dir'), context);
    t.equal(readFileSync(join(out('dir'), 'd/f'), 'utf8'), 'content\n');
    t.equal(statSync(join(out('dir'), 'd/f')).uid, process.getuid!(), 'it is its maker’s');
    writeFileSync(join(out('dir'), 'stays'), '');
    await cli.ok('build', '-q', '-o', `type=local,dest=${out('dir')}`, context);
    t.ok(existsSync(join(out('dir'), 'stays')));
    await cli.ok('build', '-q', '-o', `type=tar,dest=${out('t.tar')}`, context);
    t.match(shell(`tar --numeric-owner -tvf ${out('t.tar')}`), /-rw-r--r-- 5\/6 +8 .* d\/f/);
    t.match(
      shell(`${process.cwd()}/bin/tsoverlay build -q -o - ${context} --root ${cli.root} | tar -t`),
      /^d\/\nd\/f\n$/,
    );
    for (const type of ['oci', 'docker']) {
      await cli.ok('build', '-q', '-t', 'named:1', '-o', `type=${type},dest=${out(type)}`, context);
      const source = type === 'oci' ? `oci-archive:${out(type)}` : `docker-archive:${out(type)}`;
      const { rootfs } = JSON.parse(run('skopeo', '--insecure-policy', 'inspect', '--config', source)) as {
        rootfs: { diff_ids: string[] };
      };
      t.equal(rootfs.diff_ids.length, 1, type);
    }
    const usage = async (output: string): Promise<number | null> =>
      (await cli.run('build', '-o', output, context)).status;
    t.strictSame(
      await Promise.all(['type=zip,dest=x', 'type=local', 'kind=oci,dest=x'].map(usage)),
      [2, 2, 2],
    );
  },
);

t.test(
  'a Dockerfile is read from another place or the input, a context may be missing or this directory',
  async (t) => {
    const { cli, base } = await Builder.make(t);
    const context = makeContext(base, {
      'sub/My.dockerfile': 'FROM box\nCOPY f /f\n',
      f: 'x',
      'sub/My.dockerfile.dockerignore': 'g\n',
      g: '',
    });
    await cli.ok('build', '-q', '-t', 'built', '-f', join(context, 'sub/My.dockerfile'), context);
    const program = `${process.cwd()}/bin/tsoverlay build -q --root ${cli.root}`;
    t.match(shell(`printf 'FROM box\\nCOPY f /f\\n' | ${program} -f - ${context}`), /^sha256:/);
    t.match(
      shell(`printf 'FROM box\\nRUN true\\n' | ${program} -`, context),
      /^sha256:/,
      'no context at all',
    );
    const container = makeContext(base, { Containerfile: 'FROM box\n' });
    t.match(shell(`${program}`, container), /^sha256:/, 'this directory, and the other usual name');
  },
);

t.test('build ls lists what is kept, and prune removes what no image needs', async (t) => {
  const builder = await Builder.make(t);
  const { cli, root } = { cli: builder.cli, root: builder.cli.root };
  const layers = (): number => readdirSync(join(root, 'layers')).length;
  await builder.ok('FROM box\nRUN echo a > /a\nRUN --mount=type=cache,target=/m echo m > /m/m\n');
  await builder.ok('FROM box\nRUN echo b > /b\n');
  await cli.ok('image', 'prune', '-f');
  const listed = JSON.parse(
    `[${(await cli.ok('build', 'ls', '--format', 'json')).trim().split('\n').join(',')}]`,
  ).flat() as {
    Type: string;
    InUse: string;
    Description: string;
  }[];
  t.strictSame(listed.map(({ Type: type, InUse: used }) => `${type} ${used}`).sort(), [
    'mount false',
    'step false',
    'step false',
    'step true',
  ]);
  t.match(await cli.ok('system', 'df'), /Build cache +3 +1 /);
  const before = layers();
  t.match(await cli.ok('image', 'prune', '-f'), /reclaimed/);
  t.equal(layers(), before, 'what builds keep is not for image prune');
  t.match(await cli.run('build', 'prune'), { status: 2, stderr: /nothing was removed/ });
  t.match(await cli.ok('build', 'prune', '-f', '--filter', 'until=24h'), /reclaimed space: 0B/);
  t.match(await cli.ok('build', 'prune', '-f', '--keep-storage', '1g'), /reclaimed space: 0B/);
  t.match(await cli.ok('build', 'prune', '-f'), /Deleted .*RUN/);
  t.equal(layers(), before - 2);
  t.equal(await builder.say('cat', '/b'), 'b\n');
  await cli.ok('build', 'prune', '-f', '-a');
  t.equal(await cli.ok('build', 'ls', '-q'), '');
  t.equal(await builder.say('cat', '/b'), 'b\n', 'images keep what they have');
  t.match(await cli.ok('system', 'check'), /nothing is wrong/);
});

t.test('an empty cache is pruned like others, but not while a build is using it', async (t) => {
  const builder = await Builder.make(t);
  const { cli } = builder;
  await builder.ok('FROM box\nRUN --mount=type=cache,target=/m true\n');
  await cli.ok('rmi', 'built');
  const [name] = shell(`ls ${cli.root}/mount-caches`).trim().split('\n');
  const prune = `${process.cwd()}/bin/tsoverlay build prune -fa --root ${cli.root}`;
  t.notMatch(shell(`flock -s ${cli.root}/locks/mount-cache-${name} ${prune}`), /type=cache/);
  t.match(await cli.ok('build', 'ls'), /mount .*type=cache/, 'it is still there');
  t.match(await cli.ok('build', 'prune', '-fa'), /Deleted .*type=cache/);
  t.equal(await cli.ok('build', 'ls', '-q'), '');
});

t.test(
  'records that were damaged are as if they were not there, and system check finds damaged layers',
  async (t) => {
    const builder = await Builder.make(t);
    await builder.ok('FROM box\nRUN echo a > /a\n');
    shell('for f in *; do echo "{" > $f; done', join(builder.cli.root, 'steps'));
    t.strictSame(cachedSteps(await builder.ok('FROM box\nRUN echo a > /a\n')), []);
    shell('rm -r layers/*/layer.json', builder.cli.root);
    t.match(await builder.cli.run('system', 'check', '--repair'), { stdout: /damaged layer/ });
  },
);
