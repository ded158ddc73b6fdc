// SPDX-License-Identifier: MIT
/**
 * Filters of system calls (seccomp(2)), composed by the machine's libseccomp
 * (seccomp_init(3) and its kin), which knows the numbers of every architecture.
 */
import { EPERM } from '../base/errno.js';
import { openLibrary } from './libc.js';

const LIBRARY = 'libseccomp.so.2';
const ACTION_ALLOW = 0x7fff0000;
const ACTION_ERRNO = 0x00050000;
const ATTRIBUTE_NO_NEW_PRIVILEGES = 3;
const ATTRIBUTE_OPTIMIZE = 8;
/** A binary tree over the numbers in the place of a list. */
const OPTIMIZE_TREE = 2;
const SIZEOF_ARG_CMP = 24;
/** What seccomp_syscall_resolve_name(3) answers for a name that it does not know. */
const UNKNOWN = -1;
/** seccomp_arch_add(3): the architecture is there already. */
const PRESENT = -17;

/** Comparisons of an argument, as the OCI's runtime-spec names them (config-linux.md, seccomp). */
export const COMPARISONS = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
} as const;

export interface SeccompArgument {
  index: number;
  value: number;
  /** Of SCMP_CMP_MASKED_EQ: what the masked argument is compared with. */
  valueTwo?: number;
  op: keyof typeof COMPARISONS;
}

/** As the runtime-spec has it. */
export interface SeccompProfile {
  defaultAction: 'SCMP_ACT_ERRNO';
  defaultErrnoRet: number;
  architectures: string[];
  syscalls: {
    names: readonly string[];
    action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
    errnoRet?: number;
    args?: readonly SeccompArgument[];
  }[];
}

/** Of the audit interface (linux/audit.h), as libseccomp takes them. */
const ARCHITECTURES: Record<string, number> = {
  SCMP_ARCH_X86: 0x40000003,
  SCMP_ARCH_X86_64: 0xc000003e,
  SCMP_ARCH_X32: 0x4000003e,
  SCMP_ARCH_ARM: 0x40000028,
  SCMP_ARCH_AARCH64: 0xc00000b7,
};

type Call = (...args: (number | bigint | string | Buffer | null)[]) => number;

/** Undefined where the machine has no libseccomp. */
function loadLibrary():
  | Record<'init' | 'addArch' | 'set' | 'resolve' | 'add' | 'load' | 'release', Call>
  | undefined {
  const open = openLibrary(LIBRARY);
  if (open === undefined) return undefined;
  const declare = (prototype: string): Call => open(prototype) as Call;
  return {
    init: declare('uintptr_t seccomp_init(uint32 action)'),
    addArch: declare('int seccomp_arch_add(uintptr_t context, uint32 token)'),
    set: declare('int seccomp_attr_set(uintptr_t context, int attribute, uint32 value)'),
    resolve: declare('int seccomp_syscall_resolve_name(const char *name)'),
    add: declare(
      'int seccomp_rule_add_array(uintptr_t context, uint32 action, int syscall, uint count, const void *args)',
    ),
    load: declare('int seccomp_load(uintptr_t context)'),
    release: declare('void seccomp_release(uintptr_t context)'),
  };
}

/** Loaded with this file: the process that installs the filter has often changed its root by then. */
const library = loadLibrary();

function encodeArguments(args: readonly SeccompArgument[]): Buffer {
  const encoded = Buffer.alloc(SIZEOF_ARG_CMP * args.length);
  args.forEach(({ index, value, valueTwo = 0, op }, at) => {
    const start = at * SIZEOF_ARG_CMP;
    encoded.writeUInt32LE(index, start);
    encoded.writeUInt32LE(COMPARISONS[op], start + 4);
    encoded.writeBigUInt64LE(BigInt(value), start + 8);
    encoded.writeBigUInt64LE(BigInt(valueTwo), start + 16);
  });
  return encoded;
}

/**
 * Filters the system calls of this thread and of all that comes from it, for good.
 * Without CAP_SYS_ADMIN it needs no_new_privs. Answers 0 or a negated errno, also
 * where the machine has no libseccomp: then nothing is filtered.
 */
export function loadSeccomp(profile: SeccompProfile): number {
  if (library === undefined) return 0;
  const action = (name: string, errno = EPERM): number =>
    name === 'SCMP_ACT_ALLOW' ? ACTION_ALLOW : ACTION_ERRNO | errno;
  const context = library.init(action(profile.defaultAction, profile.defaultErrnoRet));
  try {
    for (const name of profile.architectures) {
      const status = library.addArch(context, ARCHITECTURES[name]);
      if (status < 0 && status !== PRESENT) return status;
    }
    // Both are for the loading alone; an older library lacks the second.
    library.set(context, ATTRIBUTE_NO_NEW_PRIVILEGES, 0);
    library.set(context, ATTRIBUTE_OPTIMIZE, OPTIMIZE_TREE);
    for (const { names, action: what, errnoRet, args = [] } of profile.syscalls) {
      const encoded = encodeArguments(args);
      for (const name of names) {
        const number = library.resolve(name);
        if (number === UNKNOWN) continue;
        const status = library.add(context, action(what, errnoRet), number, args.length, encoded);
        if (status < 0) return status;
      }
    }
    return library.load(context);
  } finally {
    library.release(context);
  }
}
