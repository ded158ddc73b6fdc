// SPDX-License-Identifier: MIT
/** `tsoverlay create`, `run` and `start`. */

import { existsSync, writeFileSync } from 'node:fs';
import { OverlayError, UsageError } from '../../base/errors.js';
import { checkPorts, portsClash } from '../../container/network/ports.js';
import { ContainerClient } from '../../container/server/client.js';
import { commandLine } from '../../container/spec/runtime-spec.js';
import type { ContainerConfig, PortMapping } from '../../container/state/config.js';
import {
  type Container,
  checkNameForm,
  findContainer,
  readWholeContainers,
} from '../../container/state/containers.js';
import { checkVolumeName } from '../../container/storage/volumes.js';
import { createContainer } from '../../container/upkeep/create.js';
import { readState, settleState } from '../../container/upkeep/recovery.js';
import { discardContainer } from '../../container/upkeep/removal.js';
import type { StreamName } from '../../container/wire/frames.js';
import { platformOption } from '../../image/model/platform.js';
import { familiarName, fullName, parseReference } from '../../image/model/reference.js';
import { readRegistryConfig } from '../../image/registry/config.js';
import { findForPlatform } from '../../image/store/image-platform.js';
import { findImage, type Image } from '../../image/store/images.js';
import { StoreLock } from '../../image/store/lock.js';
import { Store } from '../../image/store/store.js';
import { pullImage } from '../../image/transfer/pull.js';
import type { Arguments } from '../commands/table.js';
import { transferProgress } from '../image/progress.js';
import { interruptible } from '../words/interruption.js';
import { inOrder, OutputFailure } from '../words/outputs.js';
import { containerOptions, withImage } from './container-options.js';
import { leaveStopping } from './stopping.js';
import { type Joining, join, parseKeys, terminalSize, writeOutput } from './terminal.js';

function wordsOf(args: { '--'?: string[] }): [first: string, ...rest: string[]] {
  const words = args['--'] ?? [];
  if (words.length === 0) throw new UsageError('no image is given', 'as in `tsoverlay run debian:12 ls`');
  return words as [string, ...string[]];
}

const PULL_WAYS = ['missing', 'always', 'never'];

/** The image, which is pulled if it is not there and may be. */
async function imageFor(store: Store, name: string, args: Arguments<'create'>): Promise<Image> {
  if (!PULL_WAYS.includes(args.pull))
    throw new UsageError(`--pull ${args.pull} is not possible`, `it is ${PULL_WAYS.join(', ')}`);
  const platform = platformOption(args.platform);
  if (args.pull !== 'always') {
    const known = findForPlatform(store, name, platform, args.pull === 'missing');
    if (known !== undefined) return known;
  }
  const reference = parseReference(name);
  if (!args.quiet)
    process.stderr.write(
      `Unable to find image '${familiarName(reference)}' locally, pulling ${fullName(reference)}\n`,
    );
  const progress = transferProgress(args.quiet);
  await interruptible((signal) =>
    pullImage(store, reference, { platform, registries: readRegistryConfig(), progress, signal }),
  );
  return findImage(store, name).image;
}

/** The running containers and their published ports. */
async function publishing(store: Store): Promise<{ name: string; ports: PortMapping[] }[]> {
  const found: { name: string; ports: PortMapping[] }[] = [];
  for (const { container, config } of readWholeContainers(store)) {
    const { status, ports } = await readState(container);
    if (status === 'running' || status === 'paused') found.push({ name: config.name, ports });
  }
  return found;
}

/** Makes the container; the image's layers cannot go meanwhile. */
async function make(args: Arguments<'create'>): Promise<{ container: Container; config: ContainerConfig }> {
  const [name, ...command] = wordsOf(args);
  const store = Store.open(args.root);
  const { cidfile } = args;
  if (cidfile !== undefined && existsSync(cidfile)) {
    throw new OverlayError({
      operation: 'write',
      path: cidfile,
      reason: 'it is there already',
      remedy: 'remove it',
    });
  }
  const asked = containerOptions(args, command);
  if (args.name !== undefined) checkNameForm(args.name);
  for (const { type, source } of asked.mounts) if (type === 'volume') checkVolumeName(store, source);
  await imageFor(store, name, args);
  using _lock = await StoreLock.take(store.root, 'collection', true);
  const { image } = findImage(store, name);
  const runConfig = image.config.config ?? {};
  const options = withImage(asked, runConfig, args['publish-all']);
  commandLine({ ...options, image: runConfig });
  const running = options.ports.length === 0 ? [] : await publishing(store);
  await checkPorts(
    options.ports,
    (wanted) => running.find(({ ports }) => ports.some((port) => portsClash(port, wanted)))?.name,
  );
  if (options.network.startsWith('container:')) {
    options.network = `container:${findContainer(store, options.network.slice('container:'.length)).id}`;
  }
  const container = await createContainer(store, {
    name: args.name,
    image: { name, id: image.id, layers: image.config.rootfs.diff_ids, config: runConfig },
    options,
  });
  if (cidfile !== undefined) writeFileSync(cidfile, container.id);
  return { container, config: container.readConfig() };
}

export async function create(args: Arguments<'create'>): Promise<void> {
  const { container } = await make(args);
  process.stdout.write(`${container.id}\n`);
}

/**
 * Starts a container and joins it, until it has ended or its user has left it. Where what it writes cannot be
 * passed on any more it goes on, as with Docker, and `logs` has the rest; one with --rm, which nobody would find
 * again, is stopped.
 */
export async function startJoined(container: Container, name: string, joining: Joining): Promise<void> {
  let client: ContainerClient | undefined;
  const take = (stream: StreamName, bytes: Buffer): boolean =>
    writeOutput(stream, bytes, () => client?.readOn());
  const { autoRemove, stopTimeout } = container.readConfig().options;
  const end = await inOrder(async (failed) => {
    client = await ContainerClient.start(container, name, take, {
      size: joining.terminal ? terminalSize() : undefined,
    });
    try {
      return await join(client, joining, failed);
    } catch (failure) {
      if (failure instanceof OutputFailure && autoRemove) await leaveStopping(container, name, stopTimeout);
      throw failure;
    } finally {
      client.close();
    }
  });
  if (end.kind === 'exited') process.exitCode = end.code;
}

/** Signals are the terminal's own to send, where there is one. */
export function joiningFor(
  { terminal, interactive }: Pick<ContainerConfig['options'], 'terminal' | 'interactive'>,
  keys: string,
  signals: boolean,
): Joining {
  if (terminal && interactive && !process.stdin.isTTY)
    throw new UsageError('the input is no terminal', 'leave -t out, or run it in one');
  return { terminal, input: interactive, detachKeys: parseKeys(keys), signals: signals && !terminal };
}

/** One that could not be started stays as created, unless it is to be removed; without a terminal its id is said, too. */
async function leaveFailed(container: Container, { rm, detach }: Arguments<'run'>): Promise<void> {
  if (!container.exists) return;
  const hasRun = container.readWrittenState().startedAt !== '';
  if (rm && !hasRun) await discardContainer(container);
  else if (detach) process.stdout.write(`${container.id}\n`);
}

export async function run(args: Arguments<'run'>): Promise<void> {
  if (args.detach && args.rm && args.restart !== 'no')
    throw new UsageError('--restart does not go with --rm');
  const joining = args.detach
    ? undefined
    : joiningFor(
        { terminal: args.tty, interactive: args.interactive },
        args['detach-keys'],
        args['sig-proxy'],
      );
  const { container, config } = await make(args);
  try {
    if (joining === undefined) {
      const client = await ContainerClient.start(container, config.name);
      client.close();
      process.stdout.write(`${container.id}\n`);
    } else await startJoined(container, config.name, joining);
  } catch (failure) {
    await leaveFailed(container, args);
    throw failure;
  }
}

export async function start(args: Arguments<'start'>): Promise<void> {
  const store = Store.open(args.root);
  if ((args.attach || args.interactive) && args.names.length > 1)
    throw new UsageError('only one container can be attached to', 'start one, or leave --attach out');
  for (const name of args.names) {
    const container = findContainer(store, name);
    const config = container.readConfig();
    if (args.attach || args.interactive) {
      const { terminal } = config.options;
      const interactive = args.interactive && config.options.interactive;
      await startJoined(container, name, joiningFor({ terminal, interactive }, args['detach-keys'], true));
      continue;
    }
    await startQuietly(container, name);
    process.stdout.write(`${name}\n`);
  }
}

/** One that runs already is as it should be. */
export async function startQuietly(container: Container, name: string): Promise<void> {
  {
    using lock = container.tryLock();
    if (lock === undefined) return;
    await settleState(container);
  }
  const client = await ContainerClient.start(container, name);
  client.close();
}
