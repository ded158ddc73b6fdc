// SPDX-License-Identifier: MIT
/** COPY and ADD (Dockerfile reference, "ADD" and "COPY"). */
import { type KnownFlags, single, takeFlags, truth } from './flags.js';
import { copyTokens, isFileName } from './heredoc.js';
import type { CopyInstruction } from './instructions.js';
import { jsonList } from './json-list.js';
import { type LineContext, need } from './parse-run.js';

const SHARED_FLAGS: KnownFlags = { chown: 'one', chmod: 'one', link: 'yes', exclude: 'many' };
const COPY_FLAGS: KnownFlags = { ...SHARED_FLAGS, from: 'one', parents: 'yes' };
const ADD_FLAGS: KnownFlags = { ...SHARED_FLAGS, checksum: 'one', unpack: 'yes', 'keep-git-dir': 'yes' };

export function parseCopy(
  kind: 'COPY' | 'ADD',
  { place, text, heredocs, ...line }: LineContext,
): CopyInstruction {
  const flags = takeFlags(place, kind, line, kind === 'COPY' ? COPY_FLAGS : ADD_FLAGS);
  need(
    place,
    !flags.values.has('keep-git-dir'),
    '--keep-git-dir: repositories of git are not fetched',
    'clone it in a RUN, or into the context',
  );
  const tokens = jsonList(place, flags.rest) ?? copyTokens(flags.rest);
  need(
    place,
    tokens.length >= 2,
    `${kind} needs a source and a destination`,
    `write ${kind} SOURCE… DESTINATION`,
  );
  const destination = tokens.at(-1);
  need(place, typeof destination === 'string', 'the destination cannot be a here-document');
  for (const { name } of heredocs)
    need(
      place,
      isFileName(name),
      `the here-document ${name} is to become a file of that name, which no file can have`,
      'name it otherwise',
    );
  return {
    kind,
    place,
    text,
    sources: tokens.slice(0, -1).filter((token) => typeof token === 'string'),
    heredocs,
    destination,
    from: single(flags, 'from'),
    chown: single(flags, 'chown'),
    chmod: single(flags, 'chmod'),
    checksum: single(flags, 'checksum'),
    excludes: flags.values.get('exclude') ?? [],
    link: truth(place, flags, 'link') ?? false,
    parents: truth(place, flags, 'parents') ?? false,
    unpack: truth(place, flags, 'unpack'),
  };
}
