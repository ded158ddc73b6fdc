// SPDX-License-Identifier: MIT
/**
 * A network without privilege: slirp4netns(1) sits between a device in the container's
 * network namespace and ordinary sockets of the user, and publishes ports when it is
 * asked over its socket. Each container has such a network for itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { cryptography } from '../../base/builtins.js';
import { OverlayError } from '../../base/errors.js';
import { prepareRuntimeDirectory } from '../../mount/registry.js';
import type { ContainerConfig, PortMapping } from '../state/config.js';
import type { Attachment } from './bridge.js';
import type { ContainerNetwork } from './network.js';
import { publishPorts } from './ports.js';

const PROGRAM = 'slirp4netns';
const DEVICE = 'tap0';
/** Its own defaults: network 10.0.2.0/24 with the host at 2, its name server at 3, the container at 100. */
const ATTACHMENT: Attachment = { address: '10.0.2.100', gateway: '10.0.2.2', prefix: 24, device: DEVICE };
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
  const ports = await choosePorts(options.ports);
  let running: SlirpProcess | undefined;
  return {
    attachment: ATTACHMENT,
    ports,
    async connect(pid) {
      // That of the program's last run has ended with its namespace.
      await running?.end();
      running = new SlirpProcess(pid);
      await running.ready();
      for (const port of ports) await running.publish(port);
    },
    async release() {
      await running?.end();
    },
  };
}

class SlirpProcess {
  readonly #child: ChildProcess;
  readonly #socket = join(
    prepareRuntimeDirectory(),
    `slirp-${cryptography().randomBytes(6).toString('hex')}.sock`,
  );
  readonly #said: Promise<string>;
  readonly #ended: Promise<void>;
  #missing: Error | undefined;

  constructor(pid: number) {
    const args = ['--configure', '--mtu=65520', '--disable-host-loopback', `--ready-fd=${READY_FD}`];
    args.push(`--exit-fd=${EXIT_FD}`);
    this.#child = spawn(PROGRAM, [...args, `--api-socket=${this.#socket}`, String(pid), DEVICE], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      cwd: '/',
    });
    this.#said = text(this.#child.stderr!);
    this.#ended = new Promise((resolve) => {
      this.#child.on('exit', () => resolve());
      this.#child.on('error', (failure) => {
        this.#missing = failure;
        resolve();
      });
    });
  }

  async ready(): Promise<void> {
    if ((await text(this.#child.stdio[READY_FD] as Readable)) === '1') return;
    await this.#ended;
    const isMissing = (this.#missing as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
    throw new OverlayError({
      operation: 'set up the network',
      reason: isMissing
        ? `there is no ${PROGRAM} on this machine`
        : ((await this.#said).trim().split('\n').at(-1) ?? `${PROGRAM} failed`),
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
    const socket = connect({ path: this.#socket, allowHalfOpen: true });
    socket.end(JSON.stringify(request));
    return text(socket);
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
    rmSync(this.#socket, { force: true });
  }
}
