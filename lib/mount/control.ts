// SPDX-License-Identifier: MIT
/**
 * The control socket of a server: one JSON line asks, one answers. It lies in a
 * directory that only its user may enter.
 */
import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../base/errors.js';
import type { MountFigures, ServerPrograms } from './config.js';
import { readLine } from './line.js';
import type { Mount } from './mount.js';
import { findRecord, hasProcess, type MountRecordFile, serverFiles } from './registry.js';

export type ControlRequest =
  | { command: 'figures' }
  | { command: 'unmount'; detach: boolean }
  /** The next server is to be this program, and is to begin at once. */
  | ({ command: 'upgrade' } & ServerPrograms);

export type ControlAnswer =
  | { figures: MountFigures }
  | { unmounted: true }
  | { upgrading: true }
  | { error: string; code: string | undefined };

const LONGEST_LINE = 4096;
const LONGEST_ANSWER = 1 << 20;
const ANSWER_TIMEOUT_MS = 5000;
/** A new server takes a tenth of a second, on a machine that has time for it. */
const SUCCESSOR_MS = 5000;
const RETRY_MS = 10;

/** Listens for this process's mount. */
export function listenControl(mount: Mount): Promise<Server> {
  const path = serverFiles(process.pid).socket;
  rmSync(path, { force: true });
  const server = createServer((socket) => serveClient(socket, mount));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      resolve(server);
    });
  });
}

function serveClient(socket: Socket, mount: Mount): void {
  readLine(socket, LONGEST_LINE)
    .then((line) => answerLine(line, mount))
    .then((answer) => {
      // Another server goes on from wherever this one is: there is nothing to put in order.
      const give = 'upgrading' in answer ? () => process.kill(process.pid, 'SIGKILL') : () => undefined;
      socket.end(`${JSON.stringify(answer)}\n`, give);
    })
    // A client that goes away in the middle, or sends nonsense, is its own business.
    .catch(() => socket.destroy());
}

async function answerLine(line: string, mount: Mount): Promise<ControlAnswer> {
  try {
    const request = JSON.parse(line) as ControlRequest;
    switch (request.command) {
      case 'figures':
        return { figures: mount.figures() };
      case 'unmount':
        await mount.unmount({ detach: request.detach === true });
        return { unmounted: true };
      case 'upgrade':
        return upgrade(mount, request);
      default:
        return { error: 'unknown command', code: undefined };
    }
  } catch (failure) {
    const error = failure as Error & { code?: string };
    return { error: error.message, code: error.code };
  }
}

function upgrade({ keeper }: Mount, programs: ServerPrograms): ControlAnswer {
  if (keeper === undefined || keeper.pid === 0) return { error: 'it has no keeper', code: undefined };
  const { node, main, containerMain } = programs;
  if (![node, main, containerMain].every((path) => typeof path === 'string' && /^\/[^\n]+$/.test(path))) {
    return { error: 'a program has an absolute path', code: undefined };
  }
  keeper.setProgram(programs);
  return { upgrading: true };
}

/** Asks a server. Throws an OverlayError when it does not answer; `timeout` in ms, 0 for as long as it takes. */
export async function askServer(
  pid: number,
  request: ControlRequest,
  timeout = ANSWER_TIMEOUT_MS,
): Promise<ControlAnswer> {
  const socket = connect(serverFiles(pid).socket);
  socket.setTimeout(timeout, () => socket.destroy(new Error('it does not answer')));
  const answer = readLine(socket, LONGEST_ANSWER);
  socket.write(`${JSON.stringify(request)}\n`);
  try {
    return JSON.parse(await answer) as ControlAnswer;
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new OverlayError({ operation: 'ask the server', path: `process ${pid}`, reason, cause });
  } finally {
    socket.destroy();
  }
}

/**
 * Asks whoever serves a mount: while one server has ended and the next is not there yet, it waits.
 * Throws as askServer does.
 */
export async function askMount(
  record: MountRecordFile,
  request: ControlRequest,
  timeout = ANSWER_TIMEOUT_MS,
): Promise<ControlAnswer> {
  const deadline = Date.now() + SUCCESSOR_MS;
  for (;;) {
    const current = findRecord(record.target) ?? record;
    try {
      return await askServer(current.serverPid, request, timeout);
    } catch (failure) {
      const isKept = current.keeperPid !== null && hasProcess(current.keeperPid);
      if (!isKept || Date.now() > deadline) throw failure;
    }
    await delay(RETRY_MS);
  }
}
