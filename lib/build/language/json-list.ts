// SPDX-License-Identifier: MIT
import { DockerfileError, type Place } from './failure.js';

/**
 * A JSON list of strings; undefined for a text that is no JSON list, as `[ -e /x ] && …`, which
 * is for the shell. Throws a DockerfileError for a list of anything else.
 */
export function jsonList(place: Place, text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw new DockerfileError(
    place,
    `${text.replace(/\s+/g, ' ')} has more than strings in it`,
    'put each word in double quotes',
  );
}
