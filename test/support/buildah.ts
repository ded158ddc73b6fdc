// SPDX-License-Identifier: MIT
/** Buildah with a store of its own, beside which builds are compared. */
import { join } from 'node:path';
import type { Test } from 'tap';
import { run, shell } from './ground.js';

/** Limits cannot be raised everywhere, and crun refuses two versions of cgroups at once. */
const BUILD = [
  '--isolation',
  'oci',
  '--runtime',
  'runc',
  '--ulimit',
  'nofile=1024:1024',
  '--ulimit',
  'nproc=1024:1024',
];

export class BuildahStore {
  readonly #options: string[];

  constructor(t: Test, base: string) {
    this.#options = [
      '--root',
      join(base, 'buildah'),
      '--runroot',
      join(base, 'buildah-run'),
      '--storage-driver',
      'overlay',
    ];
    t.teardown(() => {
      this.#call('rm', '-a');
      this.#call('rmi', '-a', '-f');
      shell(
        `umount ${join(base, 'buildah/overlay')} 2>/dev/null || true; rm -rf ${join(base, 'buildah')} ${join(base, 'buildah-run')}`,
      );
    });
  }

  #call(...args: string[]): string {
    return run('buildah', ...this.#options, ...args);
  }

  /** Takes an image in from an archive. */
  pull(archive: string): void {
    this.#call('pull', '-q', `docker-archive:${archive}`);
  }

  /** Builds, and answers the image's id. */
  build(context: string, name: string, ...args: string[]): string {
    const options = ['--format', 'docker', '--identity-label=false', '--pull-never', '-q', '-t', name];
    return this.#call('bud', ...BUILD, ...options, ...args, context)
      .trim()
      .split('\n')
      .at(-1)!;
  }

  config(name: string): Record<string, unknown> {
    const about = JSON.parse(this.#call('inspect', '--type', 'image', name)) as {
      Docker: { config: Record<string, unknown> };
    };
    const { Labels: labels, ...config } = about.Docker.config as { Labels?: Record<string, string> };
    const { 'io.buildah.version': _, ...own } = labels ?? {};
    return { ...config, Labels: own };
  }

  /** Calls back with a directory that shows the image. */
  withMount<T>(image: string, work: (path: string) => T): T {
    const container = this.#call('from', '--pull-never', image).trim();
    try {
      return work(this.#call('mount', container).trim());
    } finally {
      this.#call('rm', container);
    }
  }
}
