// SPDX-License-Identifier: MIT
/** The commands about images, in the words of Docker. */
import { type Command, flag, JSON_OUT, type Option, on, PLATFORM, ROOT, several, text } from './command.js';

const QUIET = { quiet: flag('Print names or ids only', 'q') };
const WHOLE = { 'no-trunc': flag('Print ids and texts whole') };
const FORMAT = { format: text('json, or a template as in "{{.ID}} {{.Size}}"') };
const LIMITS = {
  'max-layer-size': text('Refuse a layer whose files are larger together, as in 20g; default 128g'),
  'max-layer-entries': { type: 'number', describe: 'Refuse a layer with more files; default 4000000' },
} as const satisfies Record<string, Option>;
const NOTES = {
  message: text('A comment for the history', 'm'),
  change: several('An instruction of a Dockerfile for the configuration, as in \'CMD ["nginx"]\'', 'c'),
};

export const imageCommands = {
  pull: {
    args: '<name>',
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
    isCommon: true,
    inUserNamespace: true,
  },
  push: {
    args: '<name>',
    describe: 'Put an image into a registry',
    options: { ...ROOT, ...QUIET },
    isCommon: true,
  },
  search: {
    args: '<registry> [term]',
    describe: 'List the repositories of a registry, or with --tags the tags of a repository',
    options: { tags: flag('List tags'), ...JSON_OUT },
    examples: [['search localhost:5000 nginx', 'Repositories that have nginx in their name']],
  },
  images: {
    args: '[repository]',
    describe: 'List images; SHARED is what other images have too',
    options: {
      ...ROOT,
      filter: several('dangling=, label=, before=, since=, reference=', 'f'),
      ...FORMAT,
      ...QUIET,
      digests: flag('Show digests'),
      ...WHOLE,
    },
    isCommon: true,
  },
  inspect: {
    args: '<names..>',
    describe: 'Everything about containers or images, as JSON',
    options: {
      ...ROOT,
      type: text('container or image; default whichever has the name'),
      format: { ...FORMAT.format, alias: 'f' },
    },
  },
  history: {
    args: '<name>',
    describe: 'What made each layer of an image',
    options: {
      ...ROOT,
      ...FORMAT,
      ...QUIET,
      ...WHOLE,
      human: on('Sizes and times for people', 'H'),
    },
  },
  tag: { args: '<source> <name>', describe: 'Give an image one more name', options: ROOT },
  rmi: {
    args: '<names..>',
    describe: 'Remove names, and images that have no other',
    options: { ...ROOT, force: flag('Remove an image by id though it has several names', 'f') },
    isCommon: true,
    inUserNamespace: true,
  },
  'image prune': {
    describe: 'Remove images without a name and what nothing uses',
    options: {
      ...ROOT,
      all: flag('All images that are not in use', 'a'),
      force: flag('Do not ask', 'f'),
      filter: several('until=, label=, label!='),
    },
    inUserNamespace: true,
  },
  save: {
    args: '<names..>',
    describe: 'Write images to an archive that Docker, Podman and OCI tools read',
    options: { ...ROOT, output: text('A file; default standard output', 'o') },
    inUserNamespace: true,
  },
  load: {
    describe: 'Take images from an archive or an OCI layout',
    options: {
      ...ROOT,
      input: text('A file or a directory; default standard input', 'i'),
      ...PLATFORM,
      ...QUIET,
      ...LIMITS,
    },
    inUserNamespace: true,
  },
  import: {
    args: '<source> [reference]',
    describe: 'Make an image of a root file system: an archive, a directory, or - for standard input',
    options: { ...ROOT, ...PLATFORM, ...NOTES, ...LIMITS },
    inUserNamespace: true,
  },
  export: {
    args: '<source>',
    describe: 'Write all files of a container, a mount or an image as a tar archive',
    options: { ...ROOT, output: text('A file; default standard output', 'o') },
    inUserNamespace: true,
  },
  commit: {
    args: '<source> [reference]',
    describe: 'Make an image of what was changed in a container, a mount, or an upper directory',
    options: {
      ...ROOT,
      image: text('The image below an upper that is not mounted'),
      author: text('Who made it', 'a'),
      pause: on('Hold a running container where it is meanwhile', 'p'),
      ...NOTES,
    },
    examples: [
      ['commit web my-nginx:patched', 'What the container web has changed becomes a layer of a new image'],
      ['commit /mnt my-nginx:patched', 'The upper becomes a layer on top of the mounted image'],
    ],
    inUserNamespace: true,
  },
  bundle: {
    args: '<name> <directory> [args..]',
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
      ['bundle alpine /run/a -- ls -l', 'Then: runc run --bundle /run/a a; tsoverlay unmount /run/a/rootfs'],
    ],
  },
  layers: {
    args: '<name>',
    describe: 'What each layer adds, changes, removes, and how many bytes are wasted',
    options: {
      ...ROOT,
      files: flag('List the files of each layer'),
      ...JSON_OUT,
      ...WHOLE,
      ci: flag('Fail when more is wasted than the thresholds allow'),
      'min-efficiency': { type: 'number', default: 0.95, describe: 'Seen bytes of all bytes' },
      'max-wasted': text('Bytes, as in 20m'),
    },
  },
  'system df': {
    describe: 'What the store takes, and what could be given back',
    options: { ...ROOT, ...FORMAT },
    inUserNamespace: true,
  },
  'system check': {
    describe: 'Prove that the store is whole; with --repair take away what is not',
    options: { ...ROOT, repair: flag('Remove damaged content, so that it can be got again'), ...JSON_OUT },
    inUserNamespace: true,
  },
} as const satisfies Record<string, Command>;
