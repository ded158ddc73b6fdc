// SPDX-License-Identifier: MIT
/**
 * What builds keep: for each step that made a layer, by a digest of everything that it
 * depended on, which layer that was. The layers and blobs of steps stay in the store
 * without an image that names them.
 *
 *   steps/HEX.json   one step; its modification time is that of its last use
 *
 * A record appears by rename when its layer is there, and goes before its layer does.
 * One that cannot be read, or whose layer is gone, is none.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, hexOf, isDigest } from '../model/digest.js';
import type { Descriptor } from '../model/manifest.js';
import { writeFileWhole } from './staging.js';
import type { Store } from './store.js';

export interface StepLayer {
  diffId: Digest;
  descriptor: Descriptor;
}

export interface StepRecord {
  layer: StepLayer;
  /** The instruction, for people. */
  what: string;
  /** ISO 8601. */
  created: string;
}

export interface KnownStep extends StepRecord {
  key: Digest;
  /** Milliseconds since 1970. */
  used: number;
}

function directoryOf({ root }: Pick<Store, 'root'>): string {
  return join(root, 'steps');
}

function pathOf(store: Pick<Store, 'root'>, key: Digest): string {
  return join(directoryOf(store), `${hexOf(key)}.json`);
}

function parseRecord(path: string): StepRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(path, 'utf8')) as StepRecord;
    return isDigest(record.layer.diffId) && isDigest(record.layer.descriptor.digest) ? record : undefined;
  } catch {
    // It went meanwhile, or a full disk cut it short: the step is done again.
    return undefined;
  }
}

function isWhole(store: Store, { layer }: StepRecord): boolean {
  return store.hasLayer(layer.diffId) && store.hasBlob(layer.descriptor.digest);
}

/** The step with that key, if its layer is there. The caller holds the `collection` lock, so that it stays. */
export function findStep(store: Store, key: Digest): StepRecord | undefined {
  const path = pathOf(store, key);
  if (!existsSync(path)) return undefined;
  const record = parseRecord(path);
  if (record === undefined || !isWhole(store, record)) return undefined;
  const now = new Date();
  utimesSync(path, now, now);
  return record;
}

/** The caller holds the `collection` lock and the layer is there. */
export function keepStep(store: Store, key: Digest, record: StepRecord): void {
  const directory = directoryOf(store);
  if (!existsSync(directory)) mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileWhole(store, pathOf(store, key), Buffer.from(JSON.stringify(record)));
}

/** All steps whose layers are there, the one that was used last first. */
export function listSteps(store: Store): KnownStep[] {
  const directory = directoryOf(store);
  if (!existsSync(directory)) return [];
  const steps = readdirSync(directory).flatMap((name) => {
    const key = `sha256:${name.replace(/\.json$/, '')}`;
    const path = join(directory, name);
    const record = isDigest(key) ? parseRecord(path) : undefined;
    if (!isDigest(key) || record === undefined || !isWhole(store, record)) return [];
    const used = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    return [{ ...record, key, used }];
  });
  return steps.sort((a, b) => b.used - a.used);
}

/** Its layer goes with the next collection, if nothing else has it. */
export function forgetStep(store: Store, key: Digest): void {
  rmSync(pathOf(store, key), { force: true });
}
