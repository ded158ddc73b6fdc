// SPDX-License-Identifier: MIT
/** The words and shapes that Docker's users know. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseMoment } from '../../lib/cli/words/filters.js';
import { compileTemplate } from '../../lib/cli/words/go-template.js';
import { parseSize } from '../../lib/cli/words/sizes.js';
import { scratch, shell } from '../support/ground.js';
import { type Cli, makeLayout, storeCli } from '../support/images.js';

async function prepare(t: Test): Promise<Cli> {
  const base = scratch(t);
  const cli = storeCli(t, base);
  await cli.ok('load', '-q', '-i', makeLayout(base, 'app'));
  mkdirSync(join(base, 'root'));
  shell('echo x > f; head -c 50000 /dev/zero > zeros', join(base, 'root'));
  await cli.ok('import', join(base, 'root'), 'example.com/small:1', '-c', 'LABEL kind=small');
  return cli;
}

t.test('images lists names, ids, ages, sizes, and what is shared', async (t) => {
  const cli = await prepare(t);
  await cli.ok('tag', 'app', 'team/app:2');
  const lines = (await cli.ok('images')).trimEnd().split('\n');
  t.match(lines[0], /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE +SHARED +UNIQUE$/);
  t.equal(lines.length, 4);
  t.match(lines.join('\n'), /\nexample.com\/small +1 +[0-9a-f]{12} +\d+ seconds? ago +50kB +0B +50kB/);
  t.match(lines.join('\n'), /\nteam\/app +2 /);
  t.match(await cli.ok('image', 'ls', '--digests'), /DIGEST/);
  const id = (await cli.ok('images', '-q', '--no-trunc', 'app')).trim();
  t.match(id, /^sha256:[0-9a-f]{64}$/);
  t.equal(await cli.ok('images', '-q', 'app:latest'), `${id.slice(7, 19)}\n`);
  t.equal(await cli.ok('images', 'app:none'), lines[0].replace(/ {2,}/g, '  ').concat('\n'));
  t.equal(
    await cli.ok('images', '--filter', 'label=kind=small', '--format', '{{.Repository}}:{{.Tag}}'),
    'example.com/small:1\n',
  );
  t.equal(await cli.ok('images', '--filter', 'label=kind=other', '-q'), '');
  t.equal(
    await cli.ok('images', '--filter', 'reference=team/*', '--format', '{{.Repository}}'),
    'team/app\n',
  );
  t.equal(
    await cli.ok('images', '--filter', 'since=app', '--format', '{{.Repository}}'),
    'example.com/small\n',
  );
  t.match(JSON.parse((await cli.ok('images', '--format', 'json')).split('\n')[0]), {
    Repository: String,
    Tag: String,
    ID: String,
    Size: String,
  });
  t.match(await cli.ok('images', '--format', 'table {{.Tag}}\t{{.Repository}}'), /^TAG +REPOSITORY\n/);
  t.match(await cli.run('images', '--filter', 'x=1'), {
    status: 2,
    stderr: /there is no filter x=1; filters are dangling=/,
  });
  t.match(await cli.run('images', '--format', '{{.Nothing}}'), {
    status: 2,
    stderr: /there is no field .Nothing; there are Repository, Tag/,
  });
});

t.test('a name that moves on leaves its image without one, until it is pruned', async (t) => {
  const cli = await prepare(t);
  const old = (await cli.ok('images', '-q', 'example.com/small')).trim();
  await cli.ok('tag', 'app', 'example.com/small:1');
  t.equal(await cli.ok('images', '-q', '--filter', 'dangling=true'), `${old}\n`);
  t.match(await cli.ok('images'), new RegExp(`<none> +<none> +${old}`));
  t.match(await cli.run('image', 'prune'), {
    status: 2,
    stderr: /nothing was removed; answer y, or give --force/,
  });
  const yes = spawnSync('bash', ['-c', `echo y | bin/tsoverlay image prune --root ${cli.root}`], {
    encoding: 'utf8',
  });
  t.match(yes, { status: 0, stdout: new RegExp(`deleted: ${old}(.|\n)*Total reclaimed space: [\\d.]+kB`) });
  t.equal(await cli.ok('images', '-q', '--filter', 'dangling=true'), '');
  t.equal(await cli.ok('image', 'prune', '-af', '--filter', 'until=24h'), 'Total reclaimed space: 0B\n');
});

t.test('inspect answers as docker does, by name, id, beginning of an id, and digest', async (t) => {
  const cli = await prepare(t);
  const [image] = JSON.parse(await cli.ok('inspect', 'app'));
  t.match(image, {
    Id: /^sha256:/,
    RepoTags: ['app:latest'],
    Config: { Env: ['A=b'], Cmd: ['sh'], Labels: { l: '1' } },
    Architecture: String,
    Os: 'linux',
    RootFS: { Type: 'layers', Layers: [/^sha256:/, /^sha256:/] },
    GraphDriver: { Name: 'tsoverlay', Data: { LowerDir: /layers\/[0-9a-f]{64}\/diff:/ } },
  });
  t.ok(image.Size > 300_000);
  for (const name of [
    image.Id,
    image.Id.slice(7),
    image.Id.slice(7, 13),
    'app:latest',
    'docker.io/library/app',
  ]) {
    t.equal(await cli.ok('image', 'inspect', '-f', '{{.Id}}', name), `${image.Id}\n`, name);
  }
  t.match(await cli.run('inspect', 'ap'), {
    status: 1,
    stderr: /no such image in the store; did you mean app:latest\?/,
  });
  t.match(await cli.run('inspect', 'smlal'), { status: 1, stderr: /did you mean example.com\/small:1\?/ });
  t.match(await cli.run('inspect', 'unheard-of'), { status: 1, stderr: /`tsoverlay pull unheard-of`/ });
  t.match(await cli.run('inspect', 'ff'.repeat(32)), { status: 1 });
});

t.test('history shows what made each layer, newest first', async (t) => {
  const cli = await prepare(t);
  await cli.ok('import', join(cli.base, 'root'), 'one', '-m', 'a comment');
  const lines = (await cli.ok('history', 'one')).trimEnd().split('\n');
  t.match(lines[0], /^IMAGE +CREATED +CREATED BY +SIZE +COMMENT$/);
  t.match(lines[1], /^[0-9a-f]{12} +\d+ seconds? ago +import .* +50kB +a comment$/);
  t.match(await cli.ok('history', '--human=false', '--format', '{{.Size}}', 'one'), /^50002\n$/);
  t.equal((await cli.ok('history', '-q', 'app')).split('\n').length, 3);
});

t.test('layers shows what each one adds, changes, removes and wastes', async (t) => {
  const cli = await prepare(t);
  const shown = JSON.parse(await cli.ok('layers', 'app', '--json'));
  t.equal(shown.layers.length, 2);
  const kinds = Object.fromEntries(
    shown.layers[1].changes.map(({ kind, path }: { kind: string; path: string }) => [path, kind]),
  );
  t.match(kinds, { '/gone': 'D', '/opaque': 'C', '/opaque/below': 'D', '/new': 'A', '/etc/motd': 'C' });
  t.equal(shown.wasted, 'old\n'.length + 'below\n'.length + 'one\n'.length);
  t.match(await cli.ok('layers', 'app', '--files'), /layer 2\n(.|\n)*D \/gone {2}4B\n/);
  t.match(await cli.ok('layers', 'app'), /\d+kB in 2 layers, 14B of it wasted \(efficiency 100.0 %\)/);
  t.match(await cli.run('layers', 'app', '--ci'), { status: 0, stdout: /PASS\n$/ });
  t.match(await cli.run('layers', 'app', '--ci', '--max-wasted', '10'), {
    status: 1,
    stdout: /FAIL: 14 bytes are wasted, 10 are allowed/,
  });
  t.match(await cli.run('layers', 'app', '--ci', '--min-efficiency', '0.999999'), {
    status: 1,
    stdout: /FAIL: efficiency/,
  });
});

t.test('system df says what could be given back', async (t) => {
  const cli = await prepare(t);
  mkdirSync(join(cli.base, 'm'));
  await cli.ok('mount', '--image', 'example.com/small:1', 'm');
  t.teardown(() => shell(`umount ${cli.base}/m 2>/dev/null || true`));
  const rows = (await cli.ok('system', 'df', '--format', 'json'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.match(rows[0], {
    Type: 'Images',
    TotalCount: '2',
    Active: '1',
    Size: /^\d+kB$/,
    Reclaimable: /^300kB \(86%\)$/,
  });
  await cli.ok('unmount', 'm');
});

t.test('names that look like numbers or options are names', async (t) => {
  const cli = await prepare(t);
  await cli.ok('tag', 'app', '123');
  t.match(await cli.ok('images', '123'), /\n123 +latest/);
  t.match(await cli.ok('rmi', '123'), /Untagged: 123:latest/);
  t.match(await cli.run('tag', 'app', 'a@sha256:12'), { status: 2, stderr: /what follows @ is no digest/ });
  t.match(await cli.run('rmi', 'none', 'also-none'), { status: 1, stderr: /none(.|\n)*also-none/ });
  const id = (await cli.ok('images', '-q', 'app')).trim();
  await cli.ok('tag', 'app', 'second');
  t.match(await cli.run('rmi', id), {
    status: 1,
    stderr: /it has several names: app:latest, second:latest; remove them by name, or give --force/,
  });
  t.match(
    await cli.ok('rmi', '--force', id),
    /Untagged: app:latest\nUntagged: second:latest\nDeleted: sha256/,
  );
});

t.test('mistakes are named, with the nearest right word', async (t) => {
  const cli = await prepare(t);
  const cases: [args: string[], message: RegExp][] = [
    [['pul', 'x'], /pull/],
    [['pull'], /an argument is missing; see `tsoverlay pull --help`/],
    [['pull', '--platfrm', 'x', 'y'], /unknown option --platfrm; did you mean --platform\?/],
    [['image'], /no command is given; see `tsoverlay image --help`/],
    [['image', 'prun'], /prune/],
    [
      ['pull', 'x', '--max-layer-size', '3 apples'],
      /--max-layer-size 3 apples is no size; write it as in 64m/,
    ],
  ];
  for (const [args, message] of cases)
    t.match(await cli.run(...args), { status: 2, stderr: message }, args.join(' '));
  for (const args of [
    ['pull', '--help'],
    ['image', '--help'],
    ['system', 'check', '--help'],
    ['commit', '--help'],
  ]) {
    t.match(await cli.run(...args), { status: 0, stdout: /tsoverlay/ }, args.join(' '));
  }
});

t.test('templates are those of Go, as far as they are met', async (t) => {
  const value = { Name: 'n', List: ['a', 'b'], Map: { k: 'v' }, Deep: { Er: 1 }, Empty: [] };
  const cases: [template: string, result: string][] = [
    ['{{.Name}}-{{ .Deep.Er }}', 'n-1'],
    ['{{json .List}}', '["a","b"]'],
    ['{{join .List ", "}}', 'a, b'],
    ['{{index .Map "k"}}', 'v'],
    ['{{len .List}}{{upper .Name}}', '2N'],
    ['{{range .List}}<{{.}}>{{end}}', '<a><b>'],
    ['{{if .Empty}}yes{{else}}no{{end}}{{if .List}}!{{end}}', 'no!'],
    ['{{.List}} {{.Map}}', '[a b] map[k:v]'],
    ['a\\tb', 'a\tb'],
  ];
  for (const [template, result] of cases) t.equal(compileTemplate(template)(value), result, template);
  for (const bad of ['{{range .List}}', '{{end}}', '{{}}', '{{nothing .X}}', '{{if .X}}']) {
    t.throws(() => compileTemplate(bad)(value), { message: /^--format: / }, bad);
  }
});

t.test('moments and sizes are read as people write them', async (t) => {
  const now = Date.parse('2026-01-02T00:00:00Z');
  t.equal(parseMoment('24h', now), Date.parse('2026-01-01T00:00:00Z'));
  t.equal(parseMoment('1h30m', now), now - 5_400_000);
  t.equal(parseMoment('2025-01-01', now), new Date(2025, 0, 1).getTime(), 'without a zone it is local');
  t.equal(parseMoment('1700000000', now), 1_700_000_000_000);
  t.throws(() => parseMoment('soon'), { message: /not a moment/ });
  t.equal(parseSize('x', '512m'), 512 * 2 ** 20);
  t.equal(parseSize('x', '1.5GiB'), 1.5 * 2 ** 30);
  t.throws(() => parseSize('x', '-1'), { message: /no size/ });
});
