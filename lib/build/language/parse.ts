// SPDX-License-Identifier: MIT
/** One instruction from one logical line (Dockerfile reference, by the instructions' names). */
import { nearestName } from '../../base/errors.js';
import { DockerfileError, type Place } from './failure.js';
import { duration, type Flags, single, takeFlags, truth } from './flags.js';
import {
  type Command,
  type CopyInstruction,
  type FromInstruction,
  type HealthcheckInstruction,
  type Instruction,
  KEYWORDS,
  type NamedValue,
  type RunInstruction,
} from './instructions.js';
import { heredocName, type LogicalLine, readLines } from './lines.js';
import { parseRunMount } from './run-mount.js';
import { splitRaw } from './words.js';

/** A line with what all parsers need of it. */
interface Context extends LogicalLine {
  escapeCharacter: string;
  text: string;
}

function need(place: Place, condition: boolean, reason: string, remedy?: string): asserts condition {
  if (!condition) throw new DockerfileError(place, reason, remedy);
}

/** A JSON list of strings, or undefined for anything else. */
function jsonList(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    const isList = Array.isArray(value) && value.every((item) => typeof item === 'string');
    return isList ? value : undefined;
  } catch {
    // A line that only begins like one: `[ -e /x ] && …` is for the shell.
    return undefined;
  }
}

function command(text: string): Command {
  const args = jsonList(text);
  return args === undefined ? { form: 'shell', line: text } : { form: 'exec', args };
}

/** `NAME=VALUE…`, or `NAME VALUE` for one alone. */
function pairs({ place, keyword, rest, escapeCharacter }: Context): NamedValue[] {
  const words = splitRaw(rest, escapeCharacter);
  need(place, words.length > 0, `${keyword} has no name`, `write ${keyword} NAME=VALUE`);
  if (!words[0].includes('=')) {
    const value = rest.slice(rest.indexOf(words[0]) + words[0].length).trimStart();
    need(place, value !== '', `${keyword} ${words[0]} has no value`, `write ${keyword} ${words[0]}=VALUE`);
    return [{ name: words[0], value }];
  }
  return words.map((word) => {
    const equals = word.indexOf('=');
    need(place, equals > 0, `${word} is no NAME=VALUE`, 'put quotes around a value with spaces');
    return { name: word.slice(0, equals), value: word.slice(equals + 1) };
  });
}

function args({ place, rest, escapeCharacter }: Context): NamedValue[] {
  const words = splitRaw(rest, escapeCharacter);
  need(place, words.length > 0, 'ARG has no name', 'write ARG NAME or ARG NAME=DEFAULT');
  return words.map((word) => {
    const [, name, value] = /^([^=]*)(=.*)?$/s.exec(word)!;
    need(place, /^[a-zA-Z_]\w*$/.test(name), `ARG ${name} is no name`, 'a name has letters, digits and _');
    return { name, value: value?.slice(1) };
  });
}

/** A JSON list, or words. */
function list({ place, keyword, rest }: Context): string[] {
  const items = jsonList(rest) ?? rest.split(/\s+/).filter(Boolean);
  need(place, items.length > 0, `${keyword} needs at least one word`);
  return items;
}

function parseFrom({ place, text, rest }: Context): FromInstruction {
  const flags = takeFlags(place, 'FROM', rest, ['platform']);
  const words = flags.rest.split(/\s+/).filter(Boolean);
  const [image, as, name] = words;
  const isRight = words.length === 1 || (words.length === 3 && as.toUpperCase() === 'AS');
  need(place, isRight, `FROM ${flags.rest} cannot be meant`, 'write FROM IMAGE or FROM IMAGE AS NAME');
  need(
    place,
    name === undefined || /^[a-z][a-z0-9_.-]*$/i.test(name),
    `${name} cannot be the name of a stage`,
    'it begins with a letter, and has letters, digits, _, . and -',
  );
  return {
    kind: 'FROM',
    place,
    text,
    image,
    name: name?.toLowerCase(),
    platform: single(place, flags, 'platform'),
  };
}

function parseRun({ place, text, rest, heredocs }: Context): RunInstruction {
  const flags = takeFlags(place, 'RUN', rest, ['mount', 'network', 'security']);
  const network = single(place, flags, 'network') ?? 'default';
  need(
    place,
    network === 'default' || network === 'none' || network === 'host',
    `--network=${network} is not possible`,
    'it is default, none or host',
  );
  const security = single(place, flags, 'security') ?? 'sandbox';
  need(
    place,
    security === 'sandbox',
    `--security=${security} is not possible`,
    'a build runs nothing without its confinement',
  );
  need(place, flags.rest !== '', 'RUN has no command', 'write RUN COMMAND or RUN ["PROGRAM", "ARGUMENT"]');
  const mounts = (flags.values.get('mount') ?? []).map((mount) => parseRunMount(place, mount));
  return { kind: 'RUN', place, text, command: command(flags.rest), heredocs, mounts, network };
}

const COPY_FLAGS = ['from', 'chown', 'chmod', 'link', 'parents', 'exclude'];
const ADD_FLAGS = ['chown', 'chmod', 'link', 'exclude', 'checksum', 'unpack'];

function parseCopy(kind: 'COPY' | 'ADD', { place, text, rest, heredocs }: Context): CopyInstruction {
  const flags = takeFlags(place, kind, rest, kind === 'COPY' ? COPY_FLAGS : ADD_FLAGS);
  const words = jsonList(flags.rest) ?? flags.rest.split(/\s+/).filter(Boolean);
  need(
    place,
    words.length >= 2,
    `${kind} needs a source and a destination`,
    `write ${kind} SOURCE… DESTINATION`,
  );
  const destination = words.pop()!;
  const documents = words.filter((word) => heredocName(word) !== undefined).length;
  need(place, documents === heredocs.length, 'the destination cannot be a here-document');
  const one = (name: string): string | undefined => single(place, flags, name);
  return {
    kind,
    place,
    text,
    sources: words,
    heredocs,
    destination,
    from: one('from'),
    chown: one('chown'),
    chmod: one('chmod'),
    checksum: one('checksum'),
    excludes: flags.values.get('exclude') ?? [],
    link: truth(place, flags, 'link') ?? false,
    parents: truth(place, flags, 'parents') ?? false,
    unpack: truth(place, flags, 'unpack'),
  };
}

const HEALTH_FLAGS = ['interval', 'timeout', 'start-period', 'start-interval', 'retries'];

function parseHealthcheck({ place, text, rest }: Context): HealthcheckInstruction {
  const flags = takeFlags(place, 'HEALTHCHECK', rest, HEALTH_FLAGS);
  const [, type, line] = /^(\S*)\s*(.*)$/s.exec(flags.rest)!;
  const isNone = type.toUpperCase() === 'NONE';
  need(
    place,
    isNone ? line === '' : type.toUpperCase() === 'CMD' && line !== '',
    `HEALTHCHECK ${flags.rest} cannot be meant`,
    'write HEALTHCHECK CMD COMMAND or HEALTHCHECK NONE',
  );
  const time = (name: string): number => durationOf(place, flags, name);
  const retries = single(place, flags, 'retries') ?? '0';
  need(place, /^\d{1,9}$/.test(retries), `--retries=${retries} is no number`);
  return {
    kind: 'HEALTHCHECK',
    place,
    text,
    command: isNone ? undefined : command(line),
    interval: time('interval'),
    timeout: time('timeout'),
    startPeriod: time('start-period'),
    startInterval: time('start-interval'),
    retries: Number(retries),
  };
}

function durationOf(place: Place, flags: Flags, name: string): number {
  const text = single(place, flags, name);
  return text === undefined ? 0 : duration(place, name, text);
}

function parseOnbuild(context: Context): Instruction {
  const { place, text, rest, heredocs } = context;
  const keyword = /^\S*/.exec(rest)![0].toUpperCase();
  need(place, rest !== '', 'ONBUILD has no instruction', 'as in ONBUILD COPY . /src');
  need(place, !['ONBUILD', 'FROM', 'MAINTAINER'].includes(keyword), `ONBUILD ${keyword} is not possible`);
  parseInstruction(
    { ...context, keyword, rest: rest.slice(keyword.length).trimStart() },
    context.escapeCharacter,
  );
  const documents = heredocs.map(({ content, name }) => `\n${content}${name}`).join('');
  return { kind: 'ONBUILD', place, text, trigger: rest + documents };
}

function parseShell({ place, text, rest }: Context): Instruction {
  const shell = jsonList(rest);
  need(
    place,
    shell !== undefined && shell.length > 0,
    'SHELL needs a JSON list',
    'as in SHELL ["/bin/bash", "-c"]',
  );
  return { kind: 'SHELL', place, text, args: shell };
}

/** Any instruction but FROM. Throws a DockerfileError. */
export function parseInstruction(line: LogicalLine, escapeCharacter: string): Instruction {
  const { place, keyword, rest } = line;
  const text = rest === '' ? keyword : `${keyword} ${rest}`;
  const context: Context = { ...line, escapeCharacter, text };
  const takesFlags =
    keyword === 'RUN' || keyword === 'COPY' || keyword === 'ADD' || keyword === 'HEALTHCHECK';
  if (!takesFlags && rest.startsWith('--')) takeFlags(place, keyword, rest, []);
  switch (keyword) {
    case 'RUN':
      return parseRun(context);
    case 'COPY':
    case 'ADD':
      return parseCopy(keyword, context);
    case 'WORKDIR':
    case 'USER':
    case 'STOPSIGNAL':
    case 'MAINTAINER':
      need(place, rest !== '', `${keyword} needs a word`);
      return { kind: keyword, place, text, value: rest };
    case 'ENV':
    case 'LABEL':
      return { kind: keyword, place, text, pairs: pairs(context) };
    case 'ARG':
      return { kind: keyword, place, text, pairs: args(context) };
    case 'EXPOSE':
    case 'VOLUME':
      return { kind: keyword, place, text, items: list(context) };
    case 'CMD':
    case 'ENTRYPOINT':
      return { kind: keyword, place, text, command: command(rest) };
    case 'SHELL':
      return parseShell(context);
    case 'HEALTHCHECK':
      return parseHealthcheck(context);
    case 'ONBUILD':
      return parseOnbuild(context);
    default:
      throw unknownInstruction(place, keyword);
  }
}

function unknownInstruction(place: Place, keyword: string): DockerfileError {
  const near = nearestName(keyword, KEYWORDS);
  return new DockerfileError(
    place,
    `there is no instruction ${keyword}`,
    near === undefined ? `instructions are ${KEYWORDS.join(', ')}` : `did you mean ${near}?`,
  );
}

export function parseFromLine(line: LogicalLine, escapeCharacter: string): FromInstruction {
  return parseFrom({ ...line, escapeCharacter, text: `FROM ${line.rest}` });
}

/** The instructions that an image keeps for those who build on it. `image` is for messages. */
export function parseTriggers(triggers: readonly string[], image: string): Instruction[] {
  return triggers.flatMap((trigger, index) => {
    const { lines, escapeCharacter } = readLines(trigger, `ONBUILD of ${image}`);
    return lines.map((line) =>
      parseInstruction({ ...line, place: { ...line.place, line: index + 1 } }, escapeCharacter),
    );
  });
}
