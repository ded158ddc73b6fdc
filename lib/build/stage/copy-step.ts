// SPDX-License-Identifier: MIT
/** COPY and ADD: where from, where to, as whose, and what that depends on. */
import { posix } from 'node:path';
import { type ByteString, components, fromText, toText } from '../../base/bytes.js';
import { OverlayError } from '../../base/errors.js';
import { accountIn } from '../../container/server/container-spec.js';
import type { Digest } from '../../image/model/digest.js';
import { openUnion } from '../../overlay/open/open.js';
import { type CopyAttributes, packCopy } from '../copy/copy-archive.js';
import { digestOfSources } from '../copy/copy-digest.js';
import { CopyTree } from '../copy/copy-tree.js';
import { storeStepLayer } from '../copy/store-layer.js';
import { DockerfileError } from '../language/failure.js';
import { IgnoreList } from '../language/ignore.js';
import type { CopyInstruction } from '../language/instructions.js';
import { type ModeChange, parseModeChange } from '../language/mode-change.js';
import { isRepository, isUrl } from '../language/urls.js';
import type { Found } from '../source/source-tree.js';
import { resolvePath } from './configure.js';
import { CopySources, type ExpandedCopy } from './copy-sources.js';
import { stepKey } from './keys.js';
import { chainOf, layerSetOf } from './stage-state.js';
import type { LayerStep, StepSetting } from './step.js';

/** An instruction with its variables replaced. */
interface Expanded extends ExpandedCopy {
  destination: string;
  chown: string | undefined;
  mode: ModeChange | undefined;
  excludes: string[];
}

function expand({ variables, state }: StepSetting, instruction: CopyInstruction): Expanded {
  const { place, sources, destination, chown, chmod, checksum, excludes, from } = instruction;
  const word = (text: string): string => variables.expand(place, text, state.config);
  const maybe = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : word(text);
  const mode = maybe(chmod);
  return {
    instruction,
    sources: sources.map(word),
    destination: word(destination),
    chown: maybe(chown),
    mode: mode === undefined ? undefined : parseModeChange(place, mode),
    excludes: excludes.map(word),
    from: maybe(from),
    checksum: maybe(checksum),
  };
}

export async function makeCopy(setting: StepSetting, instruction: CopyInstruction): Promise<LayerStep> {
  const expanded = expand(setting, instruction);
  checkDestination(expanded);
  checkSources(expanded);
  const skips = skipsOf(expanded.excludes);
  const sources = await CopySources.find(setting, expanded);
  const key = keyOf(setting, expanded, sources, skips);
  return {
    key,
    createdBy: instruction.text,
    async make() {
      const layer = await storeCopy(setting, expanded, await sources.unpacked(), skips);
      // What was copied must be what the key says.
      if (keyOf(setting, expanded, sources, skips) === key) return layer;
      throw new OverlayError({
        operation: 'copy',
        path: expanded.sources.join(' '),
        reason: 'files were changed while they were copied',
        remedy: 'build again when nothing writes to them',
      });
    },
    [Symbol.dispose]: () => sources[Symbol.dispose](),
  };
}

function checkDestination({ instruction, sources, destination }: Expanded): void {
  const count = sources.length + instruction.heredocs.length;
  if (count < 2 || /(^|\/)\.{0,2}$/.test(destination)) return;
  throw new DockerfileError(
    instruction.place,
    `${instruction.kind} has ${count} sources, and ${destination} is no directory`,
    `write ${destination}/`,
  );
}

/** What goes together, as BuildKit's dispatchCopy has it. */
function checkSources({ instruction, sources, checksum }: Expanded): void {
  const { kind, place } = instruction;
  const remote = sources.find((source) => isUrl(source) || isRepository(source));
  if (kind === 'COPY' && remote !== undefined)
    throw new DockerfileError(place, `COPY ${remote}: only ADD fetches what lies elsewhere`, 'write ADD');
  if (checksum !== undefined && (sources.length !== 1 || remote === undefined))
    throw new DockerfileError(
      place,
      '--checksum is for one source that is fetched',
      'leave it out, or add that source alone',
    );
}

function skipsOf(patterns: readonly string[]): (path: ByteString) => boolean {
  const list = IgnoreList.of(patterns);
  return list.isEmpty ? () => false : (path) => list.ignores(toText(path));
}

function keyOf(
  { state }: StepSetting,
  { instruction, destination, chown, excludes }: Expanded,
  { pieces, found }: CopySources,
  skips: (path: ByteString) => boolean,
): Digest {
  const { kind, link, parents, chmod, unpack } = instruction;
  const content = digestOfSources(found, skips);
  const shape = pieces.map((piece) =>
    piece.found.map((found) => (found.node.isDirectory() && !parents ? '/' : keptPath(found).join('/'))),
  );
  return stepKey(kind, [
    link ? null : chainOf(state),
    resolvePath(state.config, destination) + (/(^|\/)\.{0,2}$/.test(destination) ? '/' : ''),
    [chown ?? null, chmod ?? null, unpack ?? null, excludes, parents],
    shape,
    content,
  ]);
}

async function storeCopy(
  setting: StepSetting,
  expanded: Expanded,
  all: readonly Found[],
  skips: (path: ByteString) => boolean,
) {
  const { build, state } = setting;
  const { instruction, destination, mode } = expanded;
  const layers = instruction.link ? undefined : layerSetOf(build.store, state);
  const base = layers === undefined ? undefined : openUnion(layers);
  const tree = new CopyTree(base);
  try {
    const target = resolvePath(state.config, destination);
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

/** What `--parents` keeps of a path. */
function keptPath({ path, pivot }: Found): ByteString[] {
  return components(path).slice(pivot);
}

/** Of a file its directory, of a directory itself. */
function parentOf(found: Found): string {
  const parts = keptPath(found);
  return toText((found.node.isDirectory() ? parts : parts.slice(0, -1)).join('/'));
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
