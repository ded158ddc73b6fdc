// SPDX-License-Identifier: MIT
/**
 * Operating system, processor, variant (image-index.md): how people and tools spell
 * them, and which images run where, as containerd's platforms package has both.
 */
import { arch } from 'node:process';
import { nearestName, UsageError } from '../../base/errors.js';
import { processorVariant } from './processor.js';

export interface Platform {
  os: string;
  architecture: string;
  variant?: string | undefined;
}

/** Go's words for what Node calls them. */
const ARCHITECTURES: Record<string, Pick<Platform, 'architecture' | 'variant'>> = {
  x64: { architecture: 'amd64' },
  arm64: { architecture: 'arm64', variant: 'v8' },
  arm: { architecture: 'arm', variant: 'v7' },
  ia32: { architecture: '386' },
  ppc64: { architecture: 'ppc64le' },
  s390x: { architecture: 's390x' },
  riscv64: { architecture: 'riscv64' },
  loong64: { architecture: 'loong64' },
};

/** Go's systems and processors (go/src/internal/syslist). */
const KNOWN_SYSTEMS =
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows zos'.split(
    ' ',
  );
const KNOWN_ARCHITECTURES =
  '386 amd64 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm'.split(
    ' ',
  );

/** What the kernel, Debian and others call them. */
const SPELLINGS: Record<string, [architecture: string, variant?: string]> = {
  'x86-64': ['amd64'],
  x86_64: ['amd64'],
  x64: ['amd64'],
  i386: ['386'],
  i486: ['386'],
  i586: ['386'],
  i686: ['386'],
  x86: ['386'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armv7l: ['arm', 'v7'],
  armel: ['arm', 'v6'],
  armv6l: ['arm', 'v6'],
  ppc64el: ['ppc64le'],
  mipsel: ['mipsle'],
  mips64el: ['mips64le'],
  loongarch64: ['loong64'],
};

/** What is made here is for it. */
export function hostPlatform(): Platform {
  return { os: 'linux', ...(ARCHITECTURES[arch] ?? { architecture: arch }) };
}

/** What runs here: the host's, with the variant up to which its processor can. */
export function machinePlatform(): Platform {
  const host = hostPlatform();
  return { ...host, variant: processorVariant(host.architecture) ?? host.variant };
}

/** In the spelling of the image specification. */
export function spelled(os: string, architecture: string, variant?: string): Platform {
  const system = os.toLowerCase();
  const processor = architecture.toLowerCase();
  const [usual, usualVariant] = Object.hasOwn(SPELLINGS, processor) ? SPELLINGS[processor] : [processor];
  const given = variant?.toLowerCase().replace(/^(?=\d)/, 'v');
  return {
    os: system === 'macos' ? 'darwin' : system,
    architecture: usual,
    variant: given === undefined || given === '' ? usualVariant : given,
  };
}

/** Reads `OS/ARCHITECTURE[/VARIANT]`, or one of the first two alone. Throws UsageError. */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  if (parts.length > 3 || !parts.every((part) => /^[A-Za-z0-9_.-]+$/.test(part))) {
    throw new UsageError(`--platform ${text} is not possible`, 'write OS/ARCHITECTURE, as in linux/amd64');
  }
  if (parts.length > 1) return spelled(parts[0], parts[1], parts[2]);
  const { os, architecture } = hostPlatform();
  const asSystem = spelled(text, architecture);
  if (KNOWN_SYSTEMS.includes(asSystem.os)) return asSystem;
  const asProcessor = spelled(os, text);
  if (KNOWN_ARCHITECTURES.includes(asProcessor.architecture)) return asProcessor;
  const near = nearestName(text, [...KNOWN_SYSTEMS, ...KNOWN_ARCHITECTURES]);
  throw new UsageError(
    `--platform ${text} is neither an operating system nor a processor that is known`,
    near === undefined ? 'write OS/ARCHITECTURE, as in linux/amd64' : `did you mean ${near}?`,
  );
}

/** An option's; undefined where it is not given. */
export function platformOption(text: string | undefined): Platform | undefined {
  return text === undefined || text === '' ? undefined : parsePlatform(text);
}

export function platformName({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
}

/** What is meant where no variant is written. */
const PLAIN_VARIANTS: Record<string, string> = { amd64: 'v1', arm: 'v7', arm64: 'v8' };
/** The processor whose programs another runs, too, with the variant up to which it does. */
const ALSO_RUNS: Record<string, Omit<Platform, 'os'>> = {
  amd64: { architecture: '386' },
  arm64: { architecture: 'arm', variant: 'v8' },
};

type Version = readonly [major: number, minor: number];

/** `v8.2` as numbers; undefined for a variant that is a word. */
function versionOf({ architecture, variant = PLAIN_VARIANTS[architecture] }: Omit<Platform, 'os'>) {
  const [, major, minor = '0'] = /^v(\d{1,3})(?:\.(\d{1,2}))?$/.exec(variant ?? '') ?? [];
  return major === undefined ? undefined : ([Number(major), Number(minor)] as Version);
}

/** ARMv9.0 has all of ARMv8.5. */
const MINORS_OF_NEXT_MAJOR = 5;

/** From this on a platform serves by its own processor's programs. */
export const OWN_PROCESSOR = 100_000;

/** How well an image for one platform serves on another: 0 not at all. No variant above the wanted one does. */
export function fitness(wanted: Platform, offered: Platform): number {
  const here = spelled(wanted.os, wanted.architecture, wanted.variant);
  const there = spelled(offered.os, offered.architecture, offered.variant);
  if (there.os !== here.os) return 0;
  if (there.architecture === here.architecture) {
    const fit = variantFitness(here, there);
    return fit === 0 ? 0 : OWN_PROCESSOR + fit;
  }
  const other = ALSO_RUNS[here.architecture];
  return other?.architecture === there.architecture ? variantFitness(other, there) : 0;
}

function variantFitness(wanted: Omit<Platform, 'os'>, offered: Omit<Platform, 'os'>): number {
  const [here, there] = [versionOf(wanted), versionOf(offered)];
  if (here === undefined || there === undefined) {
    if (wanted.variant === offered.variant) return 3;
    // Of variants that are words none is known to be above another.
    return offered.variant === undefined ? 2 : wanted.variant === undefined ? 1 : 0;
  }
  const isBelow =
    there[0] === here[0]
      ? there[1] <= here[1]
      : there[0] < here[0] && there[1] <= here[1] + MINORS_OF_NEXT_MAJOR;
  return isBelow ? 10 + there[0] * 100 + there[1] : 0;
}
