// SPDX-License-Identifier: MIT
/** The commands about containers, in the words of Docker. */
import { type Command, flag, type Option, on, PLATFORM, ROOT, several, text } from './command.js';

const FORMAT = { format: text('json, or a template as in "{{.ID}} {{.Names}}"') };
const DETACH_KEYS = {
  'detach-keys': { ...text('Keys that leave the container running'), default: 'ctrl-p,ctrl-q' },
};
const SIG_PROXY = { 'sig-proxy': on('Pass signals on to the container') };

/** Of the command in the container, for run, create and exec. */
const PROGRAM = {
  env: several('KEY=VALUE, or KEY to take it from here', 'e'),
  'env-file': several('A file of such lines'),
  interactive: flag('Keep the input open', 'i'),
  tty: flag('Give it a terminal', 't'),
  user: text('USER[:GROUP], by name or number', 'u'),
  workdir: text('Where the command starts', 'w'),
  privileged: flag('Hold back nothing: all capabilities, all devices, no filter'),
} as const satisfies Record<string, Option>;

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
  'read-only': flag('Its root file system cannot be changed'),
  memory: text('The most memory, as in 512m', 'm'),
  cpus: text('How many processors, as in 1.5'),
  'pids-limit': text('The most processes'),
  'shm-size': text('Of /dev/shm; default 64m'),
  ulimit: several('NAME=SOFT[:HARD], as in nofile=1024'),
  'cap-add': several('A capability, or ALL'),
  'cap-drop': several('A capability, or ALL'),
  'security-opt': several('no-new-privileges, seccomp=unconfined'),
  init: flag('The first process takes in orphans (catatonit or tini)'),
  restart: { ...text('no, on-failure[:COUNT], always, unless-stopped'), default: 'no' },
  'log-driver': { ...text('json-file, or none'), default: 'json-file' },
  'log-opt': several('max-size=20m, max-file=5, reserve=SIZE that is left free on the disk'),
  label: several('KEY=VALUE', 'l'),
  'label-file': several('A file of such lines'),
  pull: { ...text('missing, always, never'), default: 'missing' },
  ...PLATFORM,
  'stop-signal': text("In the place of the image's signal to stop"),
  'stop-timeout': { ...text('Seconds that a stop waits before it kills'), default: '10' },
  rm: flag('Remove it when it has ended'),
  cidfile: text('Write its id to this file'),
  'storage-driver': text('tsoverlay, overlay, btrfs, vfs; default TSOVERLAY_STORAGE_DRIVER or tsoverlay'),
  runtime: { ...text('What starts it: builtin, runc, crun'), default: 'builtin' },
  quiet: flag('Show no progress of a pull', 'q'),
} as const satisfies Record<string, Option>;

const RUN = { ...CREATE, detach: flag('In the background: print its id', 'd'), ...DETACH_KEYS, ...SIG_PROXY };
const EXEC = { ...ROOT, ...PROGRAM, detach: flag('In the background', 'd'), ...DETACH_KEYS };

const TIME = { time: text("Seconds before it is killed; default the container's own", 't') };

export const containerCommands = {
  run: {
    describe: 'Make a container of an image and start it: run [OPTIONS] IMAGE [COMMAND]',
    options: RUN,
    examples: [
      ['run --rm -it debian:12 bash', 'A shell in a fresh root file system'],
      ['run -d -p 8080:80 nginx', 'A server in the background; its page at localhost:8080'],
    ],
    isCommon: true,
    inUserNamespace: true,
    starts: 'container',
    runsCommand: true,
  },
  create: {
    describe: 'Make a container and do not start it: create [OPTIONS] IMAGE [COMMAND]',
    options: CREATE,
    inUserNamespace: true,
    runsCommand: true,
  },
  start: {
    args: '<names..>',
    describe: 'Start containers that were made or have ended',
    options: {
      ...ROOT,
      attach: flag('Show what it writes, and end as it does', 'a'),
      interactive: flag('Send it what is typed', 'i'),
      ...DETACH_KEYS,
    },
    inUserNamespace: true,
    starts: 'container',
  },
  stop: {
    args: '<names..>',
    describe: 'Ask containers to end, and kill those that do not',
    options: { ...ROOT, ...TIME },
    isCommon: true,
  },
  kill: {
    args: '<names..>',
    describe: 'Send a signal to the first process of containers',
    options: { ...ROOT, signal: { ...text('A name or a number', 's'), default: 'KILL' } },
  },
  restart: {
    args: '<names..>',
    describe: 'Stop containers and start them again',
    options: { ...ROOT, ...TIME },
    inUserNamespace: true,
  },
  pause: { args: '<names..>', describe: 'Hold every process of containers where it is', options: ROOT },
  unpause: { args: '<names..>', describe: 'Let paused containers go on', options: ROOT },
  wait: {
    args: '<names..>',
    describe: 'Wait until containers have ended; print their exit codes',
    options: ROOT,
  },
  rename: { args: '<source> <name>', describe: 'Give a container another name', options: ROOT },
  rm: {
    args: '<names..>',
    describe: 'Remove containers with all that they changed',
    options: {
      ...ROOT,
      force: flag('Kill those that run', 'f'),
      volumes: flag('Volumes without a name, too, which happens anyway', 'v'),
    },
    isCommon: true,
    inUserNamespace: true,
  },
  exec: {
    describe: 'Run a command in a running container: exec [OPTIONS] NAME COMMAND',
    options: EXEC,
    examples: [['exec -it web sh', 'A shell beside the running program']],
    isCommon: true,
    runsCommand: true,
  },
  attach: {
    args: '<name>',
    describe: 'Join the terminal or the output of a running container',
    options: { ...ROOT, 'no-stdin': flag('Send nothing'), ...DETACH_KEYS, ...SIG_PROXY },
  },
  logs: {
    args: '<name>',
    describe: 'What a container has written',
    options: {
      ...ROOT,
      follow: flag('Go on until it has ended', 'f'),
      tail: { ...text('So many lines from the end', 'n'), default: 'all' },
      timestamps: flag('With the time of each line', 't'),
      since: text('Not what is older: a date, or as in 10m'),
      until: text('Not what is newer'),
    },
    isCommon: true,
  },
  ps: {
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
      'no-trunc': flag('Print ids and commands whole'),
      latest: flag('The newest only', 'l'),
      last: text('So many of the newest', 'n'),
      size: flag('Show what they have written', 's'),
    },
    isCommon: true,
  },
  cp: {
    args: '<source> <destination>',
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
    inUserNamespace: true,
  },
  port: { args: '<name> [port]', describe: 'Which ports are published, and where', options: ROOT },
  top: { args: '<name>', describe: 'The processes of a container', options: ROOT },
  stats: {
    args: '[names..]',
    describe: 'What running containers take: processor, memory, processes',
    options: { ...ROOT, 'no-stream': flag('Once, not again and again'), ...FORMAT },
  },
  'container prune': {
    describe: 'Remove all containers that are not running',
    options: { ...ROOT, force: flag('Do not ask', 'f'), filter: several('until=, label=, label!=') },
    inUserNamespace: true,
  },
} as const satisfies Record<string, Command>;
