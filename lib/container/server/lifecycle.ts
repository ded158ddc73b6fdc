// SPDX-License-Identifier: MIT
/**
 * The life of a container, top down: lock, take, launch, serve, end, give back, conclude.
 *
 * The first server lives all of it (`live`). When it is killed after the launch, another one takes over what its
 * shim holds, the lock too, and lives the rest (`liveOn`). When it is killed before, or with its shim, the lock
 * is free, and whoever finds the container takes away what was taken (recovery.ts).
 */
import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { OverlayError } from '../../base/errors.js';
import type { Mount } from '../../mount/mount.js';
import { logFault } from '../../supervise/log.js';
import { prepareRuntimeDirectory } from '../../supervise/runtime-directory.js';
import { Fd } from '../../sys/files.js';
import type { TerminalSize } from '../../sys/terminals.js';
import { ProgramMemory } from '../program/program-memory.js';
import type { ExitCode } from '../runtime/runtime.js';
import type { Stage } from '../stage/stage-process.js';
import type { Container } from '../state/containers.js';
import { CODE_FAILED, ContainerFailure } from '../state/failure.js';
import { settleState } from '../upkeep/recovery.js';
import { removeContainer } from '../upkeep/removal.js';
import type { FrameChannel } from '../wire/frames.js';
import { type ServerMessage, type StartMessage, socketPath } from '../wire/protocol.js';
import { type ContainerManifest, ContainerMemory } from './container-memory.js';
import { Keeping } from './keeping.js';
import { Life } from './life.js';
import { type OwnContext, OwnProgram } from './own-program.js';
import { takeOverResources, takeResources } from './resources.js';
import { isRestarted, restartDelay } from './restart.js';
import { ContainerServer } from './server.js';
import { listen, Sessions } from './sessions.js';
import { tidyMemoryLater } from './small-process.js';

/** What Docker says in a container's state of one that could not be started, where its program is not to blame. */
const CODE_NOT_STARTED = 128;
/** A command that looks at the container holds its lock for a moment. */
const LOCK_MS = 1000;

export interface Beginning {
  container: Container;
  /** What the client asks for that is at the other end of `channel`. */
  request: StartMessage;
  channel: FrameChannel;
  /** One that waits already. */
  stage: Stage | undefined;
}

/** Settles when the container has ended and its clients know it. Nothing is left of the start where this throws. */
export async function live(beginning: Beginning): Promise<void> {
  const memory = ContainerMemory.make();
  const sessions = new Sessions(memory);
  const code = await liveLocked(beginning, memory, sessions);
  // The lock is free by now: the next command of a client finds it so.
  await sessions.tell(code);
}

async function liveLocked(
  { container, request, channel, stage }: Beginning,
  memory: ContainerMemory,
  sessions: Sessions,
): Promise<ExitCode> {
  const config = container.readConfig();
  using lock = await takeLock(container, config.name);
  await settleState(container);
  prepareRuntimeDirectory();
  const early = noteSignals();
  const { id, name, options } = config;
  const keeping = Keeping.make({ root: container.store.root, id, name, lock: lock.number }, memory);
  const own = new OwnProgram(name, ProgramMemory.make(options.terminal));
  const life = new Life({ container, config, memory, keeping, own });
  let server: ContainerServer;
  try {
    server = await take(life, request.bound, stage);
    const first = sessions.open(server, channel);
    if (request.attach) first.attach(request.typist);
    await launch(server, request.size);
    if (request.bound) first.bind();
  } catch (failure) {
    await life.giveBack();
    await conclude(life, { kind: 'failed', failure: failure as Error });
    throw failure;
  }
  if (early.aborted) void server.controls.stop(options.stopTimeout);
  return await liveToEnd(server, sessions, () => channel.send({ kind: 'done' } satisfies ServerMessage));
}

/** What an earlier server has left. */
export interface Left {
  container: Container;
  manifest: ContainerManifest;
  memory: ContainerMemory;
  keeping: Keeping;
  /** Its mount where we serve it. */
  mounted: Mount | undefined;
}

/** The life of a container whose server has ended, from there on. Settles as `live` does. */
export async function liveOn(left: Left): Promise<void> {
  const sessions = new Sessions(left.memory);
  const code = await liveOnLocked(left, sessions);
  await sessions.tell(code);
}

async function liveOnLocked(left: Left, sessions: Sessions): Promise<ExitCode> {
  using _lock = new Fd(left.manifest.lock);
  const server = await takeOver(left);
  return await liveToEnd(server, sessions, () => left.keeping.ready());
}

async function takeLock(container: Container, name: string): Promise<Fd> {
  const lock = await container.lockWithin(LOCK_MS);
  if (lock !== undefined) return lock;
  throw new OverlayError({
    operation: 'start container',
    path: name,
    reason: 'it is running already',
    remedy: `see \`tsoverlay ps\`, or \`tsoverlay restart ${name}\``,
  });
}

/** Whether this process was asked to end before there is anything to stop. */
function noteSignals(): AbortSignal {
  const early = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => early.abort());
  return early.signal;
}

async function take(life: Life, isBound: boolean, stage: Stage | undefined): Promise<ContainerServer> {
  const { state, memory } = life;
  state.served({ error: '', stopped: false, lost: false, restarts: 0 });
  memory.isBound = isBound;
  const resources = await takeResources(life, stage);
  const { attachment, ports } = resources.network;
  const { address = '', gateway = '' } = attachment ?? {};
  state.change({ address, gateway, ports });
  return new ContainerServer(life, resources);
}

/** In place of `take` and `launch`. */
async function takeOver({ container, manifest, memory, keeping, mounted }: Left): Promise<ContainerServer> {
  const { program: kept, executions } = manifest;
  const config = container.readConfig();
  const own = new OwnProgram(config.name, new ProgramMemory(kept.memory));
  const life = new Life({ container, config, memory, keeping, own });
  const resources = await takeOverResources(life, manifest.resources, mounted);
  const { state } = life;
  state.served();
  const server = new ContainerServer(life, resources);
  const program = own.takeOver(kept, contextOf(server));
  server.executions.takeOver(executions);
  keeping.keep({ resources, program, executions: server.executions });
  if (state.now.pid !== program.pid) {
    await resources.runtime.goOn?.();
    state.started(program.pid);
  }
  return server;
}

/** Starts the program; settles when it runs. From the moment in which it is kept, the next server lets it run. */
async function launch(server: ContainerServer, size: TerminalSize | undefined): Promise<void> {
  const { own, resources, executions } = server;
  const { keeping, state } = server.life;
  const plan = await resources.launch();
  own.memory.beginInput();
  try {
    const program = await resources.runtime.start(plan, (running) => {
      const begun = own.begin(running, contextOf(server));
      if (!plan.hasInput) begun.streams.endInput();
      keeping.keep({ resources, program: begun, executions });
      keeping.renew();
      return begun;
    });
    if (size !== undefined) program.streams.resize(size);
    state.started(program.pid);
  } catch (failure) {
    own.discard();
    keeping.keepNothing();
    throw failure;
  }
}

function contextOf({ resources: { log }, life: { keeping } }: ContainerServer): OwnContext {
  return { log, inputEnded: () => keeping.renewSoon() };
}

/** From `serve` on, for the first server and those that take over; `begun` is called when clients can come. */
async function liveToEnd(server: ContainerServer, sessions: Sessions, begun: () => void): Promise<ExitCode> {
  const { life, binding, resources } = server;
  const { returned, close } = await serve(server, sessions);
  begun();
  tidyMemoryLater();
  const code = await end(server);
  await returned;
  sessions.announce(code);
  // For whoever finds the container when this server does not come further.
  life.state.change({ pid: 0, exitCode: code });
  await life.giveBack();
  close();
  const logFailure = resources.log?.failure;
  await conclude(life, { kind: 'ended', code, isAbandoned: binding.isAbandoned, logFailure });
  return code;
}

interface Serving {
  /** Settles when the clients are back that an earlier server had, or do not come. */
  returned: Promise<unknown>;
  /** No others come. */
  close(): void;
}

async function serve(server: ContainerServer, sessions: Sessions): Promise<Serving> {
  const { config, controls, binding } = server;
  const stop = (): void => void controls.stop(config.options.stopTimeout);
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.title = `tsoverlay: container ${config.name}`;
  const listener = await listen(server, sessions);
  return {
    returned: Promise.all([sessions.returned(), binding.returned()]),
    close() {
      listener.close();
      rmSync(socketPath(config.id), { force: true });
    },
  };
}

/** Settles when the program has ended for good: it is started again as its policy has it. */
async function end(server: ContainerServer): Promise<ExitCode> {
  const { own, controls, life } = server;
  const { config, state } = life;
  for (;;) {
    const exitCode = await own.ended();
    life.keeping.keepNothing();
    if (!isRestarted(config.options.restart, exitCode, state.now)) return exitCode;
    const ran = Date.now() - Date.parse(state.now.startedAt);
    const restarts = state.now.restarts + 1;
    state.change({ pid: 0, exitCode, restarts });
    try {
      await delay(restartDelay(restarts, ran), undefined, { signal: controls.stopped });
      await launch(server, undefined);
    } catch (failure) {
      if (!controls.stopped.aborted) state.change({ error: (failure as Error).message });
      return exitCode;
    }
  }
}

type Outcome =
  /** `isAbandoned`: who would have removed it is gone. */
  | { kind: 'ended'; code: ExitCode; isAbandoned: boolean; logFailure: string | undefined }
  | { kind: 'failed'; failure: Error };

/**
 * The last of it. The shim goes late: until then another server does what this one does not come to, and
 * after that whoever finds the container (recovery.ts).
 */
async function conclude(life: Life, outcome: Outcome): Promise<void> {
  const { container, config, state, keeping } = life;
  const isAbandoned = outcome.kind === 'ended' && outcome.isAbandoned;
  if (config.options.autoRemove || isAbandoned) await remove(container);
  await keeping.end();
  if (!container.exists) return;
  const over = { serverPid: 0, pid: 0, address: '', ports: [] };
  if (outcome.kind === 'ended') {
    const { code: exitCode, logFailure } = outcome;
    const error = logFailure === undefined ? state.now.error : `its log is not whole: ${logFailure}`;
    state.change({ ...over, status: 'exited', exitCode, error, finishedAt: new Date().toISOString() });
    return;
  }
  const { message: error } = outcome.failure;
  const code = outcome.failure instanceof ContainerFailure ? outcome.failure.exitCode : CODE_FAILED;
  // One that has never run stays as created, as in Docker.
  state.change({ ...over, exitCode: code === CODE_FAILED ? CODE_NOT_STARTED : code, error });
}

async function remove(container: Container): Promise<void> {
  try {
    await removeContainer(container);
  } catch (failure) {
    logFault(`it could not be removed: ${(failure as Error).message}`);
  }
}
