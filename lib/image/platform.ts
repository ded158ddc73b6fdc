// SPDX-License-Identifier: MIT
/** Which of an index's manifests is meant: operating system, processor, variant (image-index.md). */
import { arch } from 'node:process';
import { UsageError } from '../base/errors.js';

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

export function hostPlatform(): Platform {
  return { os: 'linux', ...(ARCHITECTURES[arch] ?? { architecture: arch }) };
}

/** Reads `OS/ARCHITECTURE[/VARIANT]`, or an architecture alone. Throws UsageError. */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/');
  if (parts.length > 3 || !parts.every((part) => /^[A-Za-z0-9_.-]+$/.test(part))) {
    throw new UsageError(`--platform ${text} is not possible`, 'write OS/ARCHITECTURE, as in linux/amd64');
  }
  const [os, architecture, variant] = parts.length === 1 ? ['linux', parts[0]] : parts;
  const usual = { x86_64: 'amd64', aarch64: 'arm64' }[architecture] ?? architecture;
  return { os, architecture: usual, variant };
}

export function platformName({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
}

/** How well a manifest's platform serves the wanted one: 0 not at all, 2 exactly. */
function fitness(wanted: Platform, offered: Platform): number {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return 0;
  if (wanted.variant === undefined || offered.variant === undefined) return 1;
  if (offered.variant === wanted.variant) return 2;
  // An older variant of the same processor runs on a newer one.
  return wanted.architecture === 'arm' && offered.variant < wanted.variant ? 1 : 0;
}

/** The best of the offered ones, or undefined where none runs there. */
export function choosePlatform<T extends { platform?: Platform | undefined }>(
  offers: readonly T[],
  wanted: Platform,
): T | undefined {
  const rated = offers
    .filter((offer) => offer.platform !== undefined)
    .map((offer) => ({ offer, fit: fitness(wanted, offer.platform!) }))
    .filter(({ fit }) => fit > 0)
    .sort(
      (a, b) =>
        b.fit - a.fit || (b.offer.platform!.variant ?? '').localeCompare(a.offer.platform!.variant ?? ''),
    );
  return rated[0]?.offer;
}
