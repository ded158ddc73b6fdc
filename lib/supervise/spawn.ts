// SPDX-License-Identifier: MIT
/**
 * Processes that serve, from the starter's side. Starting Node takes longer
 * than anything else that a mount or a container needs, so a server is started as early
 * as can be: by bin/tsoverlay, beside the command itself (TSOVERLAY_STARTED has its
 * process id, and it listens at startingSocket), or by the command before it knows all
 * that it will ask for.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../base/errors.js';
import { hasProcess } from '../sys/proc.js';
import { prepareRuntimeDirectory } from './runtime-directory.js';
import { removeServerFiles, serverFiles, startingSocket } from './server-files.js';

const STARTED = 'TSOVERLAY_STARTED';
const CONNECT_WAIT_MS = 2;
const LONGEST_START_MS = 20_000;

/** Descriptors of a server that was started here: the channel to its starter, and a device that it was given. */
export const CHANNEL_FD = 3;
export const GIVEN_DEVICE_FD = 4;

export interface StartOptions {
  /** Becomes GIVEN_DEVICE_FD of it. */
  device?: number | undefined;
  /** Of Node. */
  flags?: readonly string[];
  environment?: NodeJS.ProcessEnv;
}

export class ServerProcess {
  private constructor(
    readonly pid: number,
    /** Settles with the way to talk to it. */
    readonly channel: Promise<Duplex>,
    private readonly letGo: () => void,
  ) {
    // A caller that never uses the channel need not handle its failure.
    channel.catch(() => undefined);
  }

  /** Starts one. */
  static start(main: string, { device, flags = [], environment = {} }: StartOptions = {}): ServerProcess {
    const directory = prepareRuntimeDirectory();
    const starting = join(directory, `starting-${process.pid}.log`);
    const log = openSync(starting, 'a', 0o600);
    const child = spawn(process.execPath, [...flags, main], {
      detached: true,
      env: { ...process.env, ...environment },
      cwd: '/',
      stdio: ['ignore', log, log, 'pipe', ...(device === undefined ? [] : [device])],
    });
    closeSync(log);
    renameSync(starting, serverFiles(child.pid!).log);
    return new ServerProcess(child.pid!, Promise.resolve(child.stdio[CHANNEL_FD] as Duplex), () =>
      child.unref(),
    );
  }

  /** The one that bin/tsoverlay has started, once. */
  static started(): ServerProcess | undefined {
    const pid = Number(process.env[STARTED]);
    delete process.env[STARTED];
    if (!(pid > 0)) return undefined;
    // What keeps the server from it is said by us.
    prepareRuntimeDirectory();
    return new ServerProcess(pid, connectStarted(pid), () => undefined);
  }

  /** It stays when this process ends. */
  leave(): void {
    this.letGo();
  }

  /** Ends one that nobody asked for anything. */
  async discard(): Promise<void> {
    this.leave();
    try {
      process.kill(this.pid, 'SIGKILL');
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code !== 'ESRCH') throw failure;
    }
    // What it has begun to make is there by then.
    while (hasProcess(this.pid)) await delay(1);
    rmSync(startingSocket(process.pid), { force: true });
    removeServerFiles(this.pid);
    const channel = await this.channel.catch(() => undefined);
    channel?.destroy();
  }
}

async function connectStarted(pid: number): Promise<Duplex> {
  const path = startingSocket(process.pid);
  const deadline = Date.now() + LONGEST_START_MS;
  while (hasProcess(pid) && Date.now() < deadline) {
    if (existsSync(path)) {
      const socket = connect(path);
      const failure = await new Promise<Error | undefined>((resolve) => {
        socket.once('connect', () => resolve(undefined));
        socket.once('error', resolve);
      });
      if (failure === undefined) return socket;
    }
    await delay(CONNECT_WAIT_MS);
  }
  throw new OverlayError({
    operation: 'start the server',
    reason: 'it ended before it could be asked for anything',
    remedy: `see ${serverFiles(pid).log}`,
  });
}
