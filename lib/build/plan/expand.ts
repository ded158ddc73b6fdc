// SPDX-License-Identifier: MIT
/** Instructions about the configuration with their variables replaced; what they then cannot be is refused. */
import { signalNumber } from '../../sys/signals.js';
import { DockerfileError, type Place } from '../language/failure.js';
import type { ConfigInstruction } from '../language/instructions.js';
import type { Word } from './plan.js';
import { exposedPorts } from './ports.js';
import type { Scope } from './scope.js';

function checkSignal(place: Place, signal: Word): void {
  if (typeof signal !== 'string') return;
  try {
    signalNumber(signal);
  } catch {
    throw new DockerfileError(place, `there is no signal ${signal}`, 'see signal(7)');
  }
}

/** Throws a DockerfileError. What ARG and ENV set is set in the scope. */
export function expandConfig(instruction: ConfigInstruction, scope: Scope): ConfigInstruction<Word> {
  const { place } = instruction;
  switch (instruction.kind) {
    case 'ARG': {
      const pairs = instruction.pairs.map((pair) => ({ name: pair.name, value: scope.declare(place, pair) }));
      return { ...instruction, pairs };
    }
    case 'ENV':
    case 'LABEL': {
      const pairs = instruction.pairs.map(({ name, value = '' }) => ({
        name: scope.word(place, name),
        value: scope.word(place, value),
      }));
      // All of one instruction see what was set before it.
      if (instruction.kind === 'ENV') for (const pair of pairs) scope.set(pair);
      return { ...instruction, pairs };
    }
    case 'EXPOSE': {
      const words = instruction.items.flatMap((item) => scope.words(place, item));
      const items = words.flatMap((word): Word[] =>
        typeof word === 'string' ? exposedPorts(place, word) : [word],
      );
      return { ...instruction, items };
    }
    case 'VOLUME': {
      const items = instruction.items.map((item) => scope.word(place, item));
      if (items.includes('')) throw new DockerfileError(place, 'VOLUME has an empty path');
      return { ...instruction, items };
    }
    case 'USER':
    case 'STOPSIGNAL': {
      const value = scope.word(place, instruction.value);
      if (instruction.kind === 'STOPSIGNAL') checkSignal(place, value);
      return { ...instruction, value };
    }
    default:
      return instruction;
  }
}
