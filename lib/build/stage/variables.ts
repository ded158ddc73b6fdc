// SPDX-License-Identifier: MIT
/**
 * Variables of a Dockerfile: ARG and ENV (Dockerfile reference, "ARG"). What ENV sets
 * hides an ARG of the same name.
 */

import type { RunConfig } from '../../image/manifest.js';
import { hostPlatform, type Platform, platformName } from '../../image/platform.js';
import { DockerfileError, type Place } from '../language/failure.js';
import type { NamedValue } from '../language/instructions.js';
import { expandDocument, expandWord, expandWords, type Lookup, WordError } from '../language/words.js';

/** Every RUN has them when they are given, and no key depends on them. */
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/** TARGETPLATFORM and its like. */
export function platformArguments(target: Platform): Map<string, string> {
  const parts = (prefix: string, platform: Platform): [string, string][] => [
    [`${prefix}PLATFORM`, platformName(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ''],
  ];
  return new Map([...parts('TARGET', target), ...parts('BUILD', hostPlatform())]);
}

export function environmentOf(config: RunConfig): Map<string, string> {
  return new Map(
    (config.Env ?? []).map((text) => {
      const [, name, value] = /^([^=]*)=?(.*)$/s.exec(text)!;
      return [name, value];
    }),
  );
}

/** What ARGs of the whole Dockerfile know: what was given, what stands before the first FROM, the platforms. */
export class GlobalArguments {
  readonly #used = new Set<string>();

  constructor(
    private readonly given: ReadonlyMap<string, string>,
    private readonly defaults: Map<string, string>,
    private readonly platforms: ReadonlyMap<string, string>,
  ) {}

  /** `--build-arg`s that nothing has asked for. */
  get unused(): string[] {
    return [...this.given.keys()].filter((name) => !this.#used.has(name) && !PROXIES.includes(name));
  }

  get proxies(): [string, string][] {
    return [...this.given].filter(([name]) => PROXIES.includes(name));
  }

  /** For FROM. */
  readonly lookup: Lookup = (name) => this.defaults.get(name) ?? this.platforms.get(name);

  givenFor(name: string): string | undefined {
    this.#used.add(name);
    return this.given.get(name);
  }

  /** An ARG before the first FROM. */
  declare(name: string, value: string | undefined): void {
    const set = this.givenFor(name) ?? value;
    if (set !== undefined) this.defaults.set(name, set);
  }

  /** What an ARG in a stage is, that has no default of its own. */
  inherited(name: string): string | undefined {
    return this.defaults.get(name) ?? this.platforms.get(name);
  }
}

/** Those of one stage. */
export class StageVariables {
  readonly #args = new Map<string, string>();

  constructor(
    private readonly globals: GlobalArguments,
    private readonly escapeCharacter: string,
  ) {}

  declare({ name }: NamedValue, value: string | undefined): void {
    const set = this.globals.givenFor(name) ?? value ?? this.globals.inherited(name);
    if (set !== undefined) this.#args.set(name, set);
  }

  /** ARGs that a RUN sees, sorted; those that ENV hides are not among them. */
  argumentsBeside(environment: ReadonlyMap<string, string>): [string, string][] {
    return [...this.#args].filter(([name]) => !environment.has(name)).sort(([a], [b]) => (a < b ? -1 : 1));
  }

  get proxies(): [string, string][] {
    return this.globals.proxies;
  }

  #lookup(config: RunConfig): Lookup {
    const environment = environmentOf(config);
    return (name) => environment.get(name) ?? this.#args.get(name);
  }

  /** A word as it is meant. Throws a DockerfileError. */
  expand(place: Place, text: string, config: RunConfig): string {
    return atPlace(place, () => expandWord(text, this.#lookup(config), this.escapeCharacter));
  }

  expandAll(place: Place, texts: readonly string[], config: RunConfig): string[] {
    return atPlace(place, () =>
      texts.flatMap((text) => expandWords(text, this.#lookup(config), this.escapeCharacter)),
    );
  }

  expandDocument(place: Place, text: string, config: RunConfig): string {
    return atPlace(place, () => expandDocument(text, this.#lookup(config)));
  }
}

/** What a word lacks, with its line. */
export function atPlace<T>(place: Place, work: () => T): T {
  try {
    return work();
  } catch (failure) {
    if (failure instanceof WordError || failure instanceof SyntaxError)
      throw new DockerfileError(place, failure.message);
    throw failure;
  }
}
