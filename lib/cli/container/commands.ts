// SPDX-License-Identifier: MIT
/**
 * The commands about containers: their words, arguments and options, as Docker's
 * users know them. What they do is loaded when they are run.
 */
import type { CommandModule, Options } from 'yargs';
import { define, flag, optionsOf, several, text } from '../define.js';
import type {
  AttachArguments,
  ContainerPruneArguments,
  CopyArguments,
  ExecArguments,
  KillArguments,
  LogsArguments,
  NamesArguments,
  PortArguments,
  PsArguments,
  RemoveArguments,
  RenameArguments,
  RunArguments,
  StartArguments,
  StatsArguments,
  StopArguments,
  TopArguments,
} from './arguments.js';

const ROOT = { root: text('The store; default TSOVERLAY_ROOT or /var/lib/tsoverlay') };
const FORMAT = { format: text('json, or a template as in "{{.ID}} {{.Names}}"') };
const DETACH_KEYS = {
  'detach-keys': { ...text('Keys that leave the container running'), default: 'ctrl-p,ctrl-q' },
};
const SIG_PROXY = {
  'sig-proxy': { type: 'boolean', default: true, describe: 'Pass signals on to the container' },
} satisfies Record<string, Options>;
const on = (describe: string): Options => ({ type: 'boolean', default: false, describe });

/** Of the command in the container, for run, create and exec. */
const PROGRAM = {
  env: several('KEY=VALUE, or KEY to take it from here', 'e'),
  'env-file': several('A file of such lines'),
  interactive: flag('Keep the input open', 'i'),
  tty: flag('Give it a terminal', 't'),
  user: text('USER[:GROUP], by name or number', 'u'),
  workdir: text('Where the command starts', 'w'),
  privileged: on('Hold back nothing: all capabilities, all devices, no filter'),
} satisfies Record<string, Options>;

const CREATE = {
  ...ROOT,
  ...PROGRAM,
  name: text('A name for it; default a random one'),
  volume: several('SOURCE:TARGET[:ro], a path or the name of a volume', 'v'),
  mount: several('type=bind|volume|tmpfs,source=…,target=…[,readonly]'),
  tmpfs: several('TARGET[:OPTIONS], kept in memory'),
  entrypoint: text("In the place of the image's entry point"),
  hostname: text('Its host name; default the beginning of its id'),
  publish: several('[[ADDRESS:]HOST:]CONTAINER[/udp]: reach a port of it from outside', 'p'),
  'publish-all': flag('Publish all ports that the image exposes', 'P'),
  network: { ...text('bridge, host, none, or container:NAME'), default: 'bridge' },
  'add-host': several('NAME:ADDRESS, for /etc/hosts'),
  dns: several('A name server'),
  'read-only': on('Its root file system cannot be changed'),
  memory: text('The most memory, as in 512m', 'm'),
  cpus: text('How many processors, as in 1.5'),
  'pids-limit': text('The most processes'),
  'shm-size': text('Of /dev/shm; default 64m'),
  ulimit: several('NAME=SOFT[:HARD], as in nofile=1024'),
  'cap-add': several('A capability, or ALL'),
  'cap-drop': several('A capability, or ALL'),
  'security-opt': several('no-new-privileges, seccomp=unconfined'),
  init: on('The first process takes in orphans (catatonit or tini)'),
  restart: { ...text('no, on-failure[:COUNT], always, unless-stopped'), default: 'no' },
  'log-driver': { ...text('json-file, or none'), default: 'json-file' },
  'log-opt': several('max-size=20m, max-file=5, reserve=SIZE that is left free on the disk'),
  label: several('KEY=VALUE', 'l'),
  'label-file': several('A file of such lines'),
  pull: { ...text('missing, always, never'), default: 'missing' },
  platform: text('OS/ARCHITECTURE[/VARIANT]; default this machine'),
  'stop-signal': text("In the place of the image's signal to stop"),
  'stop-timeout': { ...text('Seconds that a stop waits before it kills'), default: '10' },
  rm: on('Remove it when it has ended'),
  cidfile: text('Write its id to this file'),
  'storage-driver': text('tsoverlay, overlay, btrfs, vfs; default TSOVERLAY_STORAGE_DRIVER or tsoverlay'),
  runtime: { ...text('What starts it: builtin, runc, crun'), default: 'builtin' },
  quiet: flag('Show no progress of a pull', 'q'),
} satisfies Record<string, Options>;

const RUN = { ...CREATE, detach: flag('In the background: print its id', 'd'), ...DETACH_KEYS, ...SIG_PROXY };
const EXEC = { ...ROOT, ...PROGRAM, detach: flag('In the background', 'd'), ...DETACH_KEYS };

const TIME = { time: text("Seconds before it is killed; default the container's own", 't') };

const definitions = {
  run: define<RunArguments>(
    {
      command: 'run',
      describe: 'Make a container of an image and start it: run [OPTIONS] IMAGE [COMMAND]',
      options: RUN,
      examples: [
        ['run --rm -it debian:12 bash', 'A shell in a fresh root file system'],
        ['run -d -p 8080:80 nginx', 'A server in the background; its page at localhost:8080'],
      ],
    },
    async (args) => (await import('./run.js')).run(args),
  ),
  create: define<RunArguments>(
    {
      command: 'create',
      describe: 'Make a container and do not start it: create [OPTIONS] IMAGE [COMMAND]',
      options: CREATE,
    },
    async (args) => (await import('./run.js')).create(args),
  ),
  start: define<StartArguments>(
    {
      command: 'start <names..>',
      describe: 'Start containers that were made or have ended',
      options: {
        ...ROOT,
        attach: flag('Show what it writes, and end as it does', 'a'),
        interactive: flag('Send it what is typed', 'i'),
        ...DETACH_KEYS,
      },
    },
    async (args) => (await import('./run.js')).start(args),
  ),
  stop: define<StopArguments>(
    {
      command: 'stop <names..>',
      describe: 'Ask containers to end, and kill those that do not',
      options: { ...ROOT, ...TIME },
    },
    async (args) => (await import('./lifecycle.js')).stop(args),
  ),
  kill: define<KillArguments>(
    {
      command: 'kill <names..>',
      describe: 'Send a signal to the first process of containers',
      options: { ...ROOT, signal: { ...text('A name or a number', 's'), default: 'KILL' } },
    },
    async (args) => (await import('./lifecycle.js')).kill(args),
  ),
  restart: define<StopArguments>(
    {
      command: 'restart <names..>',
      describe: 'Stop containers and start them again',
      options: { ...ROOT, ...TIME },
    },
    async (args) => (await import('./lifecycle.js')).restart(args),
  ),
  pause: define<NamesArguments>(
    { command: 'pause <names..>', describe: 'Hold every process of containers where it is', options: ROOT },
    async (args) => (await import('./lifecycle.js')).pause(args),
  ),
  unpause: define<NamesArguments>(
    { command: 'unpause <names..>', describe: 'Let paused containers go on', options: ROOT },
    async (args) => (await import('./lifecycle.js')).unpause(args),
  ),
  wait: define<NamesArguments>(
    {
      command: 'wait <names..>',
      describe: 'Wait until containers have ended; print their exit codes',
      options: ROOT,
    },
    async (args) => (await import('./lifecycle.js')).wait(args),
  ),
  rename: define<RenameArguments>(
    { command: 'rename <source> <name>', describe: 'Give a container another name', options: ROOT },
    async (args) => (await import('./lifecycle.js')).rename(args),
  ),
  rm: define<RemoveArguments>(
    {
      command: 'rm <names..>',
      describe: 'Remove containers with all that they changed',
      options: {
        ...ROOT,
        force: flag('Kill those that run', 'f'),
        volumes: flag('Volumes without a name, too, which happens anyway', 'v'),
      },
    },
    async (args) => (await import('./lifecycle.js')).remove(args),
  ),
  exec: define<ExecArguments>(
    {
      command: 'exec',
      describe: 'Run a command in a running container: exec [OPTIONS] NAME COMMAND',
      options: EXEC,
      examples: [['exec -it web sh', 'A shell beside the running program']],
    },
    async (args) => (await import('./exec.js')).exec(args),
  ),
  attach: define<AttachArguments>(
    {
      command: 'attach <name>',
      describe: 'Join the terminal or the output of a running container',
      options: { ...ROOT, 'no-stdin': on('Send nothing'), ...DETACH_KEYS, ...SIG_PROXY },
    },
    async (args) => (await import('./exec.js')).attach(args),
  ),
  logs: define<LogsArguments>(
    {
      command: 'logs <name>',
      describe: 'What a container has written',
      options: {
        ...ROOT,
        follow: flag('Go on until it has ended', 'f'),
        tail: { ...text('So many lines from the end', 'n'), default: 'all' },
        timestamps: flag('With the time of each line', 't'),
        since: text('Not what is older: a date, or as in 10m'),
        until: text('Not what is newer'),
      },
    },
    async (args) => (await import('./logs.js')).logs(args),
  ),
  ps: define<PsArguments>(
    {
      command: 'ps',
      describe: 'List running containers, or with -a all',
      options: {
        ...ROOT,
        all: flag('Those that do not run, too', 'a'),
        filter: several(
          'name=, id=, status=, label=, exited=, ancestor=, before=, since=, publish=, expose=, network=, volume=',
          'f',
        ),
        ...FORMAT,
        quiet: flag('Print ids only', 'q'),
        'no-trunc': on('Print ids and commands whole'),
        latest: flag('The newest only', 'l'),
        last: text('So many of the newest', 'n'),
        size: flag('Show what they have written', 's'),
      },
    },
    async (args) => (await import('./ps.js')).ps(args),
  ),
  cp: define<CopyArguments>(
    {
      command: 'cp <source> <destination>',
      describe: 'Copy files out of a container or into one: CONTAINER:PATH on one side, - for an archive',
      options: {
        ...ROOT,
        archive: flag('Owners stay as they are', 'a'),
        'follow-link': flag('Copy what a symlink leads to', 'L'),
        quiet: flag('Say nothing', 'q'),
      },
      examples: [
        ['cp web:/etc/nginx/nginx.conf .', 'Out of a container'],
        ['cp site/. web:/var/www/html', 'What a directory holds into a container'],
      ],
    },
    async (args) => (await import('./copy.js')).copy(args),
  ),
  port: define<PortArguments>(
    { command: 'port <name> [port]', describe: 'Which ports are published, and where', options: ROOT },
    async (args) => (await import('./ps.js')).port(args),
  ),
  top: define<TopArguments>(
    { command: 'top <name>', describe: 'The processes of a container', options: ROOT },
    async (args) => (await import('./observe.js')).top(args),
  ),
  stats: define<StatsArguments>(
    {
      command: 'stats [names..]',
      describe: 'What running containers take: processor, memory, processes',
      options: { ...ROOT, 'no-stream': on('Once, not again and again'), ...FORMAT },
    },
    async (args) => (await import('./observe.js')).stats(args),
  ),
};

const prune = define<ContainerPruneArguments>(
  {
    command: 'prune',
    describe: 'Remove all containers that are not running',
    options: { ...ROOT, force: flag('Do not ask', 'f'), filter: several('until=, label=, label!=') },
  },
  async (args) => (await import('./lifecycle.js')).prune(args),
);

export const containerCommands: readonly CommandModule[] = Object.values(definitions);

/** The commands of the group `container`, beside those of the same words without it. */
export const containerGroup: readonly CommandModule[] = [
  ...containerCommands,
  { ...definitions.ps, command: 'ls', aliases: ['list'] },
  prune,
];

/** The long options of each command, by its first word. */
export const containerFlags: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(Object.entries(definitions).map(([name, command]) => [name, optionsOf(command)])),
  container: [...Object.values(definitions), prune].flatMap(optionsOf),
};

/** Commands whose options end at the first word that is none: what follows is another program's. */
const WORDS: Record<string, Record<string, Options>> = { run: RUN, create: CREATE, exec: EXEC };

/** Puts `--` before the first word that is no option of ours, so that no option behind it is taken for one. */
export function separateWords(argv: readonly string[]): string[] {
  const start = argv[0] === 'container' ? 2 : 1;
  const options = WORDS[argv[start - 1]];
  if (options === undefined) return [...argv];
  const takesValue = (name: string): boolean => {
    const found = Object.entries(options).find(([long, { alias }]) => long === name || alias === name);
    return found !== undefined && found[1].type !== 'boolean';
  };
  for (let at = start; at < argv.length; at++) {
    const word = argv[at];
    if (word === '--') return [...argv];
    if (!word.startsWith('-') || word === '-') return [...argv.slice(0, at), '--', ...argv.slice(at)];
    if (word.startsWith('--')) {
      if (!word.includes('=') && takesValue(word.slice(2))) at++;
      continue;
    }
    // Of `-itp`, the first letter that takes a value takes the rest, or the next word.
    const letters = [...word.slice(1)];
    const first = letters.findIndex(takesValue);
    if (first >= 0 && first === letters.length - 1) at++;
  }
  return [...argv];
}
