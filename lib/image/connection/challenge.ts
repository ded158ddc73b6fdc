// SPDX-License-Identifier: MIT
/**
 * What a server asks for before it answers: WWW-Authenticate (RFC 9110, 11.6.1), whose grammar
 * puts the commas between challenges and those between the parameters of one alike.
 */

export interface Challenge {
  /** In lower case. */
  scheme: string;
  /** By name in lower case; of two alike the first counts. */
  parameters: ReadonlyMap<string, string>;
}

const BETWEEN = /[\s,]*/y;
/** A value is quoted as the RFC says, or as some servers do: not at all, in single quotes, without an end. */
const PARAMETER = /([^\s,="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)(?:"|$)|'([^']*)'|([^\s,]*))/y;
/** With the token68 that may follow it, which none of the schemes known here uses. */
const SCHEME = /([^\s,="]+)(?:[ \t]+[\w\-.~+/]+=*(?=\s*(?:,|$)))?/y;

/** Reads the challenges of one header, or of several joined by commas; what is no challenge is passed over. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let position = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    const match = pattern.exec(header);
    if (match !== null) position = pattern.lastIndex;
    return match;
  };
  for (take(BETWEEN); position < header.length; take(BETWEEN)) {
    const parameter = take(PARAMETER);
    if (parameter !== null) {
      const [, name, quoted, single, plain] = parameter;
      const parameters = challenges.at(-1)?.parameters;
      const key = name.toLowerCase();
      if (parameters?.has(key) === false)
        parameters.set(key, quoted?.replace(/\\(.)/g, '$1') ?? single ?? plain);
      continue;
    }
    const scheme = take(SCHEME);
    if (scheme !== null) challenges.push({ scheme: scheme[1].toLowerCase(), parameters: new Map() });
    else position++;
  }
  return challenges;
}
