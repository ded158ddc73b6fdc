// SPDX-License-Identifier: MIT
/** Digests: what content is addressed by (OCI image-spec, descriptor.md "Digests"). */
import type { Hash } from 'node:crypto';
import { cryptography } from '../../base/builtins.js';
import { OverlayError, quote } from '../../base/errors.js';

/** `sha256:` and 64 lower-case hexadecimal digits. Only this file makes one, so every one is well formed. */
export type Digest = string & { readonly kind: 'digest' };

const PATTERN = /^sha256:[0-9a-f]{64}$/;

export function isDigest(value: unknown): value is Digest {
  return typeof value === 'string' && PATTERN.test(value);
}

/** Throws an OverlayError for an invalid digest; `where` names its source. */
export function parseDigest(value: unknown, where: string): Digest {
  if (isDigest(value)) return value;
  const isOther = typeof value === 'string' && /^[a-z0-9+._-]+:[0-9a-zA-Z=_-]+$/.test(value);
  throw new OverlayError({
    operation: 'read a digest',
    path: where,
    reason: isOther
      ? `${quote(value.slice(0, 200))} is of an algorithm that is not supported`
      : `${JSON.stringify(value)?.slice(0, 200)} is no digest`,
    remedy: 'a digest is sha256: and 64 hexadecimal digits',
  });
}

/** The part that names files. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

/** As people are shown it: the first twelve digits. */
export function shortId(digest: Digest): string {
  return hexOf(digest).slice(0, 12);
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return new Hasher().update(bytes).digest();
}

/** Digests what passes by. */
export class Hasher {
  readonly #hash: Hash = cryptography().createHash('sha256');
  /** Bytes so far. */
  size = 0;

  update(bytes: Uint8Array | string): this {
    this.#hash.update(bytes);
    this.size += bytes.length;
    return this;
  }

  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}` as Digest;
  }
}

/**
 * What each layer is together with all below it (image-spec config.md, "Layer
 * ChainID"); `diffIds` and the answer are bottom first.
 */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const id of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? id : digestOf(`${below} ${id}`));
  }
  return chain;
}
