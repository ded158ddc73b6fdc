// SPDX-License-Identifier: MIT
/**
 * Manifests and indexes of images: OCI's and Docker's, which mean the same
 * (image-spec manifest.md, image-index.md; Docker's "Image Manifest V 2, Schema 2").
 * They come from outside: each is checked for what is used of it, and the rest is
 * kept as it came.
 */
import { type Digest, parseDigest } from './digest.js';
import { isObject, type Json, listOf, parseObject, refuse, textOf } from './documents.js';
import { type Platform, spelled } from './platform.js';

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
export const OCI_LAYER_GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
const DOCKER_SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;

/** The largest manifest or configuration that is read, in bytes; registries have 4 MiB for manifests. */
export const LARGEST_DOCUMENT = 8 << 20;
/** No tool makes more, and a mount takes 500. */
const MOST_LAYERS = 500;

export interface Descriptor {
  /** Empty where none is given. */
  mediaType: string;
  digest: Digest;
  /** Bytes. */
  size: number;
  annotations?: Record<string, string> | undefined;
  platform?: Platform | undefined;
  /** Of what is no image. */
  artifactType?: string | undefined;
  /** Where else the content can be had; such layers are not distributed with the image. */
  urls?: string[] | undefined;
}

export interface Manifest {
  schemaVersion: 2;
  mediaType?: string | undefined;
  config: Descriptor;
  /** Bottom first. */
  layers: Descriptor[];
  artifactType?: string | undefined;
  annotations?: Record<string, string> | undefined;
}

export interface Index {
  schemaVersion: 2;
  mediaType?: string | undefined;
  manifests: Descriptor[];
  annotations?: Record<string, string> | undefined;
}

function parseDescriptor(value: unknown, what: string): Descriptor {
  if (!isObject(value)) refuse(what, 'a descriptor is missing');
  const { size, annotations, platform } = value;
  if (!Number.isSafeInteger(size) || (size as number) < 0) refuse(what, 'a descriptor has no size');
  if (annotations !== undefined) {
    const isRight =
      isObject(annotations) && Object.values(annotations).every((text) => typeof text === 'string');
    if (!isRight) refuse(what, 'annotations are no texts');
  }
  if (platform !== undefined && !isObject(platform)) refuse(what, 'a platform is no object');
  const mediaType = textOf(value, 'mediaType', what) ?? '';
  if (/\+encrypted$/.test(mediaType))
    refuse(what, `a layer is encrypted (${mediaType}), which is not supported`);
  return {
    ...value,
    mediaType,
    digest: parseDigest(value.digest, what),
    platform: platform && platformOf(platform as Json, what),
    artifactType: textOf(value, 'artifactType', what),
  } as Descriptor;
}

/** What says half of it says nothing: the configuration has all. */
function platformOf(platform: Json, what: string): Platform | undefined {
  const [os, architecture] = [textOf(platform, 'os', what), textOf(platform, 'architecture', what)];
  if (os === undefined || architecture === undefined) return undefined;
  return spelled(os, architecture, textOf(platform, 'variant', what));
}

function parseDescriptors(document: Json, key: string, what: string): Descriptor[] {
  return listOf(document, key, what).map((item) => parseDescriptor(item, what));
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === OCI_INDEX || mediaType === DOCKER_LIST;
}

/** What a document says it is; older OCI tools leave it to the content. */
export function documentType(bytes: Uint8Array, claimed: string | undefined, what: string): string {
  const { mediaType, manifests, config, layers, schemaVersion } = parseObject(bytes, what);
  if (schemaVersion === 1 || (claimed !== undefined && DOCKER_SCHEMA_1.test(claimed))) {
    refuse(what, 'it is a manifest of schema 1, which has been obsolete since 2017');
  }
  // Two readers could see two images in it (CVE-2021-41190).
  if (manifests !== undefined && (config !== undefined || layers !== undefined)) {
    refuse(what, 'it is an index and a manifest at once');
  }
  if (typeof mediaType === 'string' && mediaType !== '') return mediaType;
  if (manifests === undefined && config === undefined && claimed !== undefined && isIndexType(claimed))
    return claimed;
  return manifests === undefined ? OCI_MANIFEST : OCI_INDEX;
}

/** Throws an OverlayError for what is no manifest of an image that can be mounted. */
export function parseManifest(bytes: Uint8Array, what: string): Manifest {
  const manifest = parseObject(bytes, what);
  if (manifest.schemaVersion !== 2) refuse(what, 'it is no manifest of schema 2');
  const config = parseDescriptor(manifest.config, what);
  const layers = parseDescriptors(manifest, 'layers', what);
  if (layers.length > MOST_LAYERS)
    refuse(what, `it has ${layers.length} layers, at most ${MOST_LAYERS} are allowed`);
  return { ...manifest, config, layers } as Manifest;
}

export function parseIndex(bytes: Uint8Array, what: string): Index {
  const index = parseObject(bytes, what);
  if (index.schemaVersion !== 2) refuse(what, 'it is no index of schema 2');
  return { ...index, manifests: parseDescriptors(index, 'manifests', what) } as Index;
}

/** Those that configurations of images have had; anything else is another thing's. */
const IMAGE_CONFIGS: readonly string[] = [OCI_CONFIG, DOCKER_CONFIG, 'application/octet-stream', ''];

export function isImageConfigType(mediaType: string): boolean {
  return IMAGE_CONFIGS.includes(mediaType);
}

/** What a manifest is of, where that is no image: a signature, a chart, a list of parts (image-spec manifest.md, "Guidelines for Artifact Usage"). */
export function artifactKind({ config, layers, artifactType }: Manifest): string | undefined {
  if (!isImageConfigType(config.mediaType)) return artifactType || config.mediaType;
  // Signatures and attestations have an image's configuration, and layers that are no archives.
  const other = layers.find(({ mediaType }) => !/^$|\btar\b|gzip|zstd|octet-stream/.test(mediaType));
  return other && (artifactType || other.mediaType);
}
