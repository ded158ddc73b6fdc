// SPDX-License-Identifier: MIT
/** RUN and HEALTHCHECK, and commands as all instructions have them (Dockerfile reference, "Shell and exec form"). */
import { DockerfileError, type Place } from './failure.js';
import { duration, single, takeFlags } from './flags.js';
import type { Command, HealthcheckInstruction, RunInstruction } from './instructions.js';
import { jsonList } from './json-list.js';
import type { LogicalLine } from './lines.js';
import { readRunMounts } from './run-mount.js';

/** A line with what all parsers need of it. */
export interface LineContext extends LogicalLine {
  escapeCharacter: string;
  text: string;
}

export function need(place: Place, condition: boolean, reason: string, remedy?: string): asserts condition {
  if (!condition) throw new DockerfileError(place, reason, remedy);
}

export function commandOf(place: Place, text: string): Command {
  const args = jsonList(place, text);
  return args === undefined ? { form: 'shell', line: text } : { form: 'exec', args };
}

export function parseRun({ place, text, heredocs, ...line }: LineContext): RunInstruction {
  const flags = takeFlags(place, 'RUN', line, {
    mount: 'many',
    network: 'one',
    security: 'one',
    device: 'many',
  });
  const network = single(flags, 'network') ?? 'default';
  need(
    place,
    network === 'default' || network === 'none' || network === 'host',
    `invalid --network=${network}`,
    'it is default, none or host',
  );
  const security = single(flags, 'security') ?? 'sandbox';
  need(
    place,
    security === 'sandbox',
    `invalid --security=${security}`,
    'a build runs nothing without its confinement',
  );
  const device = single(flags, 'device');
  need(place, device === undefined, `--device=${device}: a build has no devices`, 'leave it out');
  const isSomething = flags.rest !== '' && flags.rest !== '[]';
  need(place, isSomething, 'RUN has no command', 'write RUN COMMAND or RUN ["PROGRAM", "ARGUMENT"]');
  const mounts = readRunMounts(place, flags.values.get('mount') ?? []);
  return { kind: 'RUN', place, text, command: commandOf(place, flags.rest), heredocs, mounts, network };
}

/** Of Docker: retries are a 32-bit number. */
const MAX_RETRIES = 2 ** 31 - 1;

export function parseHealthcheck({ place, text, ...line }: LineContext): HealthcheckInstruction {
  const flags = takeFlags(place, 'HEALTHCHECK', line, {
    interval: 'one',
    timeout: 'one',
    'start-period': 'one',
    'start-interval': 'one',
    retries: 'one',
  });
  const [, type, rest] = /^(\S*)\s*(.*)$/s.exec(flags.rest)!;
  const isNone = type.toUpperCase() === 'NONE';
  need(
    place,
    isNone ? rest === '' : type.toUpperCase() === 'CMD' && rest !== '' && rest !== '[]',
    `HEALTHCHECK ${flags.rest} is neither CMD with a command nor NONE`,
    'write HEALTHCHECK CMD COMMAND or HEALTHCHECK NONE',
  );
  const time = (name: string): number => duration(place, name, single(flags, name) ?? '');
  const retries = single(flags, 'retries') ?? '0';
  need(
    place,
    /^\d{1,10}$/.test(retries) && Number(retries) <= MAX_RETRIES,
    `--retries=${retries} is not a number`,
    'write it as in 3',
  );
  return {
    kind: 'HEALTHCHECK',
    place,
    text,
    command: isNone ? undefined : commandOf(place, rest),
    interval: time('interval'),
    timeout: time('timeout'),
    startPeriod: time('start-period'),
    startInterval: time('start-interval'),
    retries: Number(retries),
  };
}
