// SPDX-License-Identifier: MIT
/**
 * Loads the code of a process with what V8 has compiled of it before (vm.Script,
 * cachedData): compiling was a third of a command's life. V8 refuses what another
 * version of it has made, or one with other flags, and compiles then.
 *
 *   NAME.js        what is run: it calls `load`
 *   NAME.code.js   the code
 *   NAME.cache     what V8 made of it, written where TSOVERLAY_MAKE_CACHE is NAME
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import Module from 'node:module';
import { Script } from 'node:vm';

/** As a module sees its own: `directory` is that of the code. */
export function load(name: string, directory: string, from: NodeJS.Require): void {
  const filename = `${directory}/${name}.code.js`;
  const cache = `${directory}/${name}.cache`;
  // The bundler has escaped all that is not ASCII.
  const source = Module.wrap(readFileSync(filename, 'latin1'));
  const cachedData = existsSync(cache) ? readFileSync(cache) : undefined;
  const script = new Script(source, { filename, cachedData });
  if (process.env.TSOVERLAY_MAKE_CACHE === name)
    process.on('exit', () => writeFileSync(cache, script.createCachedData()));
  const module = { exports: {} };
  script.runInThisContext()(module.exports, from, module, filename, directory);
}
