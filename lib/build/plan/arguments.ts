// SPDX-License-Identifier: MIT
/** What ARGs of the whole Dockerfile know: what was given, what stands before the first FROM, the platforms. */

import { PROXY_VARIABLES } from '../../image/credentials/docker-proxies.js';
import { hostPlatform, type Platform, platformName } from '../../image/model/platform.js';
import { SOURCE_DATE_EPOCH } from '../../image/store/create-image.js';
import type { Dockerfile } from '../language/dockerfile.js';
import { atPlace, expandWord } from '../language/words.js';
import type { PlanRequest } from './plan.js';

/** What BuildKit itself is told in this way (Dockerfile reference, "BuildKit built-in build args"). */
const OF_BUILDKIT = /^BUILDKIT_/;

/** TARGETPLATFORM and its like; `stage` is the one that was asked for. */
function platformArguments(target: Platform, stage = 'default'): Map<string, string> {
  const parts = (prefix: string, platform: Platform): [string, string][] => [
    [`${prefix}PLATFORM`, platformName(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ''],
  ];
  return new Map([...parts('TARGET', target), ...parts('BUILD', hostPlatform()), ['TARGETSTAGE', stage]]);
}

/**
 * Given proxies as `NAME=VALUE`: every RUN has them, and no key depends on them. One spelling counts for both, as in
 * BuildKit (proxyEnvFromBuildArgs and proxyEnvList), which leaves out those that are empty.
 */
export function proxiesOf(given: ReadonlyMap<string, string>): string[] {
  return PROXY_VARIABLES.flatMap((name) => {
    const other = PROXY_VARIABLES.find((one) => one !== name && one.toUpperCase() === name.toUpperCase())!;
    const value = given.get(name) ?? given.get(other) ?? '';
    return value === '' ? [] : [`${name}=${value}`];
  });
}

/** Given arguments that nothing has asked for: no ARG, and of these the ones for BuildKit. */
export function unusedArguments(
  given: ReadonlyMap<string, string>,
  asks: readonly string[],
): { unknown: string[]; forBuildKit: string[] } {
  const taken = new Set([...asks, ...PROXY_VARIABLES, SOURCE_DATE_EPOCH]);
  const unused = [...given.keys()].filter((name) => !taken.has(name));
  return {
    unknown: unused.filter((name) => !OF_BUILDKIT.test(name)),
    forBuildKit: unused.filter((name) => OF_BUILDKIT.test(name)),
  };
}

/** `asks` gets the names of `--build-arg`s that are asked for, whether they are given or not. */
export class GlobalArguments {
  readonly #given: ReadonlyMap<string, string>;
  readonly #platforms: ReadonlyMap<string, string>;
  readonly #defaults = new Map<string, string>();

  /** Throws a DockerfileError for a default that cannot be expanded. */
  constructor(
    { globals, stages, escapeCharacter, file }: Dockerfile,
    { args, platform, target }: PlanRequest,
    asks: Set<string>,
  ) {
    this.#given = args;
    this.#platforms = platformArguments(platform ?? hostPlatform(), target ?? stages.at(-1)?.from.name);
    for (const { args: pairs, line } of globals) {
      for (const { name, value } of pairs) {
        // A default is not looked at where a value is given.
        const set =
          this.givenFor(name, asks) ??
          (value === undefined
            ? undefined
            : atPlace({ file, line }, () =>
                expandWord(value, (other) => this.inherited(other, asks), escapeCharacter),
              ));
        if (set !== undefined) this.#defaults.set(name, set);
      }
    }
  }

  givenFor(name: string, asks: Set<string>): string | undefined {
    asks.add(name);
    return this.#given.get(name);
  }

  /** What a variable of FROM is, and an ARG in a stage that has no default of its own. */
  inherited(name: string, asks: Set<string>): string | undefined {
    const platform = this.#platforms.get(name);
    return (
      this.#defaults.get(name) ??
      (platform === undefined ? undefined : (this.givenFor(name, asks) ?? platform))
    );
  }
}
