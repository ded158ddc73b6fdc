// SPDX-License-Identifier: MIT
/** The last steps of a stage: limits, user, capabilities, filter, and the program itself. */
import { fromText } from '../../base/bytes.js';
import { EACCES, ENOENT, ENOTDIR } from '../../base/errno.js';
import { check } from '../../base/errors.js';
import {
  becomeUser,
  type CapabilitySets,
  capabilityMask,
  forbidNewPrivileges,
  limitBoundingSet,
  newSessionKeyring,
  raiseAmbient,
  setCapabilities,
} from '../../sys/credentials.js';
import {
  becomeProgram,
  changeDirectory,
  closeOthersOnExec,
  resetSignals,
  setLimit,
} from '../../sys/programs.js';
import { loadSeccomp } from '../../sys/seccomp.js';
import { setUmask } from '../../sys/thread.js';
import { DEFAULT_PATH } from '../spec/defaults.js';
import type { RuntimeSpec, SpecProcess } from '../spec/runtime-spec.js';
import { CODE_NOT_EXECUTABLE, CODE_NOT_FOUND, ContainerFailure } from '../state/failure.js';

function setLimits({ rlimits }: SpecProcess): void {
  for (const { type, soft, hard } of rlimits) {
    check(setLimit(type.replace('RLIMIT_', ''), soft, hard), {
      operation: 'set limit',
      path: type,
      remedy: 'a limit can be raised by those only who hold CAP_SYS_RESOURCE',
    });
  }
}

/** In runc's order: without no_new_privs the filter must be loaded while there are capabilities. */
function takeIdentity(process: SpecProcess, seccomp: RuntimeSpec['linux']['seccomp']): void {
  const { user, capabilities, noNewPrivileges } = process;
  const operation = 'take the identity of the container';
  const filter = (): void => {
    if (seccomp !== undefined) check(loadSeccomp(seccomp), { operation: 'filter system calls' });
  };
  if (noNewPrivileges) check(forbidNewPrivileges(), { operation });
  else filter();
  check(limitBoundingSet(capabilityMask(capabilities.bounding)), { operation });
  check(becomeUser(user.uid, user.gid, user.additionalGids), {
    operation: `become user ${user.uid}:${user.gid}`,
    remedy: 'in a user namespace only its users can be had',
  });
  const sets: CapabilitySets = {
    effective: capabilityMask(capabilities.effective),
    permitted: capabilityMask(capabilities.permitted),
    inheritable: capabilityMask(capabilities.inheritable),
  };
  check(setCapabilities(sets), { operation });
  check(raiseAmbient(capabilities.ambient), { operation });
  if (noNewPrivileges) filter();
}

/** Runs the program in the place of this process. Comes back only by throwing a ContainerFailure. */
export function becomeContainerProgram(
  process: SpecProcess,
  seccomp: RuntimeSpec['linux']['seccomp'],
): never {
  // Not every kernel has keys, and a user may have no room for more: then there are none to be kept apart.
  newSessionKeyring();
  setLimits(process);
  setUmask(process.user.umask ?? 0o022);
  takeIdentity(process, seccomp);
  check(changeDirectory(fromText(process.cwd)), { operation: 'start in', path: process.cwd });
  check(resetSignals(), { operation: 'reset signals' });
  check(closeOthersOnExec(), { operation: 'close descriptors' });
  throw programFailure(process.args[0], tryPaths(process));
}

/** execvp(3) by the container's own PATH; answers the errno that tells most. */
function tryPaths({ args, env }: SpecProcess): number {
  const [program] = args;
  if (program.includes('/')) return becomeProgram(program, args, env);
  const path = env.find((variable) => variable.startsWith('PATH='))?.slice('PATH='.length) ?? DEFAULT_PATH;
  let worst = -ENOENT;
  for (const directory of path.split(':')) {
    const status = becomeProgram(`${directory || '.'}/${program}`, args, env);
    if (status !== -ENOENT && status !== -ENOTDIR) worst = status;
    // Another directory may have one that can be run.
    if (status !== -ENOENT && status !== -ENOTDIR && status !== -EACCES) break;
  }
  return worst;
}

function programFailure(program: string, status: number): ContainerFailure {
  const missing = status === -ENOENT || status === -ENOTDIR;
  const inPath = program.includes('/') ? '' : ' in PATH';
  return new ContainerFailure(
    {
      operation: 'run',
      path: program,
      errno: status,
      reason: missing ? `the container has no such program${inPath}` : undefined,
      remedy: missing
        ? 'give the command after the name of the image, or look with --entrypoint sh'
        : undefined,
    },
    missing ? CODE_NOT_FOUND : CODE_NOT_EXECUTABLE,
  );
}
