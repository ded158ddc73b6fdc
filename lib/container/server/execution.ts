// SPDX-License-Identifier: MIT
/** A program that is run beside a container's own, in its namespaces (`tsoverlay exec`). */
import { setTimeout as delay } from 'node:timers/promises';
import type { ExitCode } from '../runtime/runtime.js';
import { accountIn, capabilitiesFor } from '../spec/container-spec.js';
import { runtimeSpec } from '../spec/runtime-spec.js';
import { hostnameOf } from './container-files.js';
import type { LogStream } from './log-file.js';
import { ProgramStreams } from './program-streams.js';
import type { ExecRequest } from './protocol.js';
import type { ContainerServer } from './server.js';

/** A program that it left in the background may hold its streams; nobody waits for that. */
const LAST_WORDS_MS = 200;

export interface Execution {
  streams: ProgramStreams;
  exited: Promise<ExitCode>;
}

/** Settles when the program runs; throws a ContainerFailure when it cannot be run. */
export async function execute(
  server: ContainerServer,
  request: ExecRequest,
  take: (stream: LogStream, bytes: Buffer) => void,
): Promise<Execution> {
  const { config, pid } = server;
  const { image, options } = config;
  const privileged = request.privileged || options.privileged;
  const spec = runtimeSpec(
    {
      image: image.config,
      account: accountIn(server.resources.view, request.user ?? options.user ?? image.config.User ?? ''),
      hostname: hostnameOf(config),
      command: request.args,
      entrypoint: [],
      env: [...options.env, ...request.env],
      cwd: request.cwd ?? options.cwd,
      terminal: request.terminal,
      capabilities: capabilitiesFor({ ...options, privileged }),
      noNewPrivileges: options.noNewPrivileges,
      privileged,
      unfiltered: options.unfiltered,
      limits: options.limits,
    },
    '/',
  );
  const running = await server.resources.runtime.enter({
    process: spec.process,
    seccomp: spec.linux.seccomp,
    member: pid,
    cgroupFiles: server.resources.cgroup?.processFiles ?? [],
    hasInput: request.interactive,
  });
  const streams = new ProgramStreams(running.streams, take);
  if (request.size !== undefined) streams.resize(request.size);
  const exited = running.exited.then(async (code) => {
    await Promise.race([streams.ended, delay(LAST_WORDS_MS, undefined, { ref: false })]);
    return code;
  });
  return { streams, exited };
}
