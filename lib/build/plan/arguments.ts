// SPDX-License-Identifier: MIT
/**
 * Variables of a Dockerfile: ARG and ENV (Dockerfile reference, "ARG"). What ENV sets
 * hides an ARG of the same name.
 */

import { PROXY_VARIABLES } from '../../image/credentials/docker-proxies.js';
import type { RunConfig } from '../../image/model/image-config.js';
import { hostPlatform, type Platform, platformName } from '../../image/model/platform.js';
import { SOURCE_DATE_EPOCH } from '../../image/store/create-image.js';
import { DockerfileError, type Place } from '../language/failure.js';
import type { NamedValue } from '../language/instructions.js';
import { expandDocument, expandWord, expandWords, type Lookup, WordError } from '../language/words.js';

/** What BuildKit itself is told in this way (Dockerfile reference, "BuildKit built-in build args"). */
const OF_BUILDKIT = /^BUILDKIT_/;

/** TARGETPLATFORM and its like; `stage` is the one that was asked for. */
export function platformArguments(target: Platform, stage = 'default'): Map<string, string> {
  const parts = (prefix: string, platform: Platform): [string, string][] => [
    [`${prefix}PLATFORM`, platformName(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ''],
  ];
  return new Map([...parts('TARGET', target), ...parts('BUILD', hostPlatform()), ['TARGETSTAGE', stage]]);
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
  readonly #defaults = new Map<string, string>();

  constructor(
    private readonly given: ReadonlyMap<string, string>,
    private readonly platforms: ReadonlyMap<string, string>,
  ) {}

  /** `--build-arg`s that nothing has asked for. */
  get unused(): string[] {
    const taken = [...this.#used, ...PROXY_VARIABLES, SOURCE_DATE_EPOCH];
    return [...this.given.keys()].filter((name) => !taken.includes(name) && !OF_BUILDKIT.test(name));
  }

  /** Those for BuildKit that nothing has asked for. */
  get forBuildKit(): string[] {
    return [...this.given.keys()].filter((name) => OF_BUILDKIT.test(name) && !this.#used.has(name));
  }

  /**
   * Every RUN has them when they are given, and no key depends on them. One spelling counts for both, as in BuildKit
   * (proxyEnvFromBuildArgs and proxyEnvList), which leaves out those that are empty.
   */
  get proxies(): [string, string][] {
    return PROXY_VARIABLES.flatMap((name): [string, string][] => {
      const other = PROXY_VARIABLES.find((one) => one !== name && one.toUpperCase() === name.toUpperCase())!;
      const value = this.given.get(name) ?? this.given.get(other) ?? '';
      return value === '' ? [] : [[name, value]];
    });
  }

  /** For FROM. */
  readonly lookup: Lookup = (name) => this.inherited(name);

  givenFor(name: string): string | undefined {
    this.#used.add(name);
    return this.given.get(name);
  }

  /** An ARG before the first FROM; its default is not looked at where a value is given. */
  declare(place: Place, { name, value }: NamedValue, escapeCharacter: string): void {
    const set =
      this.givenFor(name) ??
      (value === undefined
        ? undefined
        : atPlace(place, () => expandWord(value, this.lookup, escapeCharacter)));
    if (set !== undefined) this.#defaults.set(name, set);
  }

  /** What an ARG in a stage is, that has no default of its own. */
  inherited(name: string): string | undefined {
    const platform = this.platforms.get(name);
    return (
      this.#defaults.get(name) ?? (platform === undefined ? undefined : (this.givenFor(name) ?? platform))
    );
  }
}

/** Those of one stage; a stage that is built on another has what that one declared. */
export class StageVariables {
  readonly #args: Map<string, string>;

  constructor(
    private readonly globals: GlobalArguments,
    private readonly escapeCharacter: string,
    base?: StageVariables,
  ) {
    this.#args = new Map(base === undefined ? [] : base.#args);
  }

  /**
   * An ARG. Its default is not looked at where a value is given; without either it is what stands
   * before the first FROM, and then stays what it was.
   */
  declare(place: Place, { name, value }: NamedValue, config: RunConfig): void {
    const set =
      this.globals.givenFor(name) ??
      (value === undefined ? this.globals.inherited(name) : this.expand(place, value, config));
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
