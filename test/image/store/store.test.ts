// SPDX-License-Identifier: MIT
/** The store under many commands at once, sudden ends, and damage: before or after, and nothing in between. */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { digestOf } from '../../../lib/image/model/digest.js';
import { checkStore } from '../../../lib/image/store/check.js';
import { storeLayer } from '../../../lib/image/store/layers.js';
import { StoreLock } from '../../../lib/image/store/lock.js';
import { Store } from '../../../lib/image/store/store.js';
import { scratch, shell } from '../../support/ground.js';
import { type Cli, describeTree, makeLayout, storeCli } from '../../support/images.js';
import { Random } from '../../support/random.js';
import { pushWithSkopeo, type Registry, startRegistry } from '../../support/registry.js';

interface Ground {
  cli: Cli;
  base: string;
  layout: string;
  registry: Registry;
}

async function prepare(t: Test): Promise<Ground> {
  const base = scratch(t);
  const layout = makeLayout(base);
  const registry = await startRegistry(t, base);
  pushWithSkopeo(layout, registry.host, 'app:1');
  return { cli: storeCli(t, base), base, layout, registry };
}

t.test('commands at once fetch each layer once and lose no name', async (t) => {
  const { cli, registry } = await prepare(t);
  const name = `${registry.host}/app:1`;
  const pulls = await Promise.all(Array.from({ length: 5 }, () => cli.run('pull', '-q', name)));
  for (const { status, stderr } of pulls) t.equal(status, 0, stderr);
  const layers = registry.requests().filter((line) => /^GET .*\/blobs\//.test(line));
  const blobs = readdirSync(join(cli.root, 'blobs/sha256')).map((hex) =>
    readFileSync(join(cli.root, 'blobs/sha256', hex), 'latin1'),
  );
  const manifest = blobs.find((blob) => blob.includes('"layers":['))!;
  for (const { digest } of JSON.parse(manifest).layers) {
    t.equal(layers.filter((line) => line.endsWith(digest)).length, 1, digest);
  }
  await Promise.all(Array.from({ length: 10 }, (_, index) => cli.ok('tag', name, `tag${index}`)));
  t.equal((await cli.ok('images', '-q', '--no-trunc', '--filter', 'reference=tag*')).split('\n').length, 2);
  t.equal(
    (await cli.ok('images', '--format', '{{.Repository}}', '--filter', 'reference=tag*')).trim().split('\n')
      .length,
    10,
  );
  await Promise.all([
    ...Array.from({ length: 9 }, (_, index) => cli.ok('rmi', `tag${index}`)),
    cli.ok('rmi', name),
  ]);
  t.equal(await cli.ok('images', '--format', '{{.Repository}}'), 'tag9\n');
  t.match(await cli.ok('system', 'check'), /nothing is wrong/);
});

t.test('a command that is killed at any moment leaves the store as before or as after', async (t) => {
  const { registry, layout, base } = await prepare(t);
  const name = `${registry.host}/app:1`;
  const commands: [what: string, args: string[]][] = [
    ['pull', ['pull', '-q', name]],
    ['load', ['load', '-q', '-i', layout]],
    ['tag', ['tag', 'base', 'other']],
    ['rmi', ['rmi', 'base']],
    ['import', ['import', join(base, 'layout-bundle/2/rootfs'), 'imported']],
    ['prune', ['image', 'prune', '-af']],
  ];
  const random = Random.of(t, 'KILL_SEED');
  const prepared = storeCli(t, base, 'prepared');
  await prepared.ok('load', '-q', '-i', layout);
  await prepared.ok('tag', 'layout', 'base');
  for (let round = 0; round < 18; round++) {
    const [what, args] = commands[round % commands.length];
    const fresh = storeCli(t, base, `killed-${round}`);
    if (what !== 'pull' && what !== 'load') shell(`cp -a ${prepared.root} ${fresh.root}`);
    const child = spawn(join(process.cwd(), 'bin/tsoverlay'), args, {
      env: { ...process.env, ...fresh.environment },
      stdio: 'ignore',
    });
    const ended = new Promise((done) => child.on('exit', done));
    await Promise.race([ended, new Promise((done) => setTimeout(done, 60 + random.below(300)))]);
    child.kill('SIGKILL');
    await ended;
    const store = Store.open(fresh.root);
    const faults = (await checkStore(store, false, () => new Set())).filter(
      ({ kind }) => kind !== 'garbage' && kind !== 'leftover',
    );
    t.strictSame(faults, [], `round ${round}: ${what}`);
    await checkStore(store, true, () => new Set());
    t.strictSame(
      readdirSync(join(fresh.root, 'staging')),
      [],
      `round ${round}: ${what}: leftovers are swept`,
    );
    // What there is can be used, and the command can be given again.
    const again = await fresh.run(...args);
    t.ok(
      again.status === 0 || /no such image/.test(again.stderr),
      `round ${round}: ${what}: ${again.stderr}`,
    );
  }
});

t.test('damage is found, said, and repaired so that the image can be got again', async (t) => {
  const { cli, registry } = await prepare(t);
  const name = `${registry.host}/app:1`;
  const damages: [what: string, damage: string, finding: RegExp][] = [
    [
      'a changed blob',
      'f=$(ls -S blobs/sha256/* | head -1); printf x | dd of=$f bs=1 seek=99 conv=notrunc 2>/dev/null',
      /damaged blob: .*its digest is sha256/,
    ],
    ['a lost blob', 'rm $(ls -S blobs/sha256/* | head -1)', /broken image: .*the blob sha256:\w+ is missing/],
    ['a lost manifest', 'rm $(grep -l \'"layers"\' blobs/sha256/*)', /broken image: .*lost it/],
    ['a lost layer', 'rm -r $(ls -d layers/* | head -1)', /broken image: .*is not unpacked/],
    [
      'a layer without its record',
      'rm $(ls -d layers/* | head -1)/layer.json',
      /damaged layer: .*layer.json is missing/,
    ],
    [
      'a damaged record',
      'echo "{" > $(ls -d layers/* | head -1)/layer.json',
      /damaged layer: .*layer.json is damaged/,
    ],
    ['a damaged list', 'echo "{" > index.json', /damaged list: .*index.json: .*not JSON/],
    ['a lost list', 'rm index.json', /garbage/],
    ['a leftover', 'mkdir staging/left; touch staging/left/x', /leftover: .*staging\/left/],
  ];
  await cli.ok('pull', '-q', name);
  const whole = `${cli.root}.whole`;
  shell(`cp -a ${cli.root} ${whole}`);
  for (const [what, damage, finding] of damages) {
    shell(damage, cli.root);
    const found = await cli.run('system', 'check', '--repair');
    t.match(found, { status: 0, stdout: finding }, what);
    const store = Store.open(cli.root);
    t.strictSame(
      (await checkStore(store, false, () => new Set())).filter(({ kind }) => kind !== 'garbage'),
      [],
      what,
    );
    await cli.ok('pull', '-q', name);
    t.strictSame(await checkStore(store, false, () => new Set()), [], `${what}: it can be pulled again`);
    shell(`rm -r ${cli.root}; cp -a ${whole} ${cli.root}`);
  }
  shell(damages[0][1], cli.root);
  t.match(
    await cli.run('system', 'check'),
    { status: 1, stdout: damages[0][2] },
    'without --repair it only tells',
  );
});

t.test('space is given back when the last image that has a layer goes', async (t) => {
  const { cli, layout } = await prepare(t);
  await cli.ok('load', '-q', '-i', layout);
  await cli.ok('import', join(layout, '..', 'layout-bundle/1/rootfs'), 'alone');
  const used = (): number =>
    Number(shell(`du -sb ${cli.root}/layers ${cli.root}/blobs | awk '{s += $1} END {print s}'`));
  const before = used();
  const removed = await cli.ok('rmi', 'alone');
  t.match(removed, /^Untagged: alone:latest\nDeleted: sha256:\w+\nDeleted: sha256:\w+\n$/);
  t.ok(used() < before - 300_000);
  await cli.ok('tag', 'layout', 'second');
  t.equal(await cli.ok('rmi', 'second'), 'Untagged: second:latest\n', 'another name keeps the layers');
  t.match(
    await cli.ok('image', 'prune', '-a', '-f'),
    /untagged: layout:latest(.|\n)*Total reclaimed space: [\d.]+kB\n$/,
  );
  t.strictSame(
    [...readdirSync(join(cli.root, 'layers')), ...readdirSync(join(cli.root, 'blobs/sha256'))],
    [],
  );
});

t.test('a store on a full disk says so and stays whole', async (t) => {
  const { layout, base } = await prepare(t);
  const small = join(base, 'small');
  mkdirSync(small);
  shell(`mount -t tmpfs -o size=600k tsoverlay-test ${small}`);
  t.teardown(() => shell(`umount -l ${small}`));
  const cli = storeCli(t, base, 'small/store');
  const loaded = await cli.run('load', '-i', layout);
  t.match(loaded, { status: 1, stderr: /no space is left on the device; free some/ });
  t.strictSame(readdirSync(join(cli.root, 'staging')), []);
  t.notMatch(await cli.ok('system', 'check'), /damaged|broken/);
});

t.test('a store that cannot be is said', async (t) => {
  const cli = storeCli(t);
  writeFileSync(join(cli.base, 'file'), '');
  t.match(await cli.run('images', '--root', join(cli.base, 'file/store')), {
    status: 1,
    stderr: /open the store .*; choose another directory with --root/,
  });
  t.match(await cli.run('images', '--root', '/proc/none'), {
    status: 1,
    stderr: /open the store \/proc\/none/,
  });
});

t.test('a thousand images are listed whole', async (t) => {
  const base = scratch(t);
  const cli = storeCli(t, base);
  const store = Store.open(cli.root);
  const empty = Buffer.alloc(1024);
  const layer = await storeLayer(
    store,
    (async function* () {
      yield empty;
    })(),
    'empty',
  );
  const manifests = Array.from({ length: 1000 }, (_, index) => {
    const config = Buffer.from(
      JSON.stringify({
        created: '2020-01-01T00:00:00Z',
        architecture: 'amd64',
        os: 'linux',
        n: index,
        rootfs: { type: 'layers', diff_ids: [layer.diffId] },
      }),
    );
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        config: {
          mediaType: 'application/vnd.oci.image.config.v1+json',
          digest: digestOf(config),
          size: config.length,
        },
        layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layer.digest, size: 1024 }],
      }),
    );
    for (const bytes of [config, manifest]) writeFileSync(store.blobPath(digestOf(bytes)), bytes);
    return {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: digestOf(manifest),
      size: manifest.length,
      annotations: { 'org.opencontainers.image.ref.name': `docker.io/library/image${index}:latest` },
    };
  });
  writeFileSync(store.indexPath, JSON.stringify({ schemaVersion: 2, manifests }));
  const started = performance.now();
  const listed = await cli.ok('images', '-q');
  const elapsed = performance.now() - started;
  t.comment(`${Math.round(elapsed)} ms`);
  t.equal(listed.trim().split('\n').length, 1000);
});

t.test('what a mount shows of an image is what the image holds', async (t) => {
  const { cli, base, layout } = await prepare(t);
  await cli.ok('load', '-q', '-i', layout);
  mkdirSync(join(base, 'm'));
  await cli.ok('mount', '--image', 'layout', 'm');
  t.teardown(() => shell(`umount ${base}/m 2>/dev/null || true`));
  shell(`umoci unpack --image ${layout}:latest ${base}/expected`);
  t.equal(describeTree(join(base, 'm')), describeTree(join(base, 'expected/rootfs')));
  t.match(await cli.run('rmi', 'layout'), { status: 1, stderr: /it is mounted at .*\/m; unmount it first/ });
  t.match(await cli.ok('image', 'prune', '-af'), /Total reclaimed space: 0B/);
  await cli.ok('unmount', 'm');
  await cli.ok('rmi', 'layout');
});

t.test('what somebody is about to mount or to keep stays until they are done', async (t) => {
  const { cli, base, layout } = await prepare(t);
  await cli.ok('load', '-q', '-i', layout);
  const before = readdirSync(join(cli.root, 'layers'));
  const lock = await StoreLock.take(cli.root, 'collection', true);
  const removed = await cli.run('rmi', 'layout');
  t.match(removed, {
    status: 0,
    stderr: /others use the store; `tsoverlay image prune` gives the space back later/,
  });
  t.strictSame(readdirSync(join(cli.root, 'layers')), before);
  lock[Symbol.dispose]();
  t.match(await cli.ok('image', 'prune', '-f'), /Total reclaimed space: [\d.]+kB/);
  t.strictSame(readdirSync(join(cli.root, 'layers')), []);

  await cli.ok('load', '-q', '-i', layout);
  const target = join(base, 'raced');
  mkdirSync(target);
  t.teardown(() => shell(`umount ${target} 2>/dev/null || true`));
  const [mounted] = await Promise.all([
    cli.run('mount', '--image', 'layout', target),
    cli.run('rmi', 'layout'),
  ]);
  if (mounted.status === 0)
    t.equal(readFileSync(join(target, 'etc/motd'), 'utf8'), 'one\ntwo\n', 'the mount was first');
  else t.match(mounted.stderr, /no such image/, 'the removal was first');
});
