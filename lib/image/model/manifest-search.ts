// SPDX-License-Identifier: MIT
/**
 * Which image is meant for a platform, in a registry or an archive: descriptors of an
 * index may say their platform or leave it to the configuration, may be of indexes
 * themselves, and stand beside those of attestations, signatures and other artefacts
 * (image-index.md, "Image Index Property Descriptions").
 */
import { OverlayError } from '../../base/errors.js';
import type { Digest } from './digest.js';
import { refuse } from './documents.js';
import { configPlatform } from './image-config.js';
import {
  artifactKind,
  type Descriptor,
  documentType,
  isImageConfigType,
  isIndexType,
  parseIndex,
  parseManifest,
} from './manifest.js';
import { fitness, OWN_PROCESSOR, type Platform, platformName } from './platform.js';

/** Where documents come from; they are verified, and undefined where they are not there. */
export interface DocumentSource {
  manifest(descriptor: Descriptor): Promise<Buffer | undefined>;
  config(descriptor: Descriptor): Promise<Buffer | undefined>;
}

export interface FoundManifest {
  bytes: Buffer;
  digest: Digest;
  mediaType: string;
  /** As an index states it. */
  stated: Platform | undefined;
  /** For what it is, by whoever says it. */
  platform: Platform;
  /** 0 for one that does not serve. */
  fit: number;
}

/** Indexes in indexes; those that are met have one or two. */
const DEEPEST = 8;
/** Documents that are read before the search is given up. */
const MOST_DOCUMENTS = 200;

export class ManifestSearch {
  /** The platforms that were met. */
  readonly offered = new Set<string>();
  /** What was met that is no image. */
  readonly artifacts = new Set<string>();
  #documents = 0;
  #lost: Digest | undefined;

  constructor(
    private readonly source: DocumentSource,
    private readonly wanted: Platform,
    private readonly what: string,
  ) {}

  /** What a descriptor leads to: its image, whether that serves or not, or the best of its index. */
  async open(
    descriptor: Descriptor,
    depth = 0,
    inherited = descriptor.platform,
  ): Promise<FoundManifest | undefined> {
    if (this.#isBeside(descriptor)) return undefined;
    if (++this.#documents > MOST_DOCUMENTS)
      refuse(this.what, `none of its first ${MOST_DOCUMENTS} manifests serves`);
    const bytes = await this.source.manifest(descriptor);
    if (bytes === undefined) {
      this.#lost ??= descriptor.digest;
      return undefined;
    }
    const mediaType = documentType(bytes, descriptor.mediaType, this.what);
    if (!isIndexType(mediaType)) return this.#image(bytes, descriptor, mediaType, inherited);
    if (depth === DEEPEST) refuse(this.what, `it has indexes in indexes, more than ${DEEPEST} deep`);
    return this.among(parseIndex(bytes, this.what).manifests, depth + 1, inherited);
  }

  /** The best of several; of one alone the image, whether it serves or not. */
  async among(
    descriptors: readonly Descriptor[],
    depth = 0,
    inherited?: Platform,
  ): Promise<FoundManifest | undefined> {
    const offers = descriptors.filter((descriptor) => !this.#isBeside(descriptor));
    const open = (offer: Descriptor): Promise<FoundManifest | undefined> =>
      this.open(offer, depth, offer.platform ?? inherited);
    if (offers.length === 1) return open(offers[0]);
    const stated = offers
      .map((offer) => ({ offer, fit: offer.platform === undefined ? 0 : this.#rate(offer.platform) }))
      .filter(({ fit }) => fit > 0)
      .sort((a, b) => b.fit - a.fit);
    const own = stated.filter(({ fit }) => fit >= OWN_PROCESSOR);
    const others = stated.filter(({ fit }) => fit < OWN_PROCESSOR);
    const firstOf = async (rated: typeof stated): Promise<FoundManifest | undefined> => {
      for (const { offer } of rated) {
        const found = await open(offer);
        if (found !== undefined && found.fit > 0) return found;
      }
      return undefined;
    };
    return (
      (await firstOf(own)) ??
      (await this.#bestOf(
        offers.filter(({ platform }) => platform === undefined),
        open,
      )) ??
      (await firstOf(others))
    );
  }

  /** Of those that do not say it each is looked into. */
  async #bestOf(
    offers: readonly Descriptor[],
    open: (offer: Descriptor) => Promise<FoundManifest | undefined>,
  ): Promise<FoundManifest | undefined> {
    let best: FoundManifest | undefined;
    for (const offer of offers) {
      const found = await open(offer);
      if (found !== undefined && found.fit > (best?.fit ?? 0)) best = found;
    }
    return best;
  }

  async #image(
    bytes: Buffer,
    { digest, platform: own }: Descriptor,
    mediaType: string,
    inherited: Platform | undefined,
  ): Promise<FoundManifest | undefined> {
    const manifest = parseManifest(bytes, this.what);
    const kind = artifactKind(manifest);
    if (kind !== undefined) {
      this.artifacts.add(kind);
      return undefined;
    }
    const config = own === undefined ? await this.source.config(manifest.config) : undefined;
    const platform = own ?? (config === undefined ? inherited : configPlatform(config, this.what, inherited));
    if (platform === undefined) {
      this.#lost ??= manifest.config.digest;
      return undefined;
    }
    const fit = this.#rate(platform);
    return { bytes, digest, mediaType, stated: own ?? (inherited && platform), platform, fit };
  }

  #rate(platform: Platform): number {
    this.offered.add(platformName(platform));
    return fitness(this.wanted, platform);
  }

  /** BuildKit marks attestations by a platform that is none and by an annotation. */
  #isBeside({ platform, artifactType, annotations }: Descriptor): boolean {
    const isAttestation =
      platform?.os === 'unknown' ||
      platform?.architecture === 'unknown' ||
      annotations?.['vnd.docker.reference.type'] !== undefined;
    const isArtifact = artifactType !== undefined && !isImageConfigType(artifactType);
    if (isArtifact) this.artifacts.add(artifactType);
    else if (isAttestation) this.artifacts.add('an attestation');
    return isArtifact || isAttestation;
  }

  /** Whether the source lacks something that is named. */
  get isLacking(): boolean {
    return this.#lost !== undefined;
  }

  /** Why nothing was found that serves. */
  failure(operation: string): OverlayError {
    const say = (reason: string, remedy?: string): OverlayError =>
      new OverlayError({ operation, path: this.what, reason, remedy });
    const offered = [...this.offered].join(', ');
    if (offered === '' && this.#lost !== undefined) return say(`its part ${this.#lost} is missing`);
    if (offered !== '') {
      const reason = `there is none for ${platformName(this.wanted)}`;
      return say(
        this.#lost === undefined ? reason : `${reason} whose parts are all there: ${this.#lost} is missing`,
        `choose another with --platform: ${offered}`,
      );
    }
    const kinds = [...this.artifacts].join(', ');
    return kinds === ''
      ? say('it names no image')
      : say(`it is no image, but ${kinds}`, 'get it with a tool that is made for such, or with oras');
  }
}
