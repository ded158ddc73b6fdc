// SPDX-License-Identifier: MIT
/** COPY and ADD: where from, where to, as whose, and what that depends on. */
import { chmodSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { type ByteString, components, fromText, toText } from '../../base/bytes.js';
import { OverlayError } from '../../base/errors.js';
import { accountIn } from '../../container/spec/container-spec.js';
import { type Digest, isDigest } from '../../image/digest.js';
import { Staging } from '../../image/staging.js';
import { openUnion } from '../../overlay/open.js';
import { type CopyAttributes, digestOfSources, packCopy } from '../copy/copy-archive.js';
import { CopyTree } from '../copy/copy-tree.js';
import { type ModeChange, parseModeChange } from '../copy/mode-change.js';
import { DockerfileError } from '../language/failure.js';
import type { CopyInstruction } from '../language/instructions.js';
import { heredocName } from '../language/lines.js';
import { IgnoreList } from '../source/ignore.js';
import { archiveKindOf, openArchive } from '../source/local-archive.js';
import { type Found, SourceTree } from '../source/source-tree.js';
import { isRepository, isUrl } from '../source/urls.js';
import { storeStepLayer } from '../store-layer.js';
import { resolvePath } from './configure.js';
import { stepKey } from './keys.js';
import type { LayerStep, StepSetting } from './stage-builder.js';
import { chainOf, layerSetOf } from './stage-state.js';

/** Words of an instruction with their variables replaced. */
interface Expanded {
  instruction: CopyInstruction;
  sources: string[];
  destination: string;
  chown: string | undefined;
  mode: ModeChange | undefined;
  excludes: string[];
  from: string | undefined;
}

/** One source, found. An archive of ADD is taken apart when the layer is made. */
interface Piece {
  found: Found[];
  /** What was written, for messages. */
  text: string;
  unpacks: boolean;
}

/** What has to be given back when a copy is over. */
class Scope implements Disposable {
  readonly #owned: Disposable[] = [];
  #staging: Staging | undefined;
  #count = 0;

  constructor(private readonly root: string) {}

  own<T extends Disposable>(thing: T): T {
    this.#owned.push(thing);
    return thing;
  }

  /** A path for a new directory. */
  scratch(): string {
    this.#staging ??= Staging.make({ root: this.root });
    return join(this.#staging.path, String(this.#count++));
  }

  [Symbol.dispose](): void {
    for (const thing of this.#owned.reverse()) thing[Symbol.dispose]();
    this.#staging?.[Symbol.dispose]();
  }
}

function expand({ variables, state }: StepSetting, instruction: CopyInstruction): Expanded {
  const { place, sources, destination, chown, chmod, excludes, from } = instruction;
  const word = (text: string): string => variables.expand(place, text, state.config);
  const maybe = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : word(text);
  const mode = maybe(chmod);
  return {
    instruction,
    sources: sources.map((source) => (heredocName(source) === undefined ? word(source) : source)),
    destination: word(destination),
    chown: maybe(chown),
    mode: mode === undefined ? undefined : parseModeChange(place, mode),
    excludes: excludes.map(word),
    from: maybe(from),
  };
}

export async function makeCopy(setting: StepSetting, instruction: CopyInstruction): Promise<LayerStep> {
  const expanded = expand(setting, instruction);
  checkDestination(expanded);
  const skips = skipsOf(expanded.excludes);
  const key = await withPieces(setting, expanded, async (pieces) => keyOf(setting, expanded, pieces, skips));
  return {
    key,
    createdBy: instruction.text,
    make: () =>
      withPieces(setting, expanded, async (pieces, scope) => {
        const layer = await storeCopy(setting, expanded, await unpacked(setting, pieces, scope), skips);
        // What was copied must be what the key says.
        if (keyOf(setting, expanded, pieces, skips) === key) return layer;
        throw new OverlayError({
          operation: 'copy',
          path: expanded.sources.join(' '),
          reason: 'files were changed while they were copied',
          remedy: 'build again when nothing writes to them',
        });
      }),
  };
}

function checkDestination({ instruction, sources, destination }: Expanded): void {
  if (sources.length < 2 || /(^|\/)\.{0,2}$/.test(destination)) return;
  throw new DockerfileError(
    instruction.place,
    `${instruction.kind} has ${sources.length} sources, and ${destination} is no directory`,
    `write ${destination}/`,
  );
}

function skipsOf(patterns: readonly string[]): (path: ByteString) => boolean {
  const list = IgnoreList.of(patterns);
  return list.isEmpty ? () => false : (path) => list.ignores(toText(path));
}

/** Finds the sources, for as long as `work` takes. */
async function withPieces<T>(
  setting: StepSetting,
  expanded: Expanded,
  work: (pieces: Piece[], scope: Scope) => Promise<T>,
): Promise<T> {
  using scope = new Scope(setting.build.store.root);
  const pieces: Piece[] = [];
  for (const [index, source] of expanded.sources.entries()) {
    pieces.push(await findPiece(setting, expanded, source, index, scope));
  }
  return await work(pieces, scope);
}

async function findPiece(
  setting: StepSetting,
  expanded: Expanded,
  source: string,
  index: number,
  scope: Scope,
): Promise<Piece> {
  const { kind, unpack, place } = expanded.instruction;
  const { build } = setting;
  if (heredocName(source) !== undefined)
    return { found: documentPiece(setting, expanded, index, scope), text: source, unpacks: false };
  if (kind === 'ADD' && isRepository(source)) {
    throw new DockerfileError(
      place,
      `ADD ${source}: repositories of git are not fetched`,
      'clone it in a RUN, or into the context',
    );
  }
  if (kind === 'ADD' && isUrl(source))
    return { found: await fetched(setting, expanded, source, scope), text: source, unpacks: unpack === true };
  const tree =
    expanded.from === undefined
      ? await build.context()
      : scope.own(await openStage(setting, expanded.from, place));
  return { found: tree.find(source), text: source, unpacks: kind === 'ADD' && unpack !== false };
}

async function openStage(
  { build, stage }: StepSetting,
  from: string,
  place: CopyInstruction['place'],
): Promise<SourceTree> {
  const layers = await build.layersOf(stage, place, from);
  if (layers === undefined) throw new DockerfileError(place, `${from} has no files`, 'see what --from names');
  return new SourceTree(layers, from, true);
}

/** The here-documents come in the order in which they are named. */
function documentPiece(
  { variables, state }: StepSetting,
  expanded: Expanded,
  index: number,
  scope: Scope,
): Found[] {
  const { place, sources, heredocs } = expanded.instruction;
  const before = sources.slice(0, index).filter((source) => heredocName(source) !== undefined).length;
  const { name, content, expands } = heredocs[before];
  const directory = scope.scratch();
  mkdirSync(directory);
  const path = join(directory, name);
  writeFileSync(path, expands ? variables.expandDocument(place, content, state.config) : content);
  chmodSync(path, 0o644);
  const now = new Date();
  utimesSync(path, now, now);
  return scope.own(new SourceTree({ lowers: [directory] }, name, false)).find(escaped(name));
}

function escaped(name: string): string {
  return name.replace(/[*?[\\]/g, '\\$&');
}

async function fetched(
  { build }: StepSetting,
  expanded: Expanded,
  url: string,
  scope: Scope,
): Promise<Found[]> {
  const { checksum, place } = expanded.instruction;
  if (checksum !== undefined && !isDigest(checksum))
    throw new DockerfileError(
      place,
      `--checksum=${checksum} is no digest`,
      'write sha256: and 64 hexadecimal digits',
    );
  const directory = scope.scratch();
  // Loaded only here: what speaks HTTP takes its time.
  const { fetchFile } = await import('../source/fetch.js');
  const { name } = await fetchFile(url, directory, checksum, build.signal);
  return scope.own(new SourceTree({ lowers: [directory] }, url, false)).find(escaped(name));
}

function keyOf(
  { state }: StepSetting,
  { instruction, destination, chown, excludes }: Expanded,
  pieces: readonly Piece[],
  skips: (path: ByteString) => boolean,
): Digest {
  const { kind, link, parents, chmod, unpack } = instruction;
  const content = digestOfSources(
    pieces.flatMap(({ found }) => found),
    skips,
  );
  const shape = pieces.map(({ found }) =>
    found.map(({ path, node }) => (node.isDirectory() && !parents ? '/' : path)),
  );
  return stepKey(kind, [
    link ? null : chainOf(state),
    resolvePath(state.config, destination) + (/(^|\/)\.{0,2}$/.test(destination) ? '/' : ''),
    [chown ?? null, chmod ?? null, unpack ?? null, excludes, parents],
    shape,
    content,
  ]);
}

/** Archives among what ADD has found are taken apart. */
async function unpacked({ build }: StepSetting, pieces: readonly Piece[], scope: Scope): Promise<Piece[]> {
  const done: Piece[] = [];
  for (const piece of pieces) {
    const found: Found[] = [];
    for (const one of piece.found) {
      const kind = piece.unpacks ? await archiveKindOf(one, build.signal) : undefined;
      if (kind === undefined) {
        found.push(one);
        continue;
      }
      const tree = scope.own(await openArchive(one, kind, scope.scratch(), build.signal));
      found.push(...tree.find('/'));
    }
    done.push({ ...piece, found });
  }
  return done;
}

async function storeCopy(
  setting: StepSetting,
  expanded: Expanded,
  pieces: readonly Piece[],
  skips: (path: ByteString) => boolean,
) {
  const { build, state } = setting;
  const { instruction, destination, mode } = expanded;
  const layers = instruction.link ? undefined : layerSetOf(build.store, state);
  const base = layers === undefined ? undefined : openUnion(layers);
  const tree = new CopyTree(base);
  try {
    const target = resolvePath(state.config, destination);
    const all = pieces.flatMap(({ found }) => found);
    const isInto = /(^|\/)\.{0,2}$/.test(destination) || all.length > 1;
    for (const found of all) {
      const place = instruction.parents ? posix.join(target, parentOf(found)) : target;
      tree.copy(found, fromText(place), isInto || instruction.parents, skips);
    }
    const attributes: CopyAttributes = { owner: ownerOf(setting, expanded), mode };
    return await storeStepLayer(build.store, packCopy(base, tree, attributes), state.layers);
  } finally {
    tree[Symbol.dispose]();
    base?.close();
  }
}

/** Of a file its directory, of a directory itself. */
function parentOf({ node, path }: Found): string {
  const parts = components(path);
  return toText((node.isDirectory() ? parts : parts.slice(0, -1)).join('/'));
}

/** Names are those of the image so far. */
function ownerOf({ build, state }: StepSetting, { chown, instruction }: Expanded): CopyAttributes['owner'] {
  if (chown === undefined) return undefined;
  const view = layerSetOf(build.store, state);
  const [user, group] = chown.split(':');
  if (view === undefined) {
    if (/^\d+(:\d+)?$/.test(chown)) return { uid: Number(user), gid: Number(group ?? user) };
    throw new DockerfileError(
      instruction.place,
      `--chown=${chown}: an empty image has no names`,
      'give numbers',
    );
  }
  const { uid, gid } = accountIn(view, chown);
  // A number that has no account is its own group, too.
  return { uid, gid: group === undefined && /^\d+$/.test(user) ? Number(user) : gid };
}
