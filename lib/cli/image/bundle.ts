// SPDX-License-Identifier: MIT
/** `tsoverlay bundle`: an image as a directory that any OCI runtime starts (runtime-spec, bundle.md). */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { OverlayError, UsageError } from '../../base/errors.js';
import { Rollback } from '../../base/rollback.js';
import { findAccount } from '../../container/spec/accounts.js';
import { runtimeSpec } from '../../container/spec/runtime-spec.js';
import { findImage } from '../../image/store/images.js';
import { StoreLock } from '../../image/store/lock.js';
import { Store } from '../../image/store/store.js';
import { mountInBackground } from '../../mount/background.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { openUnion } from '../../overlay/open/open.js';
import type { Arguments } from '../commands/table.js';
import { imageLayers } from '../mount/image-layers.js';

/** What runtimes look for in a bundle, and where the changes go. */
const ROOTFS = 'rootfs';
const PLACES = [ROOTFS, 'upper', 'work'];

function prepareDirectory(path: string): void {
  mkdirSync(path, { recursive: true });
  if (readdirSync(path).length === 0) return;
  throw new OverlayError({
    operation: 'make a bundle in',
    path,
    reason: 'the directory is not empty',
    remedy: 'give one that is, or that does not exist yet',
  });
}

function specFor(
  args: Arguments<'bundle'>,
  layers: LayerSet,
  image: ReturnType<typeof findImage>['image'],
): object {
  const union = openUnion(layers);
  try {
    const config = image.config.config ?? {};
    const command = [...args.args, ...(args['--'] ?? [])];
    return runtimeSpec(
      {
        image: config,
        account: findAccount(union, args.user ?? config.User ?? ''),
        hostname: args.hostname ?? basename(args.directory),
        command: command.length > 0 ? command : undefined,
        entrypoint:
          args.entrypoint === undefined ? undefined : args.entrypoint === '' ? [] : [args.entrypoint],
        env: args.env,
        cwd: args.workdir,
        terminal: args.tty,
        readOnly: args['read-only'],
        network: args.network === 'host' ? 'host' : 'new',
      },
      ROOTFS,
    );
  } finally {
    union.close();
  }
}

export async function bundle(args: Arguments<'bundle'>): Promise<void> {
  if (!['none', 'host'].includes(args.network)) {
    throw new UsageError(
      `--network ${args.network} is not possible`,
      'a bundle has host, or none: a network of its own',
    );
  }
  const store = Store.open(args.root);
  using _lock = await StoreLock.take(store.root, 'collection', true);
  const { image } = findImage(store, args.name);
  const layers = imageLayers(store, image);
  const spec = specFor(args, layers, image);
  const directory = resolve(args.directory);
  const isNew = !existsSync(directory);
  prepareDirectory(directory);
  using undo = new Rollback();
  undo.push(() => {
    for (const name of [...PLACES, 'config.json'])
      rmSync(join(directory, name), { recursive: true, force: true });
    if (isNew) rmSync(directory, { recursive: true });
  });
  for (const name of PLACES) mkdirSync(join(directory, name));
  writeFileSync(join(directory, 'config.json'), `${JSON.stringify(spec, null, 2)}\n`);
  // Writable also for a container that may not write: the runtime makes mount points in it first.
  // Without an index, as a container's: what is changed is packed from the upper alone.
  const writable = { upper: join(directory, 'upper'), work: join(directory, 'work'), index: false };
  const target = join(directory, ROOTFS);
  await mountInBackground({ target, options: { ...layers, ...writable, source: args.name } });
  undo.commit();
  process.stdout.write(`${directory}\n`);
}
