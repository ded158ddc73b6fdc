// SPDX-License-Identifier: MIT
/** Instructions that make layers as steps: words replaced, what is read, what the key is made of. */
import { posix } from 'node:path';
import { fromText } from '../../base/bytes.js';
import { isDigest } from '../../image/model/digest.js';
import { DockerfileError } from '../language/failure.js';
import { isFileName, isHeredocAlone } from '../language/heredoc.js';
import { IgnoreList } from '../language/ignore.js';
import type { CopyInstruction, RunInstruction, WorkdirInstruction } from '../language/instructions.js';
import { parseModeChange } from '../language/mode-change.js';
import type { MountFields } from '../language/mount-fields.js';
import { parseRunMount } from '../language/run-mount.js';
import { scriptPath } from '../language/scripts.js';
import { isRepository, isUrl } from '../language/urls.js';
import type {
  CopyStep,
  KeyPart,
  Origin,
  PlannedMount,
  PlanRequest,
  RunStep,
  Source,
  Word,
  WorkdirStep,
} from './plan.js';
import type { Scope } from './scope.js';

/** What a step's instruction is planned with. */
export interface StepContext {
  scope: Scope;
  request: Pick<PlanRequest, 'network' | 'extraHosts'>;
  /** What `from` names. Throws a DockerfileError for a stage that there is not. */
  originOf(instruction: RunInstruction | CopyInstruction, from: Word): Origin;
}

/** A path in the image; relative to the working directory, it is known when the step is executed. */
function pathPart(path: Word, suffix: string, awaits: string): KeyPart {
  return typeof path === 'string' && path.startsWith('/') ? posix.resolve(path) + suffix : { awaits };
}

export function planWorkdir(instruction: WorkdirInstruction, scope: Scope): WorkdirStep<Word> {
  const value = scope.word(instruction.place, instruction.value);
  return {
    ...instruction,
    value,
    key: [{ awaits: 'layers' }, pathPart(value, '', 'path'), { awaits: 'user' }],
  };
}

/** Whether a destination is a directory by the way it is written. */
export function isDirectoryName(destination: string): boolean {
  return /(^|\/)\.{0,2}$/.test(destination);
}

export function planCopy(instruction: CopyInstruction, context: StepContext): CopyStep<Word> {
  const { scope } = context;
  const { sources: texts, heredocs, ...written } = instruction;
  const { place, link, parents, unpack } = instruction;
  const word = (text: string): Word => scope.word(place, text);
  const maybe = (text: string | undefined): Word | undefined => (text === undefined ? undefined : word(text));
  const destination = word(instruction.destination);
  const chown = maybe(instruction.chown);
  const chmod = maybe(instruction.chmod);
  const checksum = maybe(instruction.checksum);
  const excludes = instruction.excludes.map(word);
  const from = maybe(instruction.from);
  const origin: Origin = from === undefined ? { kind: 'context' } : context.originOf(instruction, from);
  const sources: Source[] = [
    ...texts.map((text) => sourceOf(instruction, word(text), origin)),
    ...heredocs.map(
      ({ name, content, expands }): Source => ({
        kind: 'document',
        name,
        content: expands ? scope.document(place, content) : content,
      }),
    ),
  ];
  const suffix = typeof destination === 'string' && isDirectoryName(destination) ? '/' : '';
  const step: CopyStep<Word> = {
    ...written,
    ...{ destination, chown, chmod, checksum, excludes, from, sources },
    key: [
      link ? null : { awaits: 'layers' },
      pathPart(destination, suffix, 'destination'),
      [chown ?? null, chmod ?? null, unpack ?? null, excludes, parents],
      { awaits: 'shape' },
      { awaits: 'content' },
    ],
  };
  checkCopy(step);
  return step;
}

/** Throws a DockerfileError for what is not copied from there. */
function sourceOf({ kind, place }: CopyInstruction, word: Word, origin: Origin): Source {
  if (typeof word !== 'string')
    return kind === 'ADD' ? { kind: 'awaited', source: word } : { kind: 'path', origin, path: word };
  if (!isUrl(word) && !isRepository(word)) return { kind: 'path', origin, path: word };
  if (kind === 'COPY')
    throw new DockerfileError(place, `COPY ${word}: only ADD fetches what lies elsewhere`, 'write ADD');
  if (!isRepository(word)) return { kind: 'url', url: word };
  throw new DockerfileError(
    place,
    `ADD ${word}: repositories of git are not fetched`,
    'clone it in a RUN, or into the context',
  );
}

/** What goes together, as BuildKit's dispatchCopy has it; what is awaited is checked when it is there. */
function checkCopy({ kind, place, sources, destination, chmod, checksum, excludes }: CopyStep<Word>): void {
  if (typeof destination === 'string' && sources.length > 1 && !isDirectoryName(destination))
    throw new DockerfileError(
      place,
      `${kind} has ${sources.length} sources, and ${destination} is not a directory`,
      `write ${destination}/`,
    );
  if (typeof chmod === 'string') parseModeChange(place, chmod);
  IgnoreList.of(excludes.filter((exclude) => typeof exclude === 'string'));
  if (checksum === undefined || (sources.length === 1 && sources[0].kind === 'awaited')) return;
  if (sources.length !== 1 || sources[0].kind !== 'url')
    throw new DockerfileError(
      place,
      '--checksum is for one source that is fetched',
      'leave it out, or add that source alone',
    );
  if (typeof checksum === 'string' && !isDigest(checksum))
    throw new DockerfileError(
      place,
      `--checksum=${checksum} is not a digest`,
      'write sha256: and 64 hexadecimal digits',
    );
}

export function planRun(instruction: RunInstruction, context: StepContext): RunStep<Word> {
  const { place, text } = instruction;
  const { scope, request } = context;
  const mounts = instruction.mounts.map((fields) => planMount(instruction, fields, context));
  const { command, scripts } = programOf(instruction);
  const network = instruction.network === 'default' ? request.network : instruction.network;
  const seen = scope.visibleArguments;
  return {
    ...{ kind: 'RUN', place, text, command, scripts, network, arguments: seen, mounts },
    key: [
      { awaits: 'layers' },
      scope.isOpen ? { awaits: 'environment' } : scope.environment,
      scope.isOpen ? { awaits: 'arguments' } : seen,
      { awaits: 'settings' },
      [
        command.form === 'exec' ? command.args : { awaits: 'program' },
        scripts.map(({ content }) => content),
        network,
        request.extraHosts,
      ],
      mounts.map(mountPart),
    ],
  };
}

/** With `<<EOF` alone the document is the script; otherwise the shell is given it with the line (as BuildKit does it). */
function programOf({ command, heredocs, place }: RunInstruction): Pick<RunStep, 'command' | 'scripts'> {
  if (command.form === 'exec' || heredocs.length === 0) return { command, scripts: [] };
  const [first] = heredocs;
  const isAlone = heredocs.length === 1 && isHeredocAlone(command.line);
  if (isAlone && first.content.startsWith('#!')) {
    if (isFileName(first.name))
      return { command: { form: 'exec', args: [scriptPath(first.name)] }, scripts: [first] };
    throw new DockerfileError(
      place,
      `no script can be called ${first.name}`,
      'name the here-document otherwise',
    );
  }
  const documents = heredocs.map(({ content, name }) => `${content}${name}\n`).join('');
  const line = isAlone ? first.content : `${command.line}\n${documents}`;
  return { command: { form: 'shell', line }, scripts: [] };
}

function planMount(instruction: RunInstruction, fields: MountFields, context: StepContext): PlannedMount {
  const values = fields.entries.map(([name, value]): [string, Word] => [
    name,
    context.scope.word(instruction.place, value),
  ]);
  const from = values.find(([name]) => name === 'from')?.[1];
  const origin = from === undefined ? undefined : context.originOf(instruction, from);
  const known = values.filter((value): value is [string, string] => typeof value[1] === 'string');
  if (known.length < values.length) return { type: 'awaited', fields: values, origin };
  const mount = parseRunMount(fields.with(known));
  if (mount.type === 'bind') return { ...mount, origin: origin ?? { kind: 'context' } };
  return mount.type === 'cache' ? { ...mount, origin } : mount;
}

/** What the content of a bound directory or file is called in the key. */
export function contentOfMount(index: number): string {
  return `content of mount ${index}`;
}

/** What is kept from build to build is no input; what is bound is, by its content or its layers. */
function mountPart(planned: PlannedMount, index: number): KeyPart {
  if (planned.type === 'awaited') return { awaits: `mount ${index}` };
  if (planned.type !== 'bind' && planned.type !== 'cache') return planned;
  const { origin: _, ...mount } = planned;
  return mount.type === 'bind' ? [mount, { awaits: contentOfMount(index) }, fromText(mount.source)] : mount;
}
