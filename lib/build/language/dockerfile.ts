// SPDX-License-Identifier: MIT
/** A whole Dockerfile: its stages, and the arguments that stand before them. */
import { DockerfileError } from './failure.js';
import type { FromInstruction, Instruction, NamedValue } from './instructions.js';
import { readLines } from './lines.js';
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
  escapeCharacter: string;
  /** What FROM may use. */
  globals: { args: NamedValue[]; line: number }[];
  stages: Stage[];
}

/** Reads a Dockerfile; `file` is for messages. Throws a DockerfileError that names the line. */
export function parseDockerfile(text: string, file: string): Dockerfile {
  const { escapeCharacter, lines } = readLines(text, file);
  const dockerfile: Dockerfile = { file, escapeCharacter, globals: [], stages: [] };
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

function addStage({ stages }: Dockerfile, from: FromInstruction): void {
  const taken = stages.find(({ name }) => name === from.name);
  if (taken !== undefined) {
    const { line } = taken.from.place;
    throw new DockerfileError(from.place, `the stage of line ${line} is called ${from.name} already`);
  }
  const index = stages.length;
  stages.push({ index, name: from.name ?? String(index), from, instructions: [] });
}
