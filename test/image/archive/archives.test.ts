// SPDX-License-Identifier: MIT
/** Archives between tools: what Buildah, Podman, skopeo and umoci write is loaded, and ours are loaded there. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { digestOf } from '../../../lib/image/model/digest.js';
import { btrfsScratch } from '../../support/containers.js';
import { run, scratch, shell } from '../../support/ground.js';
import { type Cli, describeTree, makeLayout, storeCli } from '../../support/images.js';
import { startRegistry } from '../../support/registry.js';

interface Ground {
  cli: Cli;
  base: string;
  layout: string;
  /** The tree that the image shows, as umoci unpacks it. */
  expected: string;
  skopeo(...args: string[]): void;
}

function prepare(t: Test): Ground {
  const base = scratch(t);
  const layout = makeLayout(base);
  run('umoci', 'unpack', '--image', `${layout}:latest`, join(base, 'expected'));
  const skopeo = (...args: string[]): void => void run('skopeo', '--insecure-policy', 'copy', '-q', ...args);
  return {
    cli: storeCli(t, base),
    base,
    layout,
    expected: describeTree(join(base, 'expected/rootfs')),
    skopeo,
  };
}

/** The tree of an image, by export and GNU tar. */
async function treeOf({ cli, base }: Ground, name: string): Promise<string> {
  const archive = join(base, 'exported.tar');
  const tree = join(base, `tree-${statSync(base).mtimeMs}-${Math.floor(performance.now() * 1000)}`);
  mkdirSync(tree);
  await cli.ok('export', name, '-o', archive);
  run('tar', '-C', tree, '--xattrs', '--xattrs-include=*', '-xpf', archive);
  return describeTree(tree);
}

t.test('archives of each kind that other tools write are loaded, with the same tree', async (t) => {
  const ground = prepare(t);
  const { cli, base, layout, skopeo } = ground;
  skopeo(`oci:${layout}:latest`, `docker-archive:${base}/docker.tar:some/docker:1`);
  skopeo(`oci:${layout}:latest`, `oci-archive:${base}/oci.tar:some/oci:1`);
  skopeo(`oci:${layout}:latest`, `oci:${base}/dir:some/dir:1`);
  skopeo('--dest-compress-format', 'zstd', `oci:${layout}:latest`, `oci:${base}/zstd:some/zstd:1`);
  shell('gzip -k docker.tar; zstd -q -k oci.tar', base);
  const cases: [path: string, name: string][] = [
    ['docker.tar', 'some/docker:1'],
    ['docker.tar.gz', 'some/docker:1'],
    ['oci.tar', 'some/oci:1'],
    ['oci.tar.zst', 'some/oci:1'],
    ['dir', 'some/dir:1'],
    ['zstd', 'some/zstd:1'],
    ['layout', 'layout:latest'],
  ];
  for (const [path, name] of cases) {
    const fresh = { ...ground, cli: storeCli(t, base, `store-${path}`) };
    t.equal(await fresh.cli.ok('load', '-i', join(base, path)), `Loaded image: ${name}\n`, path);
    t.equal(await treeOf(fresh, name), ground.expected, path);
    t.match(await fresh.cli.ok('system', 'check'), /nothing is wrong/, path);
  }
  for (const [path] of cases) await cli.ok('load', '-q', '-i', join(base, path));
  t.equal(shell('ls layers | wc -l', cli.root), '2\n', 'the layers of all lie there once');
});

t.test('what we save is loaded by skopeo, Podman, umoci and ourselves, and is the same image', async (t) => {
  const ground = prepare(t);
  const { cli, base, layout } = ground;
  await cli.ok('load', '-q', '-i', layout);
  await cli.ok('tag', 'layout', 'example.com/saved:1');
  const archive = join(base, 'saved.tar');
  await cli.ok('save', '-o', archive, 'example.com/saved:1');
  const id = await cli.ok('inspect', '-f', '{{.Id}}', 'layout');
  for (const source of [`docker-archive:${archive}`, `oci-archive:${archive}`]) {
    const config = run('skopeo', 'inspect', '--raw', '--config', source);
    t.match(JSON.parse(config).rootfs.diff_ids.length, 2, source);
  }
  mkdirSync(join(base, 'oci'));
  run('tar', '-C', join(base, 'oci'), '-xf', archive);
  run('umoci', 'unpack', '--image', `${base}/oci:example.com/saved:1`, join(base, 'again'));
  t.equal(describeTree(join(base, 'again/rootfs')), ground.expected);
  const podman = `podman --root ${base}/ps --runroot ${base}/pr --storage-driver vfs`;
  t.match(
    shell(
      `${podman} load -q -i ${archive}; ${podman} image inspect --format '{{.Id}}' example.com/saved:1; rm -rf ${base}/ps`,
    ),
    id.slice(7).trim(),
  );
  const other = storeCli(t, base, 'other');
  t.equal(await other.ok('load', '-i', archive), 'Loaded image: example.com/saved:1\n');
  t.equal(
    await other.ok('inspect', '-f', '{{.Id}} {{.Descriptor.digest}}', 'example.com/saved:1'),
    await cli.ok('inspect', '-f', '{{.Id}} {{.Descriptor.digest}}', 'layout'),
  );
  const twice = spawnSync(
    'bash',
    [
      '-c',
      `bin/tsoverlay save --root ${cli.root} layout example.com/saved:1 | bin/tsoverlay load --root ${base}/piped`,
    ],
    { encoding: 'utf8' },
  );
  t.match(twice, { status: 0, stdout: 'Loaded image: layout:latest\nLoaded image: example.com/saved:1\n' });
  await cli.ok('save', '-o', join(base, 'second.tar'), 'example.com/saved:1');
  t.ok(
    readFileSync(archive).equals(readFileSync(join(base, 'second.tar'))),
    'the same image gives the same archive',
  );
});

t.test('other tools read the store itself', async (t) => {
  const { cli, layout } = prepare(t);
  await cli.ok('load', '-q', '-i', layout);
  const inspected = JSON.parse(run('skopeo', 'inspect', `oci:${cli.root}:docker.io/library/layout:latest`));
  t.match(inspected.Env, ['A=b']);
});

t.test(
  'a root file system is imported from an archive, a directory and a pipe, and exported again',
  async (t) => {
    const ground = prepare(t);
    const { cli, base } = ground;
    const tree = join(base, 'expected/rootfs');
    run(
      'tar',
      '-C',
      tree,
      '--format=pax',
      '--xattrs',
      '--xattrs-include=*',
      '-cf',
      join(base, 'root.tar'),
      '.',
    );
    await cli.ok(
      'import',
      join(base, 'root.tar'),
      'from/tar:1',
      '-c',
      'CMD ["sh"]',
      '-c',
      'ENV X=y z',
      '-c',
      'EXPOSE 80',
      '-m',
      'note',
    );
    await cli.ok('import', tree, 'from/dir:1');
    const piped = spawnSync(
      'bash',
      ['-c', `bin/tsoverlay import --root ${cli.root} - from/pipe:1 < ${base}/root.tar`],
      { encoding: 'utf8' },
    );
    t.match(piped, { status: 0, stdout: /^sha256:[0-9a-f]{64}\n$/ });
    for (const name of ['from/tar:1', 'from/dir:1', 'from/pipe:1'])
      t.equal(await treeOf(ground, name), ground.expected, name);
    t.equal(
      await cli.ok('inspect', '-f', '{{json .Config}}', 'from/tar:1'),
      '{"Cmd":["sh"],"Env":["X=y z"],"ExposedPorts":{"80/tcp":{}}}\n',
    );
    t.match(await cli.ok('history', 'from/tar:1'), /import .*root.tar +[\d.]+kB +note/);
    process.env.SOURCE_DATE_EPOCH = '1000000000';
    const ids = [await cli.ok('import', tree, 'a'), await cli.ok('import', tree, 'b')];
    delete process.env.SOURCE_DATE_EPOCH;
    t.equal(ids[0], ids[1], 'with SOURCE_DATE_EPOCH the same tree gives the same image');
  },
);

/** A layout with one image that has no layers; Go writes an empty list as null, or leaves it out. */
function layoutWithoutLayers(directory: string, layers: object, rootfs: object): void {
  mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
  const put = (mediaType: string, document: object): object => {
    const bytes = Buffer.from(JSON.stringify(document));
    const digest = digestOf(bytes);
    writeFileSync(join(directory, 'blobs/sha256', digest.slice(7)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const config = put('application/vnd.oci.image.config.v1+json', {
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { a: 'b' } },
    rootfs: { type: 'layers', ...rootfs },
  });
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = put(type, { schemaVersion: 2, mediaType: type, config, ...layers });
  writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const index = { schemaVersion: 2, manifests: [manifest] };
  writeFileSync(join(directory, 'index.json'), JSON.stringify(index));
}

t.test('an image without layers is loaded and saved, however its empty lists are written', async (t) => {
  const base = scratch(t);
  const lists: [layers: object, rootfs: object][] = [
    [{ layers: [] }, { diff_ids: [] }],
    [{ layers: null }, { diff_ids: null }],
    [{}, {}],
  ];
  for (const [index, [layers, rootfs]] of lists.entries()) {
    const cli = storeCli(t, base, `store-${index}`);
    layoutWithoutLayers(join(base, `l${index}`), layers, rootfs);
    const id = (await cli.ok('load', '-q', '-i', join(base, `l${index}`))).trim();
    t.equal(await cli.ok('inspect', '-f', '{{.RootFS.Layers}} {{.Config.Labels.a}}', id), '[] b\n');
    await cli.ok('tag', id, 'empty');
    await cli.ok('save', '-o', join(base, 'saved.tar'), 'empty');
    await cli.ok('rmi', '-f', id);
    t.match(await cli.ok('load', '-i', join(base, 'saved.tar')), /Loaded image: empty:latest/);
    t.equal((await cli.ok('inspect', '-f', '{{.Id}}', 'empty')).trim(), id);
    t.match(await cli.ok('system', 'check'), /nothing is wrong/);
  }
  const config = '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}';
  const docker = join(base, 'docker');
  mkdirSync(docker);
  writeFileSync(join(docker, 'c.json'), config);
  writeFileSync(join(docker, 'manifest.json'), '[{"Config":"c.json","RepoTags":["old:1"],"Layers":null}]');
  t.equal(await storeCli(t, base).ok('load', '-i', docker), 'Loaded image: old:1\n');
});

t.test('an image without layers has an empty result in each command that reads its files', async (t) => {
  const cli = storeCli(t);
  const { base } = cli;
  const context = join(base, 'context');
  const write = (...lines: string[]): void => writeFileSync(join(context, 'Dockerfile'), lines.join('\n'));
  mkdirSync(context);
  write('FROM scratch', 'LABEL a=b');
  await cli.ok('build', '-q', '-t', 'empty', context);
  t.match(await cli.ok('layers', 'empty'), /0B in 0 layers/);
  t.strictSame(JSON.parse(await cli.ok('layers', '--json', 'empty')).layers, []);
  t.match(await cli.ok('layers', '--ci', 'empty'), /PASS/);
  t.equal(await cli.ok('diff', 'empty', 'empty'), '');
  await cli.ok('export', '-o', join(base, 'exported.tar'), 'empty');
  await cli.ok('build', '-q', '-o', `type=tar,dest=${join(base, 'built.tar')}`, context);
  for (const name of ['exported.tar', 'built.tar']) t.equal(run('tar', '-tf', join(base, name)), '', name);
  await cli.ok('build', '-q', '-o', join(base, 'out'), context);
  t.strictSame(readdirSync(join(base, 'out')), []);
  t.match(await cli.run('run', '--rm', 'empty'), { status: 125, stderr: /names no command; give one/ });
  t.match(await cli.run('run', '--rm', 'empty', '/x'), { status: 127, stderr: /no such program/ });

  const target = join(base, 'm');
  shell('mkdir m u w', base);
  await cli.ok('mount', '--image', 'empty', target);
  t.teardown(() => cli.run('unmount', target));
  t.strictSame(readdirSync(target), []);
  t.equal(statSync(target).mode & 0o7777, 0o755);
  await cli.ok('unmount', target);
  await cli.ok('mount', '--image', 'empty', '--upper', join(base, 'u'), '--work', join(base, 'w'), target);
  writeFileSync(join(target, 'f'), 'x');
  await cli.ok('commit', target, 'filled');
  await cli.ok('unmount', target);
  t.equal(await cli.ok('diff', 'empty', 'filled'), 'A /f\n');
  t.equal(await cli.ok('diff', 'filled', 'empty'), 'D /f\n');

  write('FROM scratch AS none', 'FROM filled', 'COPY --from=none / /x/', 'COPY --from=empty / /');
  await cli.ok('build', '-q', '-t', 'copied', context);
  t.equal(await cli.ok('diff', 'filled', 'copied'), 'A /x\n');
  write('FROM scratch AS none', 'FROM filled', 'COPY --from=none /missing /x/');
  t.match(await cli.run('build', '-q', context), { status: 1, stderr: /no such file in none/ });
  t.match(await cli.ok('system', 'check'), /nothing is wrong/);
});

t.test(
  'an image without layers is pushed and pulled, and other tools read it from the registry',
  async (t) => {
    const cli = storeCli(t);
    const { base } = cli;
    const { host } = await startRegistry(t, base);
    layoutWithoutLayers(join(base, 'layout'), { layers: [] }, { diff_ids: [] });
    const id = (await cli.ok('load', '-q', '-i', join(base, 'layout'))).trim();
    await cli.ok('tag', id, `${host}/empty:1`);
    await cli.ok('push', '-q', `${host}/empty:1`);
    run(
      'skopeo',
      '--insecure-policy',
      'copy',
      '-q',
      '--src-tls-verify=false',
      `docker://${host}/empty:1`,
      `oci:${join(base, 'read')}`,
    );
    const other = storeCli(t, base, 'other');
    await other.ok('pull', '-q', `${host}/empty:1`);
    for (const image of [`${host}/empty:1`, (await other.ok('load', '-q', '-i', 'read')).trim()])
      t.equal((await other.ok('inspect', '-f', '{{.Id}} {{.RootFS.Layers}}', image)).trim(), `${id} []`);
    t.match(await other.ok('history', `${host}/empty:1`), /^IMAGE/);
    t.match(await other.ok('images'), /empty +1 /);
    t.match(await other.ok('system', 'check'), /nothing is wrong/);
  },
);

for (const driver of ['tsoverlay', 'overlay', 'vfs', 'btrfs']) {
  t.test(`a container of an image without layers takes files and runs them, on ${driver}`, async (t) => {
    const cli = storeCli(t, driver === 'btrfs' ? btrfsScratch(t) : scratch(t));
    const context = join(cli.base, 'context');
    mkdirSync(context);
    writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nLABEL a=b\n');
    await cli.ok('build', '-q', '-t', 'empty', context);
    await cli.ok('create', '--storage-driver', driver, '--name', 'c1', 'empty', '/cat', '/f');
    t.teardown(() => cli.run('rm', '-f', 'c1'));
    await cli.ok('cp', join(context, 'Dockerfile'), 'c1:/f');
    t.equal(await cli.ok('diff', 'c1'), 'A /f\n');
    await cli.ok('export', '-o', join(cli.base, 'e.tar'), 'c1');
    t.equal(run('tar', '-tf', join(cli.base, 'e.tar')), 'f\n');
    await cli.ok('cp', '/bin/busybox', 'c1:/cat');
    t.match(await cli.run('start', '-a', 'c1'), { status: 0, stdout: /^FROM scratch/ });
    await cli.ok('commit', 'c1', 'filled');
    t.match(await cli.ok('run', '--rm', '--storage-driver', driver, 'filled', '/cat', '/f'), /^FROM scratch/);
  });
}

t.test('what cannot be loaded is said', async (t) => {
  const { cli, base, layout } = prepare(t);
  writeFileSync(join(base, 'empty'), '');
  writeFileSync(join(base, 'text'), 'this is no archive'.repeat(100));
  shell('mkdir plain; echo x > plain/f; tar -C plain -cf plain.tar f', base);
  shell(
    `cp -r ${layout} lost; for f in lost/blobs/sha256/*; do [ $(stat -c %s $f) -gt 100000 ] && rm $f; done; true`,
    base,
  );
  shell(
    `cp -r ${layout} wrong; for f in wrong/blobs/sha256/*; do [ $(stat -c %s $f) -gt 100000 ] && printf x | dd of=$f bs=1 seek=5000 conv=notrunc 2>/dev/null; done; true`,
    base,
  );
  shell(`tar -C ${layout} -cf - . | head -c 100000 > cut.tar`, base);
  shell(`mkdir evil; cp ${layout}/oci-layout evil; ln -s /etc/passwd evil/index.json`, base);
  const cases: [path: string, message: RegExp][] = [
    ['none', /none: there is no such file; give an archive/],
    ['empty', /neither index.json nor manifest.json/],
    ['text', /no tar archive/],
    ['plain.tar', /neither index.json nor manifest.json.*`tsoverlay import`/],
    ['plain', /neither index.json nor manifest.json/],
    ['lost', /blobs\/sha256\/[0-9a-f]+ is missing/],
    ['wrong', /verify|decompressed/],
    ['cut.tar', /cut off/],
    ['evil', /neither index.json nor manifest.json/],
  ];
  for (const [path, message] of cases)
    t.match(await cli.run('load', '-i', join(base, path)), { status: 1, stderr: message }, path);
  t.match(await cli.run('load', '-i', layout, '--max-layer-entries', '3'), {
    status: 1,
    stderr: /more than 3 entries; raise the limit with --max-layer-entries/,
  });
  t.match(await cli.run('load', '-i', layout, '--max-layer-size', '10k'), {
    status: 1,
    stderr: /larger than 10240 bytes; raise the limit with --max-layer-size/,
  });
  t.match(await cli.run('import', join(base, 'none')), { status: 1, stderr: /no such file or directory/ });
  t.match(await cli.run('import', join(base, 'text')), { status: 1, stderr: /no tar archive/ });
  t.match(await cli.run('import', join(base, 'empty')), { status: 1, stderr: /it is empty/ });
  t.match(await cli.run('import', join(base, 'plain.tar'), 'x', '-c', 'RUN x'), {
    status: 2,
    stderr: /--change "RUN x" is not possible; instructions are CMD/,
  });
  t.match(await cli.run('save', 'none', '-o', 'x'), { status: 1, stderr: /no such image/ });
  t.equal(await cli.ok('images', '-q'), '');
  t.notMatch(await cli.ok('system', 'check'), /damaged|leftover|broken/);
});

t.test(
  'an upper is committed as a layer: whiteouts, moved directories, metacopies and attributes',
  async (t) => {
    const ground = prepare(t);
    const { cli, base, layout } = ground;
    await cli.ok('load', '-q', '-i', layout);
    for (const name of ['up', 'wk', 'mnt']) mkdirSync(join(base, name));
    const options = ['--image', 'layout', '--upper', 'up', '--work', 'wk', '-o', 'metacopy=on', 'mnt'];
    await cli.ok('mount', ...options);
    const target = join(base, 'mnt');
    t.teardown(() => shell(`umount ${target} 2>/dev/null || true`));
    shell(
      `rm big; mv bin moved; echo x > moved/new; chmod 700 etc; chown 9:9 etc/motd; mkdir -p d/e; echo y > d/e/f; ln d/e/f d/g; rm -r opaque; mkdir opaque
     echo z > opaque/z; setfattr -n user.k -v v new; mkfifo p; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('sock')"`,
      target,
    );
    const shown = shell('rm sock; cd /; true', target) + describeTree(target);
    const id = (await cli.ok('commit', target, 'new:1', '-m', 'changed', '-a', 'me')).trim();
    t.match(
      await cli.ok('history', 'new:1', '--no-trunc'),
      new RegExp(`^IMAGE.*\n${id} +.*commit .*mnt.*changed`),
    );
    await cli.ok('unmount', target);
    t.equal(await treeOf(ground, 'new:1'), shown);
    t.match(JSON.parse(await cli.ok('inspect', 'new:1')), [
      { Author: 'me', Config: { Env: ['A=b'] }, RootFS: { Layers: { length: 3 } } },
    ]);
    const diff = await cli.ok('diff', 'layout', 'new:1');
    for (const line of [
      'D /big',
      'D /bin',
      'A /moved',
      'A /moved/link',
      'C /etc',
      'C /etc/motd',
      'C /new',
      'A /opaque/z',
      'A /p',
    ]) {
      t.ok(diff.split('\n').includes(line), line);
    }
    t.equal(await cli.ok('diff', 'new:1', 'new:1'), '');
    t.match(await cli.run('commit', join(base, 'up')), {
      status: 1,
      stderr: /it is not mounted, so its image is not known; name the image/,
    });
    await cli.ok('commit', join(base, 'up'), 'again:1', '--image', 'layout');
    t.equal(await treeOf(ground, 'again:1'), shown);
    await cli.ok('mount', '--image', 'layout', '--upper', 'up', '--work', 'wk', '-o', 'copyup=lazy', 'mnt');
    for (const command of ['commit', 'export']) {
      t.match(
        await cli.run(command, target),
        { status: 1, stderr: /copyup=lazy, so large files may be unfinished; unmount it first/ },
        command,
      );
    }
    await cli.ok('unmount', target);
    run('umoci', 'unpack', '--image', `${cli.root}:docker.io/library/new:1`, join(base, 'by-umoci'));
    t.equal(describeTree(join(base, 'by-umoci/rootfs')), shown, 'umoci sees the same in the new layer');
  },
);

t.test('a commit of a live mount has what a program wrote by a mapping that it still has', async (t) => {
  const { cli, base, layout } = prepare(t);
  await cli.ok('load', '-q', '-i', layout);
  for (const name of ['up', 'wk', 'mnt']) mkdirSync(join(base, name));
  await cli.ok('mount', '--image', 'layout', '--upper', 'up', '--work', 'wk', 'mnt');
  t.teardown(() => shell(`umount ${base}/mnt 2>/dev/null || true`));
  // A process of its own: one that starts another writes its mappings out by that.
  const script = `import mmap, os, sys
fd = os.open('${base}/mnt/etc/motd', os.O_RDWR)
mapping = mmap.mmap(fd, 0)
mapping[0:3] = b'ONE'
print('written', flush=True)
sys.stdin.read()`;
  const holder = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((done) => holder.on('exit', done));
  await new Promise((done) => holder.stdout.once('data', done));
  await cli.ok('commit', join(base, 'mnt'), 'mapped:1');
  holder.stdin.end();
  await ended;
  await cli.ok('unmount', join(base, 'mnt'));
  await cli.ok('mount', '--image', 'mapped:1', 'mnt');
  t.equal(readFileSync(join(base, 'mnt/etc/motd'), 'utf8'), 'ONE\ntwo\n');
  await cli.ok('unmount', 'mnt');
});

t.test('what is written to a device or a pipe leaves it there', async (t) => {
  const cli = storeCli(t, scratch(t), 'store');
  const { base } = cli;
  shell('mkdir box; echo f > box/f; mknod null c 1 3; mkfifo pipe', base);
  await cli.ok('import', join(base, 'box'), 'box');
  writeFileSync(join(base, 'box/Dockerfile'), 'FROM box\n');
  for (const command of ['export', 'save']) await cli.ok(command, '-o', join(base, 'null'), 'box');
  await cli.ok('build', '-q', '--iidfile', join(base, 'null'), join(base, 'box'));
  await cli.ok('build', '-q', '-o', `type=tar,dest=${join(base, 'null')}`, join(base, 'box'));
  t.ok(statSync(join(base, 'null')).isCharacterDevice());
  const reader = spawn('tar', ['-tf', join(base, 'pipe')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = text(reader.stdout);
  await cli.ok('export', '-o', join(base, 'pipe'), 'box');
  t.equal(await said, 'f\n');
  t.ok(statSync(join(base, 'pipe')).isFIFO());
});
