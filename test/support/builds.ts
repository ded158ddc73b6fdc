// SPDX-License-Identifier: MIT
/** Builds in a store that has the image `box`. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';
import { boxCli } from './containers.js';
import { scratch } from './ground.js';
import type { Cli, Outcome } from './images.js';

/** A directory with files, for a context. */
export function makeContext(base: string, files: Readonly<Record<string, string>>): string {
  const context = mkdtempSync(join(base, 'context-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(context, name)), { recursive: true });
    writeFileSync(join(context, name), content);
  }
  return context;
}

export class Builder {
  private constructor(
    readonly cli: Cli,
    readonly base: string,
  ) {}

  static async make(t: Test, cli?: Cli): Promise<Builder> {
    const base = cli?.base ?? scratch(t);
    return new Builder(cli ?? (await boxCli(t, base)), base);
  }

  /** Builds from text and files, and gives how it ended. */
  async run(
    dockerfile: string,
    files: Readonly<Record<string, string>> = {},
    ...args: string[]
  ): Promise<Outcome> {
    const context = makeContext(this.base, { ...files, Dockerfile: dockerfile });
    return await this.cli.run('build', '--progress', 'plain', '-t', 'built', ...args, context);
  }

  /** The same of a build that must work; what was said on the way. */
  async ok(
    dockerfile: string,
    files: Readonly<Record<string, string>> = {},
    ...args: string[]
  ): Promise<string> {
    const { status, stderr } = await this.run(dockerfile, files, ...args);
    if (status !== 0) throw new Error(`exit ${status}: ${stderr}`);
    return stderr;
  }

  /** What a program says in what was built last. */
  async say(...command: string[]): Promise<string> {
    return await this.cli.ok('run', '--rm', '--network', 'none', 'built', ...command);
  }

  /** The paths that each layer of what was built last has, bottom first, without the base's. */
  async config(): Promise<Record<string, unknown>> {
    const [{ Config: config }] = JSON.parse(await this.cli.ok('inspect', 'built')) as [
      { Config: Record<string, unknown> },
    ];
    return config;
  }

  async id(): Promise<string> {
    return (await this.cli.ok('inspect', '-f', '{{.Id}}', 'built')).trim();
  }
}

/** Which instructions were not done again. */
export function cachedSteps(said: string): string[] {
  const titles = new Map([...said.matchAll(/^#(\d+) \[[^\]]*\] (.*)$/gm)].map(([, id, text]) => [id, text]));
  return [...said.matchAll(/^#(\d+) CACHED$/gm)].map(([, id]) => titles.get(id)!);
}
