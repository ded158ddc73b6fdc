// SPDX-License-Identifier: MIT
/**
 * The part of `make bench` about images: pull and load beside Podman, from the same
 * registry and archive on loopback and tmpfs, taking turns within each round; what
 * a pull costs when everything is there, and beside what it must do (pull-parts.ts); and a store of a thousand images.
 *
 *   node dist/bench/images.js [--quick] [--rounds N]
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { digestOf } from '../lib/image/model/digest.js';
import { storeLayer } from '../lib/image/store/layers.js';
import { Store } from '../lib/image/store/store.js';
import { measureParts, type Parts } from './pull-parts.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    output: { type: 'string', default: 'bench/results' },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
/** One layer each; together some hundred MB of many small and a few large files. */
const trees = values.quick ? ['/usr/include'] : ['/usr/include', '/usr/share', '/usr/bin'];

const base = mkdtempSync(join(tmpdir(), 'tsoverlay-bench-images-'));
const program = join(process.cwd(), 'bin/tsoverlay');
const PORT = 5599;
const NAME = `127.0.0.1:${PORT}/bench/image:1`;
const podman = [
  '--root',
  join(base, 'podman'),
  '--runroot',
  join(base, 'podman-run'),
  '--storage-driver',
  'overlay',
];

interface Row {
  name: string;
  tsoverlay: number[];
  podman: number[];
}

function shell(script: string): void {
  const result = spawnSync('bash', ['--norc', '-ec', script], { cwd: base, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${script}: exit ${result.status}: ${result.stderr}`);
}

function milliseconds(command: string, args: readonly string[]): number {
  const start = process.hrtime.bigint();
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  return Number(process.hrtime.bigint() - start) / 1e6;
}

function startRegistry(): ChildProcess {
  const config = join(base, 'registry.json');
  const rootdirectory = join(base, 'registry');
  const http = { addr: `127.0.0.1:${PORT}` };
  writeFileSync(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: 'error' },
      storage: { filesystem: { rootdirectory } },
      http,
    }),
  );
  const server = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  shell(
    `for i in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/${PORT}) 2>/dev/null && exit 0; sleep 0.1; done; exit 1`,
  );
  return server;
}

function makeImage(): void {
  const buildah = `buildah --root ${base}/made --runroot ${base}/made-run --storage-driver overlay`;
  shell('mkdir trees');
  for (const [index, tree] of trees.entries()) {
    const from = index === 0 ? 'scratch' : `step${index - 1}`;
    shell(
      `c=$(${buildah} from ${from}); ${buildah} copy -q $c ${tree} ${tree} >/dev/null; ${buildah} commit -q --rm $c step${index} >/dev/null`,
    );
  }
  const last = `step${trees.length - 1}`;
  shell(
    `${buildah} push -q --tls-verify=false ${last} docker://${NAME}
     ${buildah} push -q ${last} docker-archive:${base}/image.tar:bench/image:1; ${buildah} rmi -a -f >/dev/null; rm -rf made made-run`,
  );
}

function forget(): void {
  shell(
    `rm -rf store; podman ${podman.join(' ')} rmi -a -f >/dev/null 2>&1 || true; rm -rf podman podman-run`,
  );
}

const store = ['--root', join(base, 'store')];

/** What each row runs, by tool. */
const WORKLOADS: [name: string, tsoverlay: string[], podman: string[]][] = [
  ['pull', ['pull', '-q', NAME, ...store], [...podman, 'pull', '-q', '--tls-verify=false', NAME]],
  [
    'load',
    ['load', '-q', '-i', join(base, 'image.tar'), ...store],
    [...podman, 'load', '-q', '-i', join(base, 'image.tar')],
  ],
];

function measure(rows: Map<string, Row>): void {
  for (let round = 0; round < rounds; round++) {
    for (const [name, ours, theirs] of WORKLOADS) {
      process.stderr.write(`\r\x1b[Kround ${round + 1} of ${rounds}: ${name}`);
      const row = rows.get(name) ?? { name, tsoverlay: [], podman: [] };
      const again = rows.get(`${name}, all there`) ?? {
        name: `${name}, all there`,
        tsoverlay: [],
        podman: [],
      };
      rows.set(name, row).set(again.name, again);
      const turns: ['tsoverlay' | 'podman', string, string[]][] = [
        ['tsoverlay', program, ours],
        ['podman', 'podman', theirs],
      ];
      for (const [tool, command, args] of round % 2 === 0 ? turns : turns.reverse()) {
        forget();
        row[tool].push(milliseconds(command, args));
        again[tool].push(milliseconds(command, args));
      }
    }
  }
  process.stderr.write('\r\x1b[K');
}

/** A store of a thousand images that share a layer; how long the list takes, in ms. */
async function measureListing(): Promise<number[]> {
  const many = Store.open(join(base, 'many'));
  const layer = await storeLayer(many, Readable.from([Buffer.alloc(1024)]), 'layer');
  const manifests = Array.from({ length: 1000 }, (_, index) => {
    const rootfs = { type: 'layers', diff_ids: [layer.diffId] };
    const config = Buffer.from(
      JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs, comment: String(index) }),
    );
    const digest = many.writeDocument(config);
    const mediaType = 'application/vnd.oci.image.config.v1+json';
    const layers = [
      { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layer.digest, size: layer.size },
    ];
    const manifest = Buffer.from(
      JSON.stringify({ schemaVersion: 2, config: { mediaType, digest, size: config.length }, layers }),
    );
    writeFileSync(many.blobPath(digestOf(manifest)), manifest);
    const annotations = { 'org.opencontainers.image.ref.name': `docker.io/library/image${index}:latest` };
    return {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: digestOf(manifest),
      size: manifest.length,
      annotations,
    };
  });
  writeFileSync(many.indexPath, JSON.stringify({ schemaVersion: 2, manifests }));
  return Array.from({ length: Math.max(rounds, 3) }, () =>
    milliseconds(program, ['images', '--root', many.root]),
  );
}

/** What the image takes unpacked, in MB. */
function unpackedMegabytes(): number {
  forget();
  execFileSync(program, WORKLOADS[0][1], { stdio: 'ignore' });
  const size = execFileSync('du', ['-sb', join(base, 'store/layers')], { encoding: 'utf8' });
  return Math.round(Number.parseInt(size, 10) / 1e6);
}

/** What each part of a pull takes alone, and all of them in one pull. */
async function measurePull(): Promise<Parts> {
  const registry = `http://127.0.0.1:${PORT}/v2/bench/image`;
  const accept = 'application/vnd.oci.image.manifest.v1+json';
  const answer = await fetch(`${registry}/manifests/1`, { headers: { accept } });
  const manifest = (await answer.json()) as { layers: { digest: string }[] };
  return measureParts(registry, manifest, base, rounds, () => {
    forget();
    return milliseconds(program, WORKLOADS[0][1]);
  });
}

function partsTable(parts: Parts): string[] {
  const { pull = 0, ...alone } = Object.fromEntries([...parts].map(([name, times]) => [name, median(times)]));
  const sum = Object.values(alone).reduce((total, time) => total + time, 0);
  const rows = { ...alone, 'all of them, one after the other': sum, 'the whole pull': pull };
  return [
    '',
    'What a pull must do, each part alone in one process, and the pull as a command; ms.',
    '',
    '| | ms |',
    '| --- | --- |',
    ...Object.entries(rows).map(([name, time]) => `| ${name} | ${Math.round(time)} |`),
  ];
}

function median(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];
}

function report(rows: readonly Row[], parts: Parts, listing: readonly number[], megabytes: number): string {
  const lines = rows.map(({ name, tsoverlay, podman: theirs }) => {
    const [ours, other] = [median(tsoverlay), median(theirs)];
    return `| ${name} | ${Math.round(other)} | ${Math.round(ours)} | ${(other / ours).toFixed(2)} |`;
  });
  const version = execFileSync('podman', ['--version'], { encoding: 'utf8' }).trim().split(' ').at(-1);
  return [
    `Medians of ${rounds} rounds in ms: an image of ${trees.length} layers and ${megabytes} MB unpacked; Podman ${version}.`,
    '',
    '| | podman | tsoverlay | x podman |',
    '| --- | --- | --- | --- |',
    ...lines,
    `| images, 1,000 of them | - | ${Math.round(median(listing))} | - |`,
    ...partsTable(parts),
    '',
  ].join('\n');
}

let registry: ChildProcess | undefined;
try {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=90%', 'tsoverlay-bench', base]);
  mkdirSync(join(base, 'registry'));
  registry = startRegistry();
  makeImage();
  const rows = new Map<string, Row>();
  measure(rows);
  const text = report([...rows.values()], await measurePull(), await measureListing(), unpackedMegabytes());
  process.stdout.write(text);
  if (!values.quick) {
    mkdirSync(values.output, { recursive: true });
    writeFileSync(join(values.output, 'images.md'), text);
  }
} finally {
  registry?.kill('SIGKILL');
  spawnSync('umount', ['-l', base]);
  rmSync(base, { recursive: true, force: true });
}
