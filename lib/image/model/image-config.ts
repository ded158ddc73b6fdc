// SPDX-License-Identifier: MIT
/** Configurations of images (image-spec config.md), checked for what is used of them. */
import { type Digest, parseDigest } from './digest.js';
import { isObject, isTexts, type Json, listOf, parseObject, refuse, textOf } from './documents.js';
import { hostPlatform, type Platform, spelled } from './platform.js';

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

const TEXTS = ['User', 'WorkingDir', 'StopSignal'];
const LISTS = ['Env', 'OnBuild'];
/** Docker takes a text for a list of one (moby, strslice.StrSlice). */
const COMMANDS = ['Entrypoint', 'Cmd', 'Shell'];
const MAPS = ['Labels', 'Volumes', 'ExposedPorts'];

function checkRunConfig(value: unknown, what: string): RunConfig {
  if (!isObject(value)) refuse(what, 'config is no object');
  const config = { ...value };
  for (const key of COMMANDS) if (typeof config[key] === 'string') config[key] = [config[key]];
  const check = (keys: readonly string[], kind: string, isRight: (item: unknown) => boolean): void => {
    for (const key of keys)
      if (config[key] !== undefined && !isRight(config[key])) refuse(what, `config.${key} is no ${kind}`);
  };
  check(TEXTS, 'text', (item) => typeof item === 'string');
  check([...LISTS, ...COMMANDS], 'list of texts', isTexts);
  check(MAPS, 'object', isObject);
  return config as RunConfig;
}

/** What a configuration says of its platform, if it does. */
type OwnPlatform = { [Key in keyof Platform]: string | undefined };

function ownPlatform(config: Json, what: string): OwnPlatform {
  return {
    os: textOf(config, 'os', what),
    architecture: textOf(config, 'architecture', what),
    variant: textOf(config, 'variant', what),
  };
}

/** What is left out is as the index has it, or else as this machine is. */
function completed(own: OwnPlatform, stated: Platform | undefined): Platform {
  const otherwise = stated ?? hostPlatform();
  const { architecture, variant } = own.architecture === undefined ? otherwise : own;
  return spelled(own.os ?? otherwise.os, architecture!, variant);
}

/** For which platform a configuration is; `stated` is what an index says of it. */
export function configPlatform(bytes: Uint8Array, what: string, stated?: Platform): Platform {
  return completed(ownPlatform(parseObject(bytes, what), what), stated);
}

/** Throws an OverlayError for what is no configuration of an image with that many layers. */
export function parseConfig(bytes: Uint8Array, what: string, layers: number, stated?: Platform): ImageConfig {
  const document = parseObject(bytes, what);
  const { rootfs } = document;
  if (!isObject(rootfs)) refuse(what, 'it is no configuration of an image: rootfs is missing');
  const diffIds = listOf(rootfs, 'diff_ids', what).map((id) => parseDigest(id, what));
  if (diffIds.length !== layers) {
    refuse(what, `rootfs.diff_ids names ${diffIds.length} layers, the manifest ${layers}`);
  }
  const history = listOf(document, 'history', what);
  if (!history.every(isObject)) refuse(what, 'an entry of its history is no object');
  const { created: _c, author: _a, variant: _v, history: _h, config, ...others } = document;
  const own = ownPlatform(document, what);
  const { os, architecture, variant } = completed(own, stated);
  const texts = { created: textOf(document, 'created', what), author: textOf(document, 'author', what) };
  return {
    ...others,
    ...Object.fromEntries(Object.entries({ ...texts, variant }).filter(([, text]) => text !== undefined)),
    os,
    architecture,
    ...(config === undefined ? {} : { config: checkRunConfig(config, what) }),
    rootfs: { ...rootfs, type: 'layers', diff_ids: diffIds },
    ...(history.length === 0 ? {} : { history: history as HistoryEntry[] }),
  };
}
