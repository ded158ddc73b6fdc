// SPDX-License-Identifier: MIT
/**
 * Processes that serve, from the side of who starts them. Starting Node takes longer
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
import { fileURLToPath } from 'node:url';
import { OverlayError } from '../base/errors.js';
import {
  hasProcess,
  prepareRuntimeDirectory,
  removeServerFiles,
  runtimeDirectory,
  serverFiles,
} from './registry.js';

/** What a server of a mount runs, of this version. */
export const SERVER_MAIN = fileURLToPath(new URL('./background-main.js', import.meta.url));

const STARTED = 'TSOVERLAY_STARTED';
const CONNECT_WAIT_MS = 2;
const LONGEST_START_MS = 20_000;

/** Where a server that bin/tsoverlay has started waits for the command, by the command's process id. */
export function startingSocket(command: number): string {
  return join(runtimeDirectory(), `starting-${command}.sock`);
}

export interface StartOptions {
  /** Becomes descriptor 4 of it. */
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
    // Who never asks for the channel need not hear that there is none.
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
    return new ServerProcess(child.pid!, Promise.resolve(child.stdio[3] as Duplex), () => child.unref());
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
