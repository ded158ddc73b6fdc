// SPDX-License-Identifier: MIT
/** `tsoverlay stop`, `kill`, `restart`, `pause`, `unpause`, `wait`, `rename`, `rm` and `container prune`. */
import { OverlayError, UsageError } from '../../base/errors.js';
import { ContainerClient } from '../../container/server/client.js';
import {
  type Container,
  findContainer,
  readListedContainers,
  renameContainer,
} from '../../container/state/containers.js';
import { readState } from '../../container/upkeep/recovery.js';
import { discardContainer } from '../../container/upkeep/removal.js';
import type { ClientMessage } from '../../container/wire/protocol.js';
import { Store } from '../../image/store/store.js';
import { signalNumber } from '../../sys/signals.js';
import type { Arguments } from '../commands/table.js';
import { confirm } from '../words/confirm.js';
import { hasLabel, parseFilters, parseMoment } from '../words/filters.js';
import { decimalSize } from '../words/format.js';
import { parseWhole } from '../words/whole-numbers.js';
import { forEachContainer } from './each.js';
import { startQuietly } from './run.js';
import { stopContainer } from './stopping.js';
import { treeSize } from './tree-size.js';

/** How long a container is given to end; undefined for what it says itself. */
function parseGrace(time: string | undefined): number | undefined {
  return time === undefined ? undefined : parseWhole('--time', time, 'give seconds, or -1 to wait for ever');
}

function graceOf(container: Container, given: number | undefined): number {
  const seconds = given ?? container.readConfig().options.stopTimeout;
  // As with Docker, below zero means to wait for ever; a timer has its end.
  return seconds < 0 ? 1e6 : seconds;
}

/** One that does not run is stopped already. */
export async function stop({ root, names, time }: Arguments<'stop'>): Promise<void> {
  const grace = parseGrace(time);
  await forEachContainer(root, names, async (container, name) => {
    await stopContainer(container, name, graceOf(container, grace));
    return undefined;
  });
}

async function ask(container: Container, name: string, message: ClientMessage): Promise<undefined> {
  await readState(container);
  const client = await ContainerClient.connect(container, name);
  try {
    await client.ask(message);
  } finally {
    client.close();
  }
}

export async function kill({ root, names, signal }: Arguments<'kill'>): Promise<void> {
  signalNumber(signal);
  await forEachContainer(root, names, (container, name) => ask(container, name, { op: 'signal', signal }));
}

export async function restart({ root, names, time }: Arguments<'stop'>): Promise<void> {
  const grace = parseGrace(time);
  await forEachContainer(root, names, async (container, name) => {
    await stopContainer(container, name, graceOf(container, grace));
    await startQuietly(container, name);
    return undefined;
  });
}

export async function pause({ root, names }: Arguments<'wait'>): Promise<void> {
  await forEachContainer(root, names, (container, name) => ask(container, name, { op: 'pause' }));
}

export async function unpause({ root, names }: Arguments<'wait'>): Promise<void> {
  await forEachContainer(root, names, (container, name) => ask(container, name, { op: 'unpause' }));
}

/** Prints the exit code of each when it has ended. */
export async function wait({ root, names }: Arguments<'wait'>): Promise<void> {
  await forEachContainer(root, names, async (container, name) => {
    const { status, exitCode } = await readState(container);
    if (status !== 'running' && status !== 'paused') return String(exitCode);
    try {
      const client = await ContainerClient.connect(container, name);
      // Every client is told, without asking for it.
      return String(await client.exited());
    } catch (failure) {
      // It may have ended before it was reached.
      const ended = container.exists ? await readState(container) : undefined;
      if (ended?.status !== 'exited') throw failure;
      return String(ended.exitCode);
    }
  });
}

export async function rename({ root, source, name }: Arguments<'rename'>): Promise<void> {
  await renameContainer(findContainer(Store.open(root), source), name);
}

export async function remove({ root, names, force }: Arguments<'rm'>): Promise<void> {
  await forEachContainer(root, names, async (container, name) => {
    // A damaged one is in no state; where it can be removed, it does not run.
    const { status } = force ? { status: 'running' } : await readState(container);
    if (status === 'running' || status === 'paused') {
      if (!force) {
        throw new OverlayError({
          operation: 'remove container',
          path: name,
          reason: `it is ${status}`,
          remedy: `stop it first with \`tsoverlay stop ${name}\`, or give --force`,
        });
      }
      await stopContainer(container, name, 0);
    }
    // With --rm it is gone by now.
    if (container.exists) await discardContainer(container);
    return undefined;
  });
}

export async function prune(args: Arguments<'container prune'>): Promise<void> {
  const filters = parseFilters(args.filter, ['until', 'label', 'label!']);
  if (!args.force && !(await confirm('This removes all containers that are not running. Go on?')))
    throw new UsageError('nothing was removed', 'answer y, or give --force');
  const until = Math.min(
    ...(filters.get('until') ?? []).map((text) => parseMoment(text)),
    Number.POSITIVE_INFINITY,
  );
  let freed = 0;
  const removed: string[] = [];
  for (const { container, config } of readListedContainers(Store.open(args.root))) {
    const { status } = await readState(container);
    const has = (label: string): boolean => hasLabel(config.options.labels, label);
    const goes =
      (status === 'exited' || status === 'created') &&
      Date.parse(config.created) < until &&
      (filters.get('label') ?? []).every(has) &&
      !(filters.get('label!') ?? []).some(has);
    if (!goes) continue;
    freed += treeSize(container.path('upper'));
    await discardContainer(container);
    removed.push(container.id);
  }
  if (removed.length > 0) process.stdout.write(`Deleted Containers:\n${removed.join('\n')}\n\n`);
  process.stdout.write(`Total reclaimed space: ${decimalSize(freed)}\n`);
}
