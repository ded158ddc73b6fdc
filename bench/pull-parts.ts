// SPDX-License-Identifier: MIT
/**
 * What a pull must do, each part alone and with what the product does it by: the blobs of an
 * image are read from a registry, inflated, digested, and written out as layers.
 */
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { decompressor } from '../lib/image/tar/compression.js';
import { TarReader } from '../lib/image/tar/reader.js';
import { LayerUnpacker } from '../lib/image/unpack/unpack.js';
import { Marks } from '../lib/overlay/formats/marks.js';

/** By name, milliseconds a round. */
export type Parts = Map<string, number[]>;

/** A layer as a registry has it. */
interface Layer {
  blob: Buffer;
  archive: Buffer;
}

const CHUNK = 256 * 1024;

function* chunks(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
}

function fetchBlob(url: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    get(url, async (answer) => {
      const parts: Buffer[] = [];
      for await (const part of answer) parts.push(part as Buffer);
      resolve(Buffer.concat(parts));
    }).on('error', reject);
  });
}

/** Lets a blob go by as it comes. */
function readBlob(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, (answer) => answer.on('end', resolve).on('error', reject).resume()).on('error', reject);
  });
}

async function inflate(blob: Buffer, take: (chunk: Buffer) => void): Promise<void> {
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      take(chunk);
      done();
    },
  });
  await pipeline(chunks(blob), (await decompressor('gzip', 'layer'))!, sink);
}

function digest(bytes: Buffer): void {
  const hash = createHash('sha256');
  for (const chunk of chunks(bytes)) hash.update(chunk);
  hash.digest();
}

function unpack(archive: Buffer, directory: string): void {
  mkdirSync(directory, { recursive: true });
  const root = openSync(directory, 'r');
  const unpacker = new LayerUnpacker(root, 'layer', new Marks(false));
  const reader = new TarReader(unpacker, 'layer');
  try {
    for (const chunk of chunks(archive)) reader.write(chunk);
    reader.finish();
    unpacker.finish();
  } finally {
    unpacker.close();
    closeSync(root);
  }
}

async function loadLayers(registry: string, digests: readonly string[]): Promise<Layer[]> {
  const layers: Layer[] = [];
  for (const one of digests) {
    const blob = await fetchBlob(`${registry}/blobs/${one}`);
    const parts: Buffer[] = [];
    await inflate(blob, (chunk) => parts.push(Buffer.from(chunk)));
    layers.push({ blob, archive: Buffer.concat(parts) });
  }
  return layers;
}

/**
 * Measures each part for all layers of an image, one after the other; `registry` is the URL of its
 * repository. `pull` is the whole, and is measured in turn with them.
 */
export async function measureParts(
  registry: string,
  manifest: { layers: { digest: string }[] },
  scratch: string,
  rounds: number,
  pull: () => number,
): Promise<Parts> {
  const digests = manifest.layers.map((layer) => layer.digest);
  const layers = await loadLayers(registry, digests);
  const directory = join(scratch, 'parts');
  const every = (work: (layer: Layer) => void) => async () => layers.forEach(work);
  const work: [name: string, run: () => Promise<void>][] = [
    [
      'read',
      async () => {
        for (const one of digests) await readBlob(`${registry}/blobs/${one}`);
      },
    ],
    [
      'inflate',
      async () => {
        for (const { blob } of layers) await inflate(blob, () => undefined);
      },
    ],
    ['digest what came', every(({ blob }) => digest(blob))],
    ['digest the archive', every(({ archive }) => digest(archive))],
    ['keep what came', every(({ blob }) => writeFileSync(join(scratch, 'blob'), blob))],
    [
      'unpack',
      async () => {
        for (const [at, { archive }] of layers.entries()) unpack(archive, join(directory, String(at)));
      },
    ],
  ];
  const parts: Parts = new Map();
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of work) {
      const start = performance.now();
      await run();
      add(parts, name, performance.now() - start);
    }
    rmSync(directory, { recursive: true });
    add(parts, 'pull', pull());
  }
  rmSync(join(scratch, 'blob'));
  return parts;
}

function add(parts: Parts, name: string, time: number): void {
  parts.set(name, [...(parts.get(name) ?? []), time]);
}
