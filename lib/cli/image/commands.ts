// SPDX-License-Identifier: MIT
/**
 * The commands about images: their words, arguments and options, as Docker's users
 * know them. What they do is loaded when they are run.
 */
import type { CommandModule, Options } from 'yargs';
import { define, flag, group, optionsOf, several, text } from '../define.js';
import type {
  BundleArguments,
  CheckArguments,
  CommitArguments,
  ExportArguments,
  HistoryArguments,
  ImportArguments,
  InspectArguments,
  LayersArguments,
  ListArguments,
  LoadArguments,
  PruneArguments,
  PullArguments,
  PushArguments,
  RemoveArguments,
  SaveArguments,
  SearchArguments,
  TagArguments,
  UsageArguments,
} from './arguments.js';

const ROOT = { root: text('The store; default TSOVERLAY_ROOT or /var/lib/tsoverlay') };
const QUIET = { quiet: flag('Print names or ids only', 'q') };
const WHOLE = { 'no-trunc': flag('Print ids and texts whole') };
const FORMAT = { format: text('json, or a template as in "{{.ID}} {{.Size}}"') };
const JSON_OUT = { json: flag('Print it as JSON') };
const PLATFORM = { platform: text('OS/ARCHITECTURE[/VARIANT]; default this machine') };
const LIMITS = {
  'max-layer-size': text('Refuse a layer whose files are larger together, as in 20g; default 128g'),
  'max-layer-entries': {
    type: 'number',
    nargs: 1,
    describe: 'Refuse a layer with more files; default 4000000',
  },
} satisfies Record<string, Options>;
const NOTES = {
  message: text('A comment for the history', 'm'),
  change: several('An instruction of a Dockerfile for the configuration, as in \'CMD ["nginx"]\'', 'c'),
};

const definitions = {
  pull: define<PullArguments>(
    {
      command: 'pull <name>',
      describe: 'Get an image from a registry or a mirror',
      options: {
        ...ROOT,
        ...PLATFORM,
        ...QUIET,
        'all-tags': flag('All tags of the repository', 'a'),
        ...LIMITS,
      },
      examples: [
        ['pull nginx', 'nginx:latest of Docker Hub'],
        ['pull localhost:5000/app@sha256:…', 'Exactly that one'],
      ],
    },
    async (args) => (await import('./transfer.js')).pull(args),
  ),
  push: define<PushArguments>(
    { command: 'push <name>', describe: 'Put an image into a registry', options: { ...ROOT, ...QUIET } },
    async (args) => (await import('./transfer.js')).push(args),
  ),
  search: define<SearchArguments>(
    {
      command: 'search <registry> [term]',
      describe: 'List the repositories of a registry, or with --tags the tags of a repository',
      options: { tags: flag('List tags'), ...JSON_OUT },
      examples: [['search localhost:5000 nginx', 'Repositories that have nginx in their name']],
    },
    async (args) => (await import('./transfer.js')).search(args),
  ),
  list: define<ListArguments>(
    {
      command: 'images [repository]',
      describe: 'List images; SHARED is what other images have too',
      options: {
        ...ROOT,
        filter: several('dangling=, label=, before=, since=, reference=', 'f'),
        ...FORMAT,
        ...QUIET,
        digests: flag('Show digests'),
        ...WHOLE,
      },
    },
    async (args) => (await import('./list.js')).listImagesCommand(args),
  ),
  inspect: define<InspectArguments>(
    {
      command: 'inspect <names..>',
      describe: 'Everything about containers or images, as JSON',
      options: {
        ...ROOT,
        type: text('container or image; default whichever has the name'),
        format: { ...FORMAT.format, alias: 'f' },
      },
    },
    async (args) => (await import('./inspect.js')).inspect(args),
  ),
  history: define<HistoryArguments>(
    {
      command: 'history <name>',
      describe: 'What made each layer of an image',
      options: {
        ...ROOT,
        ...FORMAT,
        ...QUIET,
        ...WHOLE,
        human: { type: 'boolean', default: true, alias: 'H', describe: 'Sizes and times for people' },
      },
    },
    async (args) => (await import('./inspect.js')).history(args),
  ),
  tag: define<TagArguments>(
    { command: 'tag <source> <name>', describe: 'Give an image one more name', options: ROOT },
    async (args) => (await import('./names.js')).tag(args),
  ),
  remove: define<RemoveArguments>(
    {
      command: 'rmi <names..>',
      describe: 'Remove names, and images that have no other',
      options: { ...ROOT, force: flag('Remove an image by id though it has several names', 'f') },
    },
    async (args) => (await import('./names.js')).remove(args),
  ),
  prune: define<PruneArguments>(
    {
      command: 'prune',
      describe: 'Remove images without a name and what nothing uses',
      options: {
        ...ROOT,
        all: flag('All images that are not in use', 'a'),
        force: flag('Do not ask', 'f'),
        filter: several('until=, label=, label!='),
      },
    },
    async (args) => (await import('./names.js')).prune(args),
  ),
  save: define<SaveArguments>(
    {
      command: 'save <names..>',
      describe: 'Write images to an archive that Docker, Podman and OCI tools read',
      options: { ...ROOT, output: text('A file; default standard output', 'o') },
    },
    async (args) => (await import('./archives.js')).save(args),
  ),
  load: define<LoadArguments>(
    {
      command: 'load',
      describe: 'Take images from an archive or an OCI layout',
      options: {
        ...ROOT,
        input: text('A file or a directory; default standard input', 'i'),
        ...PLATFORM,
        ...QUIET,
        ...LIMITS,
      },
    },
    async (args) => (await import('./archives.js')).load(args),
  ),
  import: define<ImportArguments>(
    {
      command: 'import <source> [reference]',
      describe: 'Make an image of a root file system: an archive, a directory, or - for standard input',
      options: { ...ROOT, ...PLATFORM, ...NOTES, ...LIMITS },
    },
    async (args) => (await import('./archives.js')).importRoot(args),
  ),
  export: define<ExportArguments>(
    {
      command: 'export <source>',
      describe: 'Write all files of a container, a mount or an image as a tar archive',
      options: { ...ROOT, output: text('A file; default standard output', 'o') },
    },
    async (args) => (await import('./archives.js')).exportView(args),
  ),
  commit: define<CommitArguments>(
    {
      command: 'commit <source> [reference]',
      describe: 'Make an image of what was changed in a container, a mount, or an upper directory',
      options: {
        ...ROOT,
        image: text('The image below an upper that is not mounted'),
        author: text('Who made it', 'a'),
        pause: {
          type: 'boolean',
          default: true,
          alias: 'p',
          describe: 'Hold a running container where it is meanwhile',
        },
        ...NOTES,
      },
      examples: [
        ['commit web my-nginx:patched', 'What the container web has changed becomes a layer of a new image'],
        ['commit /mnt my-nginx:patched', 'The upper becomes a layer on top of the mounted image'],
      ],
    },
    async (args) => (await import('./archives.js')).commit(args),
  ),
  bundle: define<BundleArguments>(
    {
      command: 'bundle <name> <directory> [args..]',
      describe: 'Mount an image in an OCI bundle that runc, crun or any OCI runtime starts',
      options: {
        ...ROOT,
        user: text('USER[:GROUP], by name or number', 'u'),
        env: several('KEY=VALUE', 'e'),
        workdir: text('Where the command starts', 'w'),
        entrypoint: text("In the place of the image's entry point"),
        hostname: text('Its name; default that of the directory'),
        network: { ...text('host, or none: a network of its own'), default: 'none' },
        tty: flag('The command has a terminal', 't'),
        'read-only': flag('The command can change nothing in it'),
      },
      examples: [
        [
          'bundle alpine /run/a -- ls -l',
          'Then: runc run --bundle /run/a a; tsoverlay unmount /run/a/rootfs',
        ],
      ],
    },
    async (args) => (await import('./bundle.js')).bundle(args),
  ),
  layers: define<LayersArguments>(
    {
      command: 'layers <name>',
      describe: 'What each layer adds, changes, removes, and how many bytes are wasted',
      options: {
        ...ROOT,
        files: flag('List the files of each layer'),
        ...JSON_OUT,
        ...WHOLE,
        ci: flag('Fail when more is wasted than the thresholds allow'),
        'min-efficiency': { type: 'number', nargs: 1, default: 0.95, describe: 'Seen bytes of all bytes' },
        'max-wasted': text('Bytes, as in 20m'),
      },
    },
    async (args) => (await import('./layers.js')).layers(args),
  ),
  usage: define<UsageArguments>(
    {
      command: 'df',
      describe: 'What the store takes, and what could be given back',
      options: { ...ROOT, ...FORMAT },
    },
    async (args) => (await import('./system.js')).usage(args),
  ),
  check: define<CheckArguments>(
    {
      command: 'check',
      describe: 'Prove that the store is whole; with --repair take away what is not',
      options: { ...ROOT, repair: flag('Remove damaged content, so that it can be got again'), ...JSON_OUT },
    },
    async (args) => (await import('./system.js')).check(args),
  ),
};

/** The same command under another word: `image ls` is `images`. */
function under(command: CommandModule, words: string): CommandModule {
  return { ...command, command: words };
}

const { list, remove, usage, check, prune, ...plain } = definitions;

/** The long options of each command, by its first word; a group has those of all its commands. */
export const imageFlags: Readonly<Record<string, readonly string[]>> = flagsByWord();

function flagsByWord(): Record<string, readonly string[]> {
  const known: Record<string, readonly string[]> = {};
  for (const command of Object.values(definitions)) known[firstWord(command)] = optionsOf(command);
  known.image = Object.values(known).flat();
  known.system = [...known.df, ...known.check];
  return known;
}

function firstWord({ command }: CommandModule): string {
  return [command].flat()[0]!.split(' ')[0];
}

export const imageCommands: readonly CommandModule[] = [
  ...Object.values(plain),
  list,
  remove,
  group('image', 'Commands about images', [
    under(list, 'ls [repository]'),
    under(remove, 'rm <names..>'),
    prune,
    ...['pull', 'push', 'inspect', 'history', 'tag', 'save', 'load', 'import'].map(
      (name) => plain[name as keyof typeof plain],
    ),
  ]),
  group('system', 'Commands about the store', [usage, check]),
];
