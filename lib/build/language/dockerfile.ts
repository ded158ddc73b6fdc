// SPDX-License-Identifier: MIT
/** A whole Dockerfile: its stages, and the arguments that stand before them. */
import { DockerfileError } from './failure.js';
import type { FromInstruction, Instruction, NamedValue } from './instructions.js';
import { type Directive, readLines } from './lines.js';
import { parseFromLine, parseInstruction } from './parse.js';

export interface Stage {
  index: number;
  /** In small letters; its number where it has none. */
  name: string;
  from: FromInstruction;
  instructions: Instruction[];
}

export interface Dockerfile {
  file: string;
  text: string;
  escapeCharacter: string;
  /** Whether it has a `check` directive, which is about warnings that are not made here. */
  hasChecks: boolean;
  /** What FROM may use. */
  globals: { args: NamedValue[]; line: number }[];
  stages: Stage[];
}

/** Reads a Dockerfile; `file` is for messages. Throws a DockerfileError that names the line. */
export function parseDockerfile(text: string, file: string): Dockerfile {
  const { escapeCharacter, directives, lines } = readLines(text, file);
  refuseOtherSyntax(directives);
  const hasChecks = directives.some(({ name }) => name === 'check');
  const dockerfile: Dockerfile = { file, text, escapeCharacter, hasChecks, globals: [], stages: [] };
  for (const line of lines) {
    if (line.keyword === 'FROM') {
      addStage(dockerfile, parseFromLine(line, escapeCharacter));
      continue;
    }
    const instruction = parseInstruction(line, escapeCharacter);
    const stage = dockerfile.stages.at(-1);
    if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === 'ARG')
      dockerfile.globals.push({ args: instruction.pairs, line: line.place.line });
    else
      throw new DockerfileError(
        line.place,
        `${line.keyword} stands before the first FROM`,
        'begin with FROM and the image to build on; only ARG may stand before it',
      );
  }
  if (dockerfile.stages.length === 0)
    throw new DockerfileError(
      { file, line: 1 },
      'it has no FROM',
      'begin with FROM and the image to build on',
    );
  return dockerfile;
}

/** `# syntax=` names a program that reads the file; all versions of Docker's read Dockerfiles, others read anything. */
function refuseOtherSyntax(directives: readonly Directive[]): void {
  const syntax = directives.find(({ name }) => name === 'syntax');
  if (syntax === undefined) return;
  const [reference] = syntax.value.split(' ');
  if (/(^|\/)dockerfile[^/]*$/i.test(reference)) return;
  throw new DockerfileError(
    syntax.place,
    `syntax=${reference}: only the language of docker/dockerfile is read`,
    'leave the line out where the file is a Dockerfile',
  );
}

function addStage({ stages }: Dockerfile, from: FromInstruction): void {
  const taken = stages.find(({ name }) => name === from.name);
  if (taken !== undefined) {
    const { line } = taken.from.place;
    throw new DockerfileError(from.place, `the stage of line ${line} is called ${from.name} already`);
  }
  const index = stages.length;
  stages.push({ index, name: from.name ?? String(index), from, instructions: [] });
}
