// SPDX-License-Identifier: MIT
/** The version of this program, as its package.json says it. */
import { readFileSync } from 'node:fs';

interface Package {
  name?: string;
  version?: string;
}

/** Looked for upwards from this module, which may lie in a bundle. */
export function programVersion(): string {
  for (let url = new URL('.', import.meta.url); ; url = new URL('..', url)) {
    try {
      const found = JSON.parse(readFileSync(new URL('package.json', url), 'utf8')) as Package;
      if (found.name === 'tsoverlay' && found.version !== undefined) return found.version;
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code !== 'ENOENT') throw failure;
    }
    if (url.pathname === '/') return 'unknown';
  }
}
