// SPDX-License-Identifier: MIT
/** `tsoverlay exec` and `tsoverlay attach`. */
import { OverlayError, UsageError } from '../../base/errors.js';
import { ContainerClient } from '../../container/server/client.js';
import { findContainer } from '../../container/state/containers.js';
import { readState } from '../../container/upkeep/recovery.js';
import type { StreamName } from '../../container/wire/frames.js';
import { Store } from '../../image/store/store.js';
import type { Arguments } from '../commands/table.js';
import { inOrder } from '../words/outputs.js';
import { environmentFrom } from './key-values.js';
import { join, parseKeys, terminalSize, writeOutput } from './terminal.js';

export async function exec(args: Arguments<'exec'>): Promise<void> {
  const [name, ...command] = args['--'] ?? [];
  if (name === undefined) throw new UsageError('no container is given', 'as in `tsoverlay exec NAME ls`');
  if (command.length === 0)
    throw new UsageError('no command is given', `as in \`tsoverlay exec ${name} ls\``);
  const joining = {
    terminal: args.tty,
    input: args.interactive,
    detachKeys: parseKeys(args['detach-keys']),
    signals: false,
  };
  if (args.tty && args.interactive && !process.stdin.isTTY)
    throw new UsageError('the input is no terminal', 'leave -t out, or run it in one');
  const request = {
    args: command,
    env: environmentFrom(args.env, args['env-file']),
    cwd: args.workdir,
    user: args.user,
    terminal: args.tty,
    interactive: args.interactive,
    privileged: args.privileged,
    size: args.tty ? terminalSize() : undefined,
  };
  const container = findContainer(Store.open(args.root), name);
  await readState(container);
  let client: ContainerClient | undefined;
  const take = (stream: StreamName, bytes: Buffer): boolean =>
    writeOutput(stream, bytes, () => client?.readOn());
  await inOrder(async (failed) => {
    client = await ContainerClient.connect(container, name, take);
    try {
      await client.execute(request, args.detach);
      if (args.detach) return;
      const end = await join(client, joining, failed);
      if (end.kind === 'exited') process.exitCode = end.code;
    } finally {
      client.close();
    }
  });
}

export async function attach(args: Arguments<'attach'>): Promise<void> {
  const container = findContainer(Store.open(args.root), args.name);
  const { options } = container.readConfig();
  const { status } = await readState(container);
  if (status === 'paused') {
    throw new OverlayError({
      operation: 'attach to container',
      path: args.name,
      reason: 'it is paused',
      remedy: `let it go on with \`tsoverlay unpause ${args.name}\``,
    });
  }
  let client: ContainerClient | undefined;
  const take = (stream: StreamName, bytes: Buffer): boolean =>
    writeOutput(stream, bytes, () => client?.readOn());
  const joining = {
    terminal: options.terminal,
    input: options.interactive && !args['no-stdin'],
    detachKeys: parseKeys(args['detach-keys']),
    signals: args['sig-proxy'] && !options.terminal,
  };
  await inOrder(async (failed) => {
    client = await ContainerClient.connect(container, args.name, take);
    try {
      await client.attach(options.terminal ? terminalSize() : undefined);
      const end = await join(client, joining, failed);
      if (end.kind === 'exited') process.exitCode = end.code;
    } finally {
      client.close();
    }
  });
}
