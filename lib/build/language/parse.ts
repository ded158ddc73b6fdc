// SPDX-License-Identifier: MIT
/** One instruction from one logical line (Dockerfile reference, by the instructions' names). */
import { nearestName } from '../../base/errors.js';
import { DockerfileError, type Place } from './failure.js';
import { single, splitFlags, takeFlags } from './flags.js';
import { type FromInstruction, type Instruction, KEYWORDS, type NamedValue } from './instructions.js';
import { jsonList } from './json-list.js';
import { type LogicalLine, readLines } from './lines.js';
import { parseCopy } from './parse-copy.js';
import { commandOf, type LineContext, need, parseHealthcheck, parseRun } from './parse-run.js';
import { splitRaw } from './words.js';

/** What COPY, EXPOSE and the like are split at; other blanks belong to names. */
const BLANKS = /[\t\v\f\r ]+/;

/** `NAME=VALUE…`, or `NAME VALUE` for one alone. */
function pairs({ place, keyword, rest, escapeCharacter }: LineContext): NamedValue[] {
  const words = splitRaw(rest, escapeCharacter);
  need(place, words.length > 0, `${keyword} has no name`, `write ${keyword} NAME=VALUE`);
  if (!words[0].includes('=')) {
    const [, name, value] = /^([^\t\v\f\r ]*)[\t\v\f\r ]*(.*)$/s.exec(rest)!;
    need(place, value !== '', `${keyword} ${name} has no value`, `write ${keyword} ${name}=VALUE`);
    return [{ name, value }];
  }
  return words.map((word) => {
    const equals = word.indexOf('=');
    need(place, equals > 0, `${word} is not NAME=VALUE`, 'put quotes around a value with spaces');
    return { name: word.slice(0, equals), value: word.slice(equals + 1) };
  });
}

function args({ place, rest, escapeCharacter }: LineContext): NamedValue[] {
  const words = splitRaw(rest, escapeCharacter);
  need(place, words.length > 0, 'ARG has no name', 'write ARG NAME or ARG NAME=DEFAULT');
  return words.map((word) => {
    const [, name, value] = /^([^=]*)(=.*)?$/s.exec(word)!;
    need(
      place,
      /^[^\s"'$\\`\d][^\s"'$\\`]*$/.test(name),
      `${name} cannot be the name of an ARG`,
      'a name has letters, digits and _',
    );
    return { name, value: value?.slice(1) };
  });
}

/** Words, or for VOLUME a JSON list. */
function list({ place, keyword, rest }: LineContext): string[] {
  const json = keyword === 'VOLUME' ? jsonList(place, rest)?.map((item) => item.trim()) : undefined;
  const items = json ?? rest.split(BLANKS).filter(Boolean);
  need(place, items.length > 0, `${keyword} needs at least one word`);
  return items;
}

function parseFrom({ place, text, ...line }: LineContext): FromInstruction {
  const flags = takeFlags(place, 'FROM', line, { platform: 'one' });
  const words = flags.rest.split(BLANKS).filter(Boolean);
  const [image, as, name] = words;
  const isRight = words.length === 1 || (words.length === 3 && as.toUpperCase() === 'AS');
  need(place, isRight, `cannot parse FROM ${flags.rest}`, 'write FROM IMAGE or FROM IMAGE AS NAME');
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
    platform: single(flags, 'platform'),
  };
}

function parseOnbuild(context: LineContext): Instruction {
  const { place, text, rest, heredocs } = context;
  const keyword = /^\S*/.exec(rest)![0].toUpperCase();
  need(place, rest !== '', 'ONBUILD has no instruction', 'as in ONBUILD COPY . /src');
  need(place, !['ONBUILD', 'FROM', 'MAINTAINER'].includes(keyword), `ONBUILD ${keyword} is not allowed`);
  parseInstruction(
    { ...context, keyword, rest: rest.slice(keyword.length).trimStart() },
    context.escapeCharacter,
  );
  const documents = heredocs.map(({ content, name }) => `\n${content}${name}`).join('');
  return { kind: 'ONBUILD', place, text, trigger: rest + documents };
}

function parseShell({ place, text, rest }: LineContext): Instruction {
  const shell = jsonList(place, rest);
  need(
    place,
    shell !== undefined && shell.length > 0,
    'SHELL needs a JSON list',
    'as in SHELL ["/bin/bash", "-c"]',
  );
  return { kind: 'SHELL', place, text, args: shell };
}

const WITH_FLAGS = ['RUN', 'COPY', 'ADD', 'HEALTHCHECK'];

/** Any instruction but FROM. Throws a DockerfileError. */
export function parseInstruction(line: LogicalLine, escapeCharacter: string): Instruction {
  const { place, keyword, rest } = line;
  const text = rest === '' ? keyword : `${keyword} ${rest}`;
  const context: LineContext = { ...line, escapeCharacter, text };
  const takesFlags = WITH_FLAGS.includes(keyword);
  if (!takesFlags && splitFlags(rest, escapeCharacter).words.length > 0)
    takeFlags(place, keyword, context, {});
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
      return { kind: keyword, place, text, command: commandOf(place, rest) };
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

/** The ONBUILD triggers of an image, to be carried out first in a build on it. `image` is for messages. */
export function parseTriggers(triggers: readonly string[], image: string): Instruction[] {
  return triggers.flatMap((trigger, index) => {
    const { lines, escapeCharacter } = readLines(trigger, `ONBUILD of ${image}`);
    return lines.map((line) =>
      parseInstruction({ ...line, place: { ...line.place, line: index + 1 } }, escapeCharacter),
    );
  });
}
