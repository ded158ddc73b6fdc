// SPDX-License-Identifier: MIT
/** Options of `build`, as a build takes them. Throws UsageError for what cannot be meant. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { nearestName, OverlayError, UsageError } from '../../base/errors.js';
import type { Secret } from '../../build/source/secret.js';
import { configuredProxies } from '../../image/credentials/docker-proxies.js';
import { fullName, parseReference } from '../../image/model/reference.js';
import { SOURCE_DATE_EPOCH } from '../../image/store/create-image.js';
import { isStandard } from '../image/write-out.js';

/** Far more than any secret; the rest of a file that is given by mistake is not read. */
const LARGEST_SECRET = 500 << 10;

export function parsePairs(option: string, texts: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const text of texts) {
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    if (name === '') throw new UsageError(`--${option} ${text} has no name`, 'write NAME=VALUE');
    const value = equals < 0 ? process.env[name] : text.slice(equals + 1);
    if (value !== undefined) pairs.set(name, value);
  }
  return pairs;
}

/**
 * `--build-arg`, and the proxies of Docker's configuration that it does not name in either spelling. As with BuildKit,
 * SOURCE_DATE_EPOCH is one thing as an argument and as a variable.
 */
export function parseBuildArguments(texts: readonly string[]): Map<string, string> {
  const pairs = parsePairs('build-arg', texts);
  const named = new Set(texts.map((text) => text.split('=', 1)[0].toUpperCase()));
  for (const [name, value] of configuredProxies()) if (!named.has(name.toUpperCase())) pairs.set(name, value);
  const epoch = pairs.get(SOURCE_DATE_EPOCH) ?? process.env[SOURCE_DATE_EPOCH] ?? '';
  if (epoch === '') return pairs;
  if (!/^\d{1,12}$/.test(epoch))
    throw new UsageError(`SOURCE_DATE_EPOCH=${epoch} is no time`, 'give seconds since 1970');
  process.env[SOURCE_DATE_EPOCH] = epoch;
  return pairs.set(SOURCE_DATE_EPOCH, epoch);
}

export function parseNames(tags: readonly string[]): string[] {
  return tags.map((tag) => {
    const reference = parseReference(tag);
    if (reference.digest !== undefined)
      throw new UsageError(`--tag ${tag}: a digest is given by what the image holds`, 'give NAME[:TAG]');
    return fullName(reference);
  });
}

const SECRET_KEYS = ['id', 'src', 'source', 'env', 'type'];

/** `id=NAME[,src=FILE|,env=VARIABLE]` */
export function parseSecrets(texts: readonly string[]): Map<string, Secret> {
  const secrets = new Map<string, Secret>();
  for (const text of texts) {
    const fields = new Map(text.split(',').map((part) => part.split(/=(.*)/s) as [string, string]));
    const stranger = [...fields.keys()].find((key) => !SECRET_KEYS.includes(key));
    const id = fields.get('id') ?? '';
    if (stranger !== undefined || id === '') {
      const near = stranger === undefined ? undefined : nearestName(stranger, SECRET_KEYS);
      throw new UsageError(
        `--secret ${text} ${stranger === undefined ? 'has no id' : `has an unknown ${stranger}`}`,
        near === undefined ? 'write id=NAME,src=FILE or id=NAME,env=VARIABLE' : `did you mean ${near}?`,
      );
    }
    const file = fields.get('src') ?? fields.get('source');
    const isVariable = fields.has('env') || fields.get('type') === 'env';
    secrets.set(id, {
      read: () => (isVariable ? fromVariable(fields.get('env') ?? id) : fromFile(file ?? id)),
    });
  }
  return secrets;
}

function fromVariable(name: string): Buffer {
  const value = process.env[name];
  if (value !== undefined) return Buffer.from(value);
  throw new OverlayError({ operation: 'read the secret', path: name, reason: 'no such variable is set' });
}

function fromFile(path: string): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (cause) {
    const { errno } = cause as NodeJS.ErrnoException;
    throw new OverlayError({ operation: 'read the secret', path, errno, cause });
  }
  if (content.length <= LARGEST_SECRET) return content;
  throw new OverlayError({ operation: 'read the secret', path, reason: 'it is larger than 500 KiB' });
}

export interface DockerfileText {
  text: string;
  /** For messages. */
  file: string;
  /** Where an ignore file of its own may lie; undefined for what came by the input. */
  path: string | undefined;
}

/** `Containerfile` is what Podman's users have. */
const USUAL_NAMES = ['Dockerfile', 'Containerfile'];

/** Throws an OverlayError where there is none. */
export async function readDockerfile(context: string, file: string | undefined): Promise<DockerfileText> {
  if (file === undefined ? isStandard(context) : isStandard(file))
    return { text: (await buffer(process.stdin)).toString('utf8'), file: 'Dockerfile', path: undefined };
  const usual = USUAL_NAMES.map((name) => join(context, name));
  const path = file ?? usual.find((one) => existsSync(one)) ?? usual[0];
  try {
    return { text: readFileSync(path, 'utf8'), file: path, path };
  } catch (cause) {
    const { code, errno } = cause as NodeJS.ErrnoException;
    throw new OverlayError({
      operation: 'read',
      path,
      errno,
      reason: code === 'ENOENT' ? 'there is no such file' : undefined,
      remedy: file === undefined ? 'write a Dockerfile there, or name another with --file' : 'see the name',
      cause,
    });
  }
}

export interface Output {
  type: 'oci' | 'docker' | 'local' | 'tar';
  /** A path, or `-` for the standard output. */
  destination: string;
}

const OUTPUT_TYPES = ['oci', 'docker', 'local', 'tar'] as const;

/** `DIRECTORY`, `-`, or `type=TYPE,dest=PATH`. Undefined for `type=image`, which is made anyway. */
export function parseOutput(text: string | undefined): Output | undefined {
  if (text === undefined) return undefined;
  if (text === '-') return { type: 'tar', destination: '-' };
  if (!text.includes('=')) return { type: 'local', destination: text };
  const fields = new Map(text.split(',').map((part) => part.split(/=(.*)/s) as [string, string]));
  const given = fields.get('type');
  if (given === 'image') return undefined;
  const type = OUTPUT_TYPES.find((one) => one === given);
  const stranger = [...fields.keys()].find((key) => !['type', 'dest', 'tar'].includes(key));
  if (type === undefined || stranger !== undefined) {
    throw new UsageError(
      `--output ${text}: ${stranger === undefined ? `there is no type ${given ?? ''}` : `there is no ${stranger}`}`,
      `write type=${OUTPUT_TYPES.join('|')},dest=PATH`,
    );
  }
  const destination = fields.get('dest') ?? (type === 'local' ? '' : '-');
  if (destination === '' || (type === 'local' && destination === '-'))
    throw new UsageError(`--output ${text} has no destination`, 'add dest=DIRECTORY');
  return { type, destination };
}
