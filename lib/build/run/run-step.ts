// SPDX-License-Identifier: MIT
/**
 * A RUN: a container on the layers so far, whose changes become the next layer. It is
 * like any other container, but for being listed nowhere, and ends with the build.
 */

import { join } from 'node:path';
import { OverlayError } from '../../base/errors.js';
import { AsyncRollback } from '../../base/rollback.js';
import { ContainerClient } from '../../container/server/client.js';
import { CONTAINER_PLACES } from '../../container/server/container-files.js';
import type { ContainerOptions, MountRequest } from '../../container/state/config.js';
import type { Container } from '../../container/state/containers.js';
import type { StorageName } from '../../container/state/names.js';
import { storageDriver } from '../../container/storage/choose.js';
import { createContainer } from '../../container/upkeep/create.js';
import { discardContainer } from '../../container/upkeep/removal.js';
import { digestOf } from '../../image/model/digest.js';
import type { RunConfig } from '../../image/model/image-config.js';
import type { Rewrite } from '../../image/pack/node.js';
import { sourceDateEpoch } from '../../image/store/create-image.js';
import type { StepLayer } from '../../image/store/step-cache.js';
import type { Store } from '../../image/store/store.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { storeStepLayer } from '../copy/store-layer.js';
import { missingPlaces, removeStubs } from './stubs.js';

export interface RunRequest {
  layers: readonly StepLayer[];
  base: LayerSet | undefined;
  config: RunConfig;
  args: string[];
  env: string[];
  network: 'default' | 'none' | 'host';
  extraHosts: readonly string[];
  mounts: MountRequest[];
  /** For messages. */
  what: string;
}

export interface RunOutcome {
  exitCode: number;
  /** Undefined where the program failed. */
  layer: StepLayer | undefined;
}

/** Files that are changed land in an upper; the drivers that copy whole trees are of no use here. */
function storageName(): StorageName {
  return process.env.TSOVERLAY_STORAGE_DRIVER === 'overlay' ? 'overlay' : 'tsoverlay';
}

const HOSTNAME = 'build';

/** How a build's containers are started. */
export function buildContainerOptions({
  config,
  args,
  env,
  network,
  extraHosts,
  mounts,
}: Omit<RunRequest, 'layers' | 'base' | 'what'>): ContainerOptions {
  return {
    command: args,
    entrypoint: [],
    env,
    user: config.User,
    cwd: config.WorkingDir,
    hostname: HOSTNAME,
    terminal: false,
    interactive: false,
    labels: {},
    mounts,
    network: network === 'default' ? 'bridge' : network,
    ports: [],
    extraHosts: [...extraHosts],
    nameServers: [],
    readOnly: false,
    capAdd: [],
    capDrop: [],
    privileged: false,
    noNewPrivileges: false,
    unfiltered: false,
    limits: [],
    init: false,
    restart: { name: 'no', retries: 0 },
    log: 'none',
    stopTimeout: 0,
    autoRemove: false,
    storage: storageName(),
    runtime: 'builtin',
  };
}

/** No file is younger than the epoch that is given, if one is. */
function clamped(): Rewrite | undefined {
  const epoch = sourceDateEpoch();
  if (epoch === undefined) return undefined;
  return (entry) =>
    entry.modifySeconds >= epoch ? { ...entry, modifySeconds: epoch, modifyNanoseconds: 0 } : entry;
}

export interface RunListener {
  /** What the program writes. */
  take(bytes: Buffer): void;
  /** It runs. */
  started(): void;
}

/** Runs it. Throws an OverlayError where it cannot be started, or was interrupted. */
export async function runStep(
  store: Store,
  request: RunRequest,
  listener: RunListener,
  signal: AbortSignal,
): Promise<RunOutcome> {
  await using undo = new AsyncRollback();
  const image = {
    name: 'build',
    id: digestOf(request.what),
    layers: request.layers.map(({ diffId }) => diffId),
    config: request.config,
  };
  const options = buildContainerOptions(request);
  const container = await createContainer(store, { image, options, isBuild: true });
  undo.push(() => discardContainer(container));
  const places = missingPlaces(request.base, [
    ...CONTAINER_PLACES,
    ...options.mounts.map(({ target }) => target).filter((target) => !target.startsWith('/dev/')),
  ]);
  const exitCode = await execute(container, listener, signal);
  if (exitCode !== 0) return { exitCode, layer: undefined };
  const { directory } = container;
  removeStubs(join(directory, 'upper'), request.base, places);
  const storage = await storageDriver(options.storage);
  const archive = storage.pack({ store, directory, image }, clamped());
  return { exitCode, layer: await storeStepLayer(store, archive, request.layers) };
}

async function execute(
  container: Container,
  { take, started }: RunListener,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  const client = await ContainerClient.start(
    container,
    'build',
    (_stream, bytes) => {
      // What is still under way when the build is interrupted would only delay its end.
      if (!signal.aborted) take(bytes);
      return true;
    },
    { bound: true },
  );
  started();
  const stop = (): void => client.tell({ op: 'stop', seconds: 0 });
  signal.addEventListener('abort', stop);
  try {
    if (signal.aborted) stop();
    const exitCode = await client.exited();
    signal.throwIfAborted();
    return exitCode;
  } catch (failure) {
    if (failure instanceof OverlayError || signal.aborted) throw failure;
    throw new OverlayError({ operation: 'run', reason: (failure as Error).message, cause: failure });
  } finally {
    signal.removeEventListener('abort', stop);
    client.close();
  }
}
