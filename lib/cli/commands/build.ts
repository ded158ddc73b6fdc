// SPDX-License-Identifier: MIT
/** The commands about builds. */
import { type Command, flag, PLATFORM, ROOT, several, text } from './command.js';

export const buildCommands = {
  build: {
    args: '[context]',
    describe: 'Build an image from a Dockerfile and the directory that it may copy from',
    options: {
      ...ROOT,
      tag: several('The name of the image; give it again for more', 't'),
      file: text('The Dockerfile; default Dockerfile in the context, - for the input', 'f'),
      target: text('The stage to build; default the last'),
      'build-arg': several('NAME=VALUE for an ARG; NAME alone takes it from the environment'),
      label: several('NAME=VALUE for the image'),
      secret: several('id=NAME,src=FILE or id=NAME,env=VARIABLE for RUN --mount=type=secret'),
      'no-cache': flag('Do every step again'),
      'cache-from': several('An image whose layers may be used instead of making them'),
      pull: flag('Look for newer base images in their registries'),
      squash: flag('Make one layer of all that the build adds'),
      ...PLATFORM,
      network: { ...text('Of RUN steps: default, none or host'), default: 'default' },
      'add-host': several('NAME:ADDRESS for /etc/hosts of RUN steps'),
      output: text('DIRECTORY, or type=oci|docker|local|tar,dest=PATH; - for the output', 'o'),
      iidfile: text('Write the id of the image to a file'),
      progress: { ...text('auto, plain, tty, json or quiet'), default: 'auto' },
      quiet: flag('Print the id of the image only', 'q'),
      'debug-shell': flag('Open a shell in the state before a RUN that fails'),
    },
    examples: [
      ['build -t my-app .', 'Dockerfile of this directory'],
      ['build -f docker/Dockerfile --target test .', 'Another file, up to a stage'],
      ['build -o out .', 'The files of the image in a directory'],
      ['build ls', 'What builds keep'],
      ['build prune', 'Remove it'],
    ],
    isCommon: true,
    inUserNamespace: true,
  },
  'build ls': {
    describe: 'List what builds keep',
    options: {
      ...ROOT,
      format: text('json, or a template as in "{{.ID}} {{.Size}}"'),
      quiet: flag('Print ids only', 'q'),
    },
    inUserNamespace: true,
  },
  'build prune': {
    describe: 'Remove what builds keep and no image has',
    options: {
      ...ROOT,
      force: flag('Do not ask', 'f'),
      all: flag('Also what images have, and what RUN --mount=type=cache keeps', 'a'),
      filter: several('until=24h: what was not used for so long'),
      'keep-storage': text('Remove what was used longest ago, until no more than that is kept, as in 10g'),
    },
    inUserNamespace: true,
  },
} as const satisfies Record<string, Command>;
