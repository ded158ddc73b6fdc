// SPDX-License-Identifier: MIT
/** `.dockerignore`: which files of a context are not there for a build (Dockerfile reference, ".dockerignore file"). */
import { posix } from 'node:path';
import { DockerfileError } from './failure.js';
import { globToRegExp } from './glob.js';

interface Pattern {
  expression: RegExp;
  /** `!`: what matches is there after all. */
  brings: boolean;
}

/** `a/b/c`: itself and each directory above it. */
function withParents(path: string): string[] {
  const parts = path.split('/');
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

export class IgnoreList {
  private constructor(private readonly patterns: readonly Pattern[]) {}

  /** `file` is for messages. Throws a DockerfileError for a pattern that is none. */
  static parse(text: string, file: string): IgnoreList {
    const patterns: Pattern[] = [];
    for (const [index, raw] of text
      .replace(/^\ufeff/, '')
      .split('\n')
      .entries()) {
      if (raw.startsWith('#')) continue;
      const line = raw.trim();
      const brings = line.startsWith('!');
      const pattern = posix.normalize(line.slice(brings ? 1 : 0).trim() || '.').replace(/^\/|\/$/g, '');
      if (pattern === '' || pattern === '.') continue;
      try {
        patterns.push({ expression: globToRegExp(pattern, { doubleStar: true }), brings });
      } catch (failure) {
        throw new DockerfileError({ file, line: index + 1 }, (failure as Error).message);
      }
    }
    return new IgnoreList(patterns);
  }

  static of(patterns: readonly string[]): IgnoreList {
    return IgnoreList.parse(patterns.join('\n'), '--exclude');
  }

  get isEmpty(): boolean {
    return this.patterns.length === 0;
  }

  /** Whether something below an ignored directory may be there after all. */
  get hasExceptions(): boolean {
    return this.patterns.some(({ brings }) => brings);
  }

  /** The last pattern that matches the path, or a directory above it, decides. `path` has no leading slash. */
  ignores(path: string): boolean {
    const paths = withParents(path);
    let ignored = false;
    for (const { expression, brings } of this.patterns) {
      if (ignored !== brings) continue;
      if (paths.some((one) => expression.test(one))) ignored = !brings;
    }
    return ignored;
  }
}
