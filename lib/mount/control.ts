// SPDX-License-Identifier: MIT
/** What the server of a mount can be asked at its control socket. */
import type { Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../base/errors.js';
import { askControl, listenControl, NoAnswer, type Reply } from '../supervise/control.js';
import type { ServerPrograms } from '../supervise/shim.js';
import { isAlive } from '../sys/proc.js';
import type { MountFigures } from './config.js';
import type { Mount } from './mount.js';
import { findRecord, type MountRecordFile, shimOf } from './records.js';

export type ControlRequest =
  | { command: 'figures' }
  | { command: 'unmount'; detach: boolean }
  /** The next server is to be this program, and is to begin at once. */
  | { command: 'upgrade'; programs: ServerPrograms };

export interface ControlAnswers {
  figures: MountFigures;
  unmount: null;
  upgrade: null;
}

type AnswerTo<R extends ControlRequest> = ControlAnswers[R['command']];

const ANSWER_TIMEOUT_MS = 5000;
/** A new server takes a tenth of a second, on a machine that has time for it. */
const SUCCESSOR_MS = 5000;
const RETRY_MS = 10;

/** Listens for this process's mount. */
export function listenForMount(mount: Mount): Promise<Server> {
  return listenControl((request) => answer(request as ControlRequest, mount));
}

async function answer(request: ControlRequest, mount: Mount): Promise<Reply> {
  switch (request?.command) {
    case 'figures':
      return { value: mount.figures() };
    case 'unmount':
      await mount.unmount({ detach: request.detach === true });
      return { value: null };
    case 'upgrade':
      upgrade(mount, request.programs);
      // Another server goes on from wherever this one is: there is nothing to put in order.
      return { value: null, sent: () => process.kill(process.pid, 'SIGKILL') };
    default:
      throw new OverlayError({ operation: 'answer', reason: 'unknown command' });
  }
}

function upgrade({ shim, target: path }: Mount, programs: ServerPrograms): void {
  const story = { operation: 'upgrade', path };
  if (shim === undefined || shim.pid === 0) {
    throw new OverlayError({ ...story, reason: 'it has no shim', remedy: 'unmount it and mount it again' });
  }
  const { node, mount, container } = programs ?? {};
  if (![node, mount, container].every((path) => typeof path === 'string' && /^\/[^\n]+$/.test(path)))
    throw new OverlayError({ ...story, reason: 'a program has an absolute path' });
  shim.setProgram({ node, mount, container });
}

/**
 * Asks a server; `timeout` in ms, 0 for as long as it takes. Throws NoAnswer, or what the server has thrown.
 */
export async function askServer<R extends ControlRequest>(
  pid: number,
  request: R,
  timeout = ANSWER_TIMEOUT_MS,
): Promise<AnswerTo<R>> {
  return (await askControl(pid, request, timeout)) as AnswerTo<R>;
}

/**
 * Asks the present server of a mount; between the end of one server and the start of the next it waits.
 * Throws as askServer does.
 */
export async function askMount<R extends ControlRequest>(
  record: MountRecordFile,
  request: R,
  timeout = ANSWER_TIMEOUT_MS,
): Promise<AnswerTo<R>> {
  const deadline = Date.now() + SUCCESSOR_MS;
  for (;;) {
    const current = findRecord(record.target) ?? record;
    try {
      return await askServer(current.serverPid, request, timeout);
    } catch (failure) {
      const isSupervised = isAlive(shimOf(current));
      if (!(failure instanceof NoAnswer) || !isSupervised || Date.now() > deadline) throw failure;
    }
    await delay(RETRY_MS);
  }
}
