// SPDX-License-Identifier: MIT
/**
 * A network without privilege: slirp4netns(1) sits between a device in the container's
 * network namespace and ordinary sockets of the user, and publishes ports when it is
 * asked over its socket. Each container has such a network for itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { cryptography } from '../../base/builtins.js';
import { check, OverlayError } from '../../base/errors.js';
import type { HeldList } from '../../supervise/held.js';
import { prepareRuntimeDirectory } from '../../supervise/runtime-directory.js';
import { makePipe } from '../../sys/channels.js';
import { close } from '../../sys/files.js';
import { commandLineOf } from '../../sys/proc.js';
import { sendSignal } from '../../sys/signals.js';
import type { ContainerConfig, PortMapping } from '../state/config.js';
import type { Attachment } from './bridge.js';
import type { ContainerNetwork, KeptSlirp } from './container-network.js';
import { type KeptPort, publishPorts } from './ports.js';

const PROGRAM = 'slirp4netns';
const DEVICE = 'tap0';
/** Its own defaults: network 10.0.2.0/24 with the host at 2, its name server at 3, the container at 100. */
export const USER_NETWORK_GATEWAY = '10.0.2.2';
const ATTACHMENT: Attachment = {
  address: '10.0.2.100',
  gateway: USER_NETWORK_GATEWAY,
  prefix: 24,
  device: DEVICE,
};
export const USER_NETWORK_RESOLVER = '10.0.2.3';
const READY_FD = 3;
/** It ends when this is closed, so with us. */
const EXIT_FD = 4;

/** The ports that were asked for, with those chosen that are free where any would do. */
async function choosePorts(wanted: readonly PortMapping[]): Promise<PortMapping[]> {
  const probes = await publishPorts(wanted, () => '127.0.0.1');
  for (const probe of probes) probe.close();
  return probes.map(({ mapping }) => mapping);
}

export async function joinUserNetwork({ options }: ContainerConfig): Promise<ContainerNetwork> {
  return through(await choosePorts(options.ports), undefined);
}

/** That of an earlier server, whose process goes on. */
export function resumeUserNetwork(ports: readonly KeptPort[], kept: KeptSlirp | undefined): ContainerNetwork {
  const running = kept === undefined ? undefined : SlirpProcess.resume(kept);
  return through(
    ports.map(({ mapping }) => mapping),
    running,
  );
}

function through(ports: PortMapping[], running: SlirpProcess | undefined): ContainerNetwork {
  return {
    attachment: ATTACHMENT,
    ports,
    async connect(pid) {
      // That of the program's last run has ended with its namespace.
      await running?.end();
      running = SlirpProcess.start(pid);
      await running.ready();
      for (const port of ports) await running.publish(port);
    },
    async release() {
      await running?.end();
    },
    keepIn: (list) => ({ ports: ports.map((mapping) => ({ mapping })), slirp: running?.keepIn(list) }),
  };
}

class SlirpProcess {
  #missing: Error | undefined;

  private constructor(
    private readonly kept: KeptSlirp,
    private readonly child: ChildProcess | undefined,
    private readonly ended: Promise<void>,
    private readonly said: Promise<string>,
  ) {
    child?.on('error', (failure) => {
      this.#missing = failure;
    });
  }

  static start(pid: number): SlirpProcess {
    const socket = join(
      prepareRuntimeDirectory(),
      `slirp-${cryptography().randomBytes(6).toString('hex')}.sock`,
    );
    const [lifeEnd, life] = openPipe();
    const [errors, errorsEnd] = openPipe();
    const args = ['--configure', '--mtu=65520', '--disable-host-loopback', `--ready-fd=${READY_FD}`];
    args.push(`--exit-fd=${EXIT_FD}`);
    const child = spawn(PROGRAM, [...args, `--api-socket=${socket}`, String(pid), DEVICE], {
      stdio: ['ignore', 'ignore', errorsEnd, 'pipe', lifeEnd],
      cwd: '/',
    });
    for (const fd of [lifeEnd, errorsEnd]) close(fd);
    const ended = new Promise<void>((resolve) => {
      child.on('exit', () => resolve());
      child.on('error', () => resolve());
    });
    const said = text(new Socket({ fd: errors, readable: true, writable: false }));
    return new SlirpProcess({ pid: child.pid ?? 0, socket, life, errors }, child, ended, said);
  }

  static resume(kept: KeptSlirp): SlirpProcess {
    return new SlirpProcess(kept, undefined, Promise.resolve(), Promise.resolve(''));
  }

  keepIn(list: HeldList): KeptSlirp {
    const { life, errors } = this.kept;
    return { ...this.kept, life: list.add(life), errors: list.add(errors) };
  }

  async ready(): Promise<void> {
    if ((await text(this.child!.stdio[READY_FD] as Readable)) === '1') return;
    await this.ended;
    const isMissing = (this.#missing as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
    throw new OverlayError({
      operation: 'set up the network',
      reason: isMissing
        ? `there is no ${PROGRAM} on this machine`
        : ((await this.said).trim().split('\n').at(-1) ?? `${PROGRAM} failed`),
      remedy: `${isMissing ? `install ${PROGRAM}` : 'see that /dev/net/tun can be opened'}, or give --network host or none`,
    });
  }

  async publish({ hostAddress, hostPort, containerPort, protocol }: PortMapping): Promise<void> {
    const answer = await this.#ask({
      execute: 'add_hostfwd',
      arguments: {
        proto: protocol,
        host_addr: hostAddress === '' ? '0.0.0.0' : hostAddress,
        host_port: hostPort,
        guest_addr: ATTACHMENT.address,
        guest_port: containerPort,
      },
    });
    const { error } = JSON.parse(answer) as { error?: { desc: string } };
    if (error === undefined) return;
    throw new OverlayError({
      operation: 'publish port',
      path: `${hostPort}/${protocol}`,
      reason: error.desc,
      remedy: 'choose another with -p',
    });
  }

  #ask(request: object): Promise<string> {
    const socket = connect({ path: this.kept.socket, allowHalfOpen: true });
    socket.end(JSON.stringify(request));
    return text(socket);
  }

  async end(): Promise<void> {
    const { pid, socket, life } = this.kept;
    if (pid > 0 && this.#isThere()) {
      sendSignal(pid, constants.signals.SIGKILL);
      await this.ended;
      while (this.#isThere()) await delay(1);
    }
    close(life);
    rmSync(socket, { force: true });
  }

  /** Whether the process is still the one that was started; its number may be another's by now. */
  #isThere(): boolean {
    return commandLineOf(this.kept.pid).includes(this.kept.socket);
  }
}

function openPipe(): [number, number] {
  const pipe = check(makePipe(), { operation: 'set up the network' });
  return pipe;
}
