// SPDX-License-Identifier: MIT
/** A server's channel to its starter (spawn.ts): over descriptor 3, or at a socket. */
import { openSync, rmSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { constants } from 'node:os';
import { check } from '../base/errors.js';
import { duplicateTo, setParentDeathSignal } from '../sys/programs.js';
import { startSession } from '../sys/terminals.js';
import { leaveStarter } from './leave-starter.js';
import { prepareRuntimeDirectory } from './runtime-directory.js';
import { serverFiles, startingSocket } from './server-files.js';
import { CHANNEL_FD, GIVEN_DEVICE_FD } from './spawn.js';

/** To be called first; settles when somebody is there. */
export function openServerChannel(): Promise<Socket> {
  const command = Number(process.argv[2]);
  leaveStarter(command > 0 ? [] : [CHANNEL_FD, GIVEN_DEVICE_FD]);
  return command > 0 ? awaitCommand(command) : Promise.resolve(new Socket({ fd: CHANNEL_FD }));
}

/** bin/tsoverlay became the command, whose end is ours until it has asked for something. */
function awaitCommand(command: number): Promise<Socket> {
  const story = { operation: 'become a server' };
  check(setParentDeathSignal(constants.signals.SIGKILL), story);
  if (process.ppid !== command) process.exit();
  check(startSession(), story);
  process.chdir('/');
  prepareRuntimeDirectory();
  const log = openSync(serverFiles(process.pid).log, 'a', 0o600);
  for (const fd of [1, 2]) check(duplicateTo(log, fd), story);
  const path = startingSocket(command);
  rmSync(path, { force: true });
  const listener = createServer();
  listener.listen(path);
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.once('connection', (socket) => {
      listener.close();
      check(setParentDeathSignal(0), story);
      resolve(socket);
    });
  });
}
