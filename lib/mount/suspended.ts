// SPDX-License-Identifier: MIT
/** What was found not to answer: its names for people, and when it is asked again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { mountDebug } from '../base/debug.js';
import { type LayerSet, lowerPaths } from '../overlay/layers/layer-set.js';
import { UPPER } from '../overlay/layers/layer-watch.js';
import type { Manifest, ServerState } from './server-state.js';

const LOOK_MS = 500;
/** What answers at once was not what the server was stuck in, and is not refused to anybody. */
const FIRST_LOOK_MS = 100;

/** The path of a layer by its number, as it was given. */
export function layerPath(set: LayerSet, layer: number): string {
  return layer === UPPER ? (set.upper ?? '') : [...lowerPaths(set), ...(set.dataLowers ?? [])][layer - 1];
}

/** The paths of layers that do not answer, or take no changes. */
export function suspendedPaths({ watch }: ServerState, set: LayerSet): string[] {
  const count = lowerPaths(set).length + (set.dataLowers?.length ?? 0);
  return Array.from({ length: count + 1 }, (_, layer) => layer)
    .filter((layer) => watch.isSuspended(layer) || (layer === UPPER && watch.areChangesSuspended))
    .map((layer) => layerPath(set, layer));
}

interface Suspended {
  path: string;
  /** Waits for the answer beside everything else; it may do so for ever. */
  ask(): Promise<unknown>;
  resume(): void;
}

function listSuspended(
  { watch }: ServerState,
  { config, union }: Manifest,
  descriptors: readonly number[],
): Suspended[] {
  const { upper, lowers, dataLayers, work } = union;
  const suspended = [...(upper === null ? [] : [upper]), ...lowers, ...dataLayers]
    .filter(({ index }) => watch.isSuspended(index))
    .map(({ index, descriptor }) => ({
      path: layerPath(config, index),
      // Attributes may be in the kernel's memory; how full a file system is must be asked.
      ask: () => statfs(`/proc/self/fd/${descriptors[descriptor]}/.`),
      resume: () => watch.resume(index),
    }));
  if (work === null || !watch.areChangesSuspended) return suspended;
  const changes = {
    path: layerPath(config, UPPER),
    ask: () => touch(descriptors[work.fd]),
    resume: () => {
      watch.areChangesSuspended = false;
    },
  };
  return [...suspended, changes];
}

/**
 * Changes a directory's times in a process of its own: a thread would wait uninterruptibly, and keep
 * this process from ending, and the shim from hearing of its end.
 */
async function touch(directory: number): Promise<void> {
  const stdio = ['ignore', 'ignore', 'ignore', directory] as const;
  const child = spawn('touch', ['-c', '-m', '/proc/self/fd/3/.'], { stdio: [...stdio] });
  child.unref();
  await once(child, 'exit');
}

/** Whether it answers, be it with an error; those that come from waiting too long are no answer. */
async function answered(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask();
  } catch (failure) {
    mountDebug('suspended: %s', failure);
    const { code } = failure as NodeJS.ErrnoException;
    return code !== 'EIO' && code !== 'ETIMEDOUT';
  }
  return true;
}

/**
 * Asks what an earlier server left suspended until it answers, and lets it be used then. Settles when
 * everything has answered, or a little later, so that the server refuses nothing that answers.
 */
export async function awaitSuspended(
  state: ServerState,
  manifest: Manifest,
  descriptors: readonly number[],
  report: (text: string) => void,
): Promise<void> {
  const all = listSuspended(state, manifest, descriptors);
  if (all.length === 0) return;
  const answers = all.map(async ({ path, ask, resume }) => {
    while (!(await answered(ask))) await delay(LOOK_MS);
    resume();
    report(`${path} answers again`);
  });
  await Promise.race([Promise.all(answers), delay(FIRST_LOOK_MS)]);
}
