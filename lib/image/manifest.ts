// SPDX-License-Identifier: MIT
/**
 * Manifests, indexes and configurations of images: OCI's and Docker's, which mean
 * the same (image-spec manifest.md, image-index.md, config.md; Docker's "Image
 * Manifest V 2, Schema 2"). They come from outside: each is checked for what is
 * used of it, and the rest is kept as it came.
 */
import { OverlayError } from '../base/errors.js';
import { type Digest, parseDigest } from './digest.js';
import type { Platform } from './platform.js';

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
export const OCI_LAYER_GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const DOCKER_SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;

/** The largest manifest or configuration that is read, in bytes; registries have 4 MiB for manifests. */
export const LARGEST_DOCUMENT = 8 << 20;
/** No tool makes more, and a mount takes 500. */
const MOST_LAYERS = 500;

export interface Descriptor {
  mediaType: string;
  digest: Digest;
  /** Bytes. */
  size: number;
  annotations?: Record<string, string> | undefined;
  platform?: Platform | undefined;
  /** Where else the content can be had; such layers are not distributed with the image. */
  urls?: string[] | undefined;
}

export interface Manifest {
  schemaVersion: 2;
  mediaType?: string | undefined;
  config: Descriptor;
  /** Bottom first. */
  layers: Descriptor[];
  annotations?: Record<string, string> | undefined;
}

export interface Index {
  schemaVersion: 2;
  mediaType?: string | undefined;
  manifests: Descriptor[];
  annotations?: Record<string, string> | undefined;
}

export interface HistoryEntry {
  created?: string | undefined;
  created_by?: string | undefined;
  author?: string | undefined;
  comment?: string | undefined;
  empty_layer?: boolean | undefined;
}

/** What a container is started with, in Docker's spelling (config.md, "config"). */
export interface RunConfig {
  User?: string;
  ExposedPorts?: Record<string, object>;
  Env?: string[];
  Entrypoint?: string[] | null;
  Cmd?: string[] | null;
  Volumes?: Record<string, object>;
  WorkingDir?: string;
  Labels?: Record<string, string> | null;
  StopSignal?: string;
  [other: string]: unknown;
}

export interface ImageConfig {
  created?: string | undefined;
  author?: string | undefined;
  architecture: string;
  os: string;
  variant?: string | undefined;
  config?: RunConfig | undefined;
  rootfs: { type: 'layers'; diff_ids: Digest[] };
  history?: HistoryEntry[] | undefined;
  [other: string]: unknown;
}

type Json = Record<string, unknown>;

function refuse(what: string, reason: string): never {
  throw new OverlayError({ operation: 'read', path: what, reason });
}

/** Reads a JSON object. Throws an OverlayError for anything else. */
export function parseObject(bytes: Uint8Array, what: string): Json {
  let value: unknown;
  try {
    // Leaves a byte order mark out (RFC 8259, 8.1).
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new OverlayError({ operation: 'read', path: what, reason: 'it is not JSON', cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    refuse(what, 'it is no JSON object');
  return value as Json;
}

function parseDescriptor(value: unknown, what: string): Descriptor {
  if (typeof value !== 'object' || value === null) refuse(what, 'a descriptor is missing');
  const descriptor = value as Json;
  if (typeof descriptor.mediaType !== 'string') refuse(what, 'a descriptor has no mediaType');
  if (!Number.isSafeInteger(descriptor.size) || (descriptor.size as number) < 0) {
    refuse(what, 'a descriptor has no size');
  }
  parseDigest(descriptor.digest, what);
  return descriptor as unknown as Descriptor;
}

function parseDescriptors(value: unknown, what: string): Descriptor[] {
  if (!Array.isArray(value)) refuse(what, 'a list of descriptors is missing');
  return value.map((item) => parseDescriptor(item, what));
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === OCI_INDEX || mediaType === DOCKER_LIST;
}

/** What a document says it is; older OCI tools leave it to the content. */
export function documentType(bytes: Uint8Array, claimed: string | undefined, what: string): string {
  const { mediaType, manifests, schemaVersion } = parseObject(bytes, what);
  if (schemaVersion === 1 || (claimed !== undefined && DOCKER_SCHEMA_1.test(claimed))) {
    refuse(what, 'it is a manifest of schema 1, which has been obsolete since 2017');
  }
  if (typeof mediaType === 'string' && mediaType !== '') return mediaType;
  return manifests === undefined ? OCI_MANIFEST : OCI_INDEX;
}

/** An empty list of Go's is null, or left out: an image without layers has such. */
function listOf(value: unknown): unknown {
  return value ?? [];
}

/** Throws an OverlayError for what is no manifest of an image that can be mounted. */
export function parseManifest(bytes: Uint8Array, what: string): Manifest {
  const manifest = parseObject(bytes, what);
  if (manifest.schemaVersion !== 2) refuse(what, 'it is no manifest of schema 2');
  parseDescriptor(manifest.config, what);
  const layers = parseDescriptors(listOf(manifest.layers), what);
  if (layers.length > MOST_LAYERS)
    refuse(what, `it has ${layers.length} layers, at most ${MOST_LAYERS} are allowed`);
  return { ...manifest, layers } as unknown as Manifest;
}

export function parseIndex(bytes: Uint8Array, what: string): Index {
  const index = parseObject(bytes, what);
  if (index.schemaVersion !== 2) refuse(what, 'it is no index of schema 2');
  parseDescriptors(index.manifests, what);
  return index as unknown as Index;
}

/** Throws an OverlayError for what is no configuration of an image with that many layers. */
export function parseConfig(bytes: Uint8Array, what: string, layers: number): ImageConfig {
  const config = parseObject(bytes, what);
  const rootfs = config.rootfs as Json | undefined;
  if (typeof rootfs !== 'object' || rootfs === null) {
    refuse(what, 'it is no configuration of an image: rootfs is missing');
  }
  const diffIds = listOf(rootfs.diff_ids);
  if (!Array.isArray(diffIds)) refuse(what, 'rootfs.diff_ids is no list');
  for (const id of diffIds) parseDigest(id, what);
  if (diffIds.length !== layers) {
    refuse(what, `rootfs.diff_ids names ${diffIds.length} layers, the manifest ${layers}`);
  }
  if (typeof config.architecture !== 'string' || typeof config.os !== 'string') {
    refuse(what, 'architecture or os is missing');
  }
  return { ...config, rootfs: { ...rootfs, diff_ids: diffIds } } as unknown as ImageConfig;
}

/** The bytes of a document, in one spelling, so that the same content has the same digest. */
export function encodeDocument(document: object): Buffer {
  return Buffer.from(JSON.stringify(document));
}
