// SPDX-License-Identifier: MIT
/**
 * Entry of a stage: the process that becomes a container's program. It is started
 * in the container's pid namespace, so as its first process where it starts one, and
 * reads its plan; from then on it makes system calls one after the other, as nothing
 * else runs in it. Everything it needs is loaded before the root changes.
 */
import { closeSync, readlinkSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { fromText } from '../../base/bytes.js';
import { check, OverlayError } from '../../base/errors.js';
import { encodeError } from '../../supervise/error-wire.js';
import { lineOf } from '../../supervise/json-lines.js';
import { sendDescriptor, socketPair } from '../../sys/channels.js';
import { close, Fd, O_RDONLY, openPath } from '../../sys/files.js';
import {
  enterNamespace,
  enterNamespaceAt,
  type NamespaceName,
  namespacePath,
  openNamespace,
  raiseLoopback,
  setHostname,
  unshareNamespaces,
} from '../../sys/namespaces.js';
import { changeOwner, duplicateTo } from '../../sys/programs.js';
import {
  startSession,
  TERMINAL_FLAGS,
  takeTerminal,
  terminalNumber,
  unlockTerminal,
} from '../../sys/terminals.js';
import { unshareUmask } from '../../sys/thread.js';
import type { SpecProcess } from '../spec/runtime-spec.js';
import { CODE_FAILED, ContainerFailure } from '../state/failure.js';
import { becomeContainerProgram } from './stage-identity.js';
import {
  type EnterPlan,
  STAGE_HANDOVER,
  STAGE_HELLO,
  type StageHello,
  type StagePlan,
  type StageWord,
  type StartPlan,
} from './stage-plan.js';
import { StageRoot } from './stage-root.js';

/** Closed when the program runs, as nobody else has it. */
const channel = makeChannel();

function makeChannel(): number {
  const story = { operation: 'speak to the server' };
  const [own, theirs] = check(socketPair(), story);
  check(sendDescriptor(STAGE_HANDOVER, theirs), story);
  close(theirs);
  // This /proc is still that of the namespace that we come from.
  const pid = Number(readlinkSync('/proc/self'));
  writeSync(STAGE_HELLO, lineOf({ pid } satisfies StageHello));
  closeSync(STAGE_HELLO);
  return own;
}

function readWord(): string {
  const byte = Buffer.alloc(65536);
  let line = '';
  for (;;) {
    const count = readSync(channel, byte, 0, byte.length, null);
    // The server is gone, or has thought better of it.
    if (count === 0) process.exit(CODE_FAILED);
    line += byte.toString('utf8', 0, count);
    if (line.endsWith('\n')) return line;
  }
}

function say(word: StageWord): void {
  writeSync(channel, lineOf(word));
}

/** From then on the program is there whatever becomes of the server. */
function waitForServer(): void {
  say({ kind: 'prepared' });
  readWord();
}

function joinCgroups(files: readonly string[]): void {
  for (const file of files) {
    try {
      writeFileSync(file, '0');
    } catch (cause) {
      throw new OverlayError({
        operation: 'join cgroup',
        path: file,
        reason: (cause as Error).message,
        cause,
      });
    }
  }
}

/** Opens a path as the container sees it. */
type Opener = (path: string, flags: number) => number;

function giveTo({ uid, gid }: SpecProcess['user'], fd: number): void {
  check(changeOwner(fd, uid, gid), {
    operation: `give standard streams to user ${uid}:${gid}`,
    remedy: 'in a user namespace only its users can be had: see /etc/subuid',
  });
}

/** Opens a terminal's master and slave by `open`, hands the master over, and makes the slave this process's own. */
function takeNewTerminal({ user }: SpecProcess, open: Opener): number {
  const story = { operation: 'open a terminal' };
  using master = new Fd(check(open('/dev/pts/ptmx', TERMINAL_FLAGS), story));
  check(unlockTerminal(master.number), story);
  const number = check(terminalNumber(master.number), story);
  using slave = new Fd(check(open(`/dev/pts/${number}`, TERMINAL_FLAGS), story));
  giveTo(user, slave.number);
  check(sendDescriptor(STAGE_HANDOVER, master.number), story);
  say({ kind: 'terminal' });
  check(startSession(), story);
  check(takeTerminal(slave.number), story);
  for (const fd of [0, 1, 2]) check(duplicateTo(slave.number, fd), story);
  return number;
}

/**
 * Standard streams that are pipes. A program that is not root may want to open
 * /dev/stdout again, which is one of them.
 */
function takeStreams({ user }: SpecProcess, hasInput: boolean, open: Opener): void {
  const story = { operation: 'take standard streams' };
  check(startSession(), story);
  for (const fd of [0, 1, 2]) giveTo(user, fd);
  if (hasInput) return;
  using nothing = new Fd(check(open('/dev/null', O_RDONLY), story));
  check(duplicateTo(nothing.number, 0), story);
}

function isolate({ spec }: StartPlan): void {
  const story = { operation: 'make namespaces' };
  const { namespaces } = spec.linux;
  const isMade = (name: NamespaceName): boolean =>
    namespaces.some(({ type, path }) => type === name && path === undefined);
  for (const { type, path } of namespaces)
    if (path !== undefined) check(enterNamespaceAt(path, type), { ...story, path });
  const made = (['mount', 'uts', 'ipc', 'network', 'cgroup'] as const).filter(isMade);
  check(unshareNamespaces(made), story);
  if (isMade('uts')) check(setHostname(spec.hostname), { operation: 'set the host name' });
  if (isMade('network')) check(raiseLoopback(), { operation: 'bring up the loopback device' });
}

function start(plan: StartPlan): never {
  const { spec, rootfs } = plan;
  joinCgroups(plan.cgroupFiles);
  isolate(plan);
  say({ kind: 'isolated' });
  const root = StageRoot.open(rootfs);
  for (const mount of spec.mounts) root.mount(mount);
  const open: Opener = (path, flags) => root.openInside(path, flags);
  const ownsDevices = spec.mounts.some(({ destination, type }) => destination === '/dev' && type === 'tmpfs');
  if (ownsDevices) root.makeDevices();
  if (spec.process.terminal) {
    const number = takeNewTerminal(spec.process, open);
    root.bindInside(`/dev/pts/${number}`, '/dev/console');
  } else takeStreams(spec.process, plan.hasInput, open);
  root.makeDirectories(spec.process.cwd);
  root.protect(spec.linux);
  if (spec.root.readonly) root.makeReadOnly();
  root.enter();
  waitForServer();
  becomeContainerProgram(spec.process, spec.linux.seccomp);
}

/** The member is looked up before the container's own /proc is all there is. */
function enter({ process: program, seccomp, member, cgroupFiles, hasInput }: EnterPlan): never {
  joinCgroups(cgroupFiles);
  // What the container shares with us is not ours to enter.
  const isItsOwn = (name: NamespaceName): boolean =>
    readlinkSync(namespacePath(member, name)) !== readlinkSync(namespacePath('self', name));
  const names = (['ipc', 'uts', 'network', 'cgroup', 'mount'] as const).filter(isItsOwn);
  const opened = names.map((name) => ({
    name,
    fd: check(openNamespace(namespacePath(member, name)), { operation: 'enter the container' }),
  }));
  check(unshareUmask(), { operation: 'enter the container' });
  for (const { name, fd } of opened) check(enterNamespace(fd, name), { operation: 'enter the container' });
  const open: Opener = (path, flags) => openPath(fromText(path), flags);
  if (program.terminal) takeNewTerminal(program, open);
  else takeStreams(program, hasInput, open);
  waitForServer();
  becomeContainerProgram(program, seccomp);
}

function main(): never {
  const plan = JSON.parse(readWord()) as StagePlan;
  if (plan.kind === 'start') start(plan);
  enter(plan);
}

try {
  main();
} catch (failure) {
  say({ kind: 'failed', failure: encodeError(failure, 'start the container') });
  process.exit(failure instanceof ContainerFailure ? failure.exitCode : CODE_FAILED);
}
