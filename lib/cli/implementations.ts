// SPDX-License-Identifier: MIT
/** What each command does, loaded when it is run. */
import type { Arguments, CommandName } from './commands/table.js';

type Implementation<Name extends CommandName> = (args: Arguments<Name>) => void | Promise<void>;

type Implementations = { readonly [Name in CommandName]: () => Promise<Implementation<Name>> };

const implementations: Implementations = {
  mount: async () => (await import('./mount/mount.js')).mount,
  unmount: async () => (await import('./mount/unmount.js')).unmount,
  upgrade: async () => (await import('./mount/upgrade.js')).upgrade,
  mounts: async () => (await import('./mount/mounts.js')).mounts,
  explain: async () => (await import('./mount/explain.js')).explain,
  fsck: async () => (await import('./mount/fsck.js')).fsck,

  pull: async () => (await import('./image/transfer.js')).pull,
  push: async () => (await import('./image/transfer.js')).push,
  search: async () => (await import('./image/transfer.js')).search,
  images: async () => (await import('./image/list.js')).images,
  history: async () => (await import('./image/history.js')).history,
  tag: async () => (await import('./image/names.js')).tag,
  rmi: async () => (await import('./image/names.js')).remove,
  'image prune': async () => (await import('./image/names.js')).prune,
  save: async () => (await import('./image/archives.js')).save,
  load: async () => (await import('./image/archives.js')).load,
  import: async () => (await import('./image/archives.js')).importRoot,
  bundle: async () => (await import('./image/bundle.js')).bundle,
  layers: async () => (await import('./image/layers.js')).layers,
  'system df': async () => (await import('./image/system.js')).usage,
  'system check': async () => (await import('./image/system.js')).check,

  run: async () => (await import('./container/run.js')).run,
  create: async () => (await import('./container/run.js')).create,
  start: async () => (await import('./container/run.js')).start,
  stop: async () => (await import('./container/lifecycle.js')).stop,
  kill: async () => (await import('./container/lifecycle.js')).kill,
  restart: async () => (await import('./container/lifecycle.js')).restart,
  pause: async () => (await import('./container/lifecycle.js')).pause,
  unpause: async () => (await import('./container/lifecycle.js')).unpause,
  wait: async () => (await import('./container/lifecycle.js')).wait,
  rename: async () => (await import('./container/lifecycle.js')).rename,
  rm: async () => (await import('./container/lifecycle.js')).remove,
  'container prune': async () => (await import('./container/lifecycle.js')).prune,
  exec: async () => (await import('./container/exec.js')).exec,
  attach: async () => (await import('./container/exec.js')).attach,
  logs: async () => (await import('./container/logs.js')).logs,
  ps: async () => (await import('./container/ps.js')).ps,
  port: async () => (await import('./container/ps.js')).port,
  cp: async () => (await import('./container/copy.js')).copy,
  top: async () => (await import('./container/observe.js')).top,
  stats: async () => (await import('./container/observe.js')).stats,
  diff: async () => (await import('./container/diff.js')).diff,
  export: async () => (await import('./container/commit.js')).exportView,
  commit: async () => (await import('./container/commit.js')).commit,
  inspect: async () => (await import('./container/inspect.js')).inspect,

  build: async () => (await import('./build/build.js')).build,
  'build ls': async () => (await import('./build/cache.js')).list,
  'build prune': async () => (await import('./build/cache.js')).prune,

  completion: async () => (await import('./completion.js')).completion,
};

/** Carries out a command; `args` are what its entry in the table says. */
export async function carryOut(name: CommandName, args: object): Promise<void> {
  const run = (await implementations[name]()) as (args: object) => void | Promise<void>;
  await run(args);
}
