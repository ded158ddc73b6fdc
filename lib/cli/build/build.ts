// SPDX-License-Identifier: MIT
/** `tsoverlay build`. */
import { rmSync, writeFileSync } from 'node:fs';
import { OverlayError, UsageError } from '../../base/errors.js';
import { type BuiltImage, buildImage } from '../../build/build-image.js';
import { PlacedError } from '../../build/language/failure.js';
import { openContext } from '../../build/source/context.js';
import { StepFailure } from '../../build/stage/failure.js';
import type { BuildOptions } from '../../build/stage/options.js';
import type { BuildProgress } from '../../build/stage/progress.js';
import { shortId } from '../../image/model/digest.js';
import { platformOption } from '../../image/model/platform.js';
import { familiarName, parseName } from '../../image/model/reference.js';
import { makeShownDirectory, Staging } from '../../image/store/staging.js';
import { Store } from '../../image/store/store.js';
import type { Arguments } from '../commands/table.js';
import { parseExtraHost } from '../container/hosts.js';
import { labelsFrom } from '../container/key-values.js';
import { isSpecial, isStandard } from '../image/write-out.js';
import { interruptible } from '../words/interruption.js';
import { excerpt, RememberingProgress } from './failure-report.js';
import { JsonProgress, PlainProgress } from './progress-plain.js';
import { TerminalProgress } from './progress-terminal.js';
import {
  type DockerfileText,
  parseBuildArguments,
  parseNames,
  parseOutput,
  parseSecrets,
  readDockerfile,
} from './requests.js';

const PROGRESS = ['auto', 'plain', 'tty', 'json', 'quiet'];
const NETWORKS = ['default', 'none', 'host'] as const;

function progressFor({ progress, quiet }: BuildArguments): BuildProgress {
  if (!PROGRESS.includes(progress))
    throw new UsageError(`--progress ${progress} is not possible`, `it is ${PROGRESS.join(', ')}`);
  if (quiet || progress === 'quiet') return new PlainProgress(process.stderr, true);
  if (progress === 'json') return new JsonProgress(process.stderr);
  if (progress === 'plain' || (progress === 'auto' && !process.stderr.isTTY))
    return new PlainProgress(process.stderr, false);
  return new TerminalProgress(process.stderr);
}

function networkFrom(text: string): BuildOptions['network'] {
  const known = NETWORKS.find((name) => name === text);
  if (known !== undefined) return known;
  throw new UsageError(`--network ${text} is not possible`, `it is ${NETWORKS.join(', ')}`);
}

/** A build without a context has an empty one. */
function contextOf(store: Store, args: BuildArguments, { path }: DockerfileText) {
  if (!isStandard(args.context))
    return { context: openContext(args.context, path), [Symbol.dispose]: () => undefined };
  const staging = Staging.make(store);
  const directory = `${staging.path}/context`;
  makeShownDirectory(directory);
  return { context: openContext(directory, undefined), [Symbol.dispose]: () => staging[Symbol.dispose]() };
}

type BuildArguments = Arguments<'build'> & { context: string };

export async function build(given: Arguments<'build'>): Promise<void> {
  const args = { ...given, context: given.context ?? '.' };
  const shown = progressFor(args);
  const names = parseNames(args.tag);
  const output = parseOutput(args.output);
  const network = networkFrom(args.network);
  const secrets = parseSecrets(args.secret);
  const buildArguments = parseBuildArguments(args['build-arg']);
  const platform = platformOption(args.platform);
  const dockerfile = await readDockerfile(args.context, args.file);
  const store = Store.open(args.root);
  const progress = new RememberingProgress(shown);
  // One of an earlier build would be taken for this one's.
  if (args.iidfile !== undefined && !isSpecial(args.iidfile)) rmSync(args.iidfile, { force: true });
  try {
    using scope = contextOf(store, args, dockerfile);
    const built = await interruptible((signal) =>
      buildImage(
        store,
        {
          context: scope.context,
          dockerfile,
          target: args.target,
          args: buildArguments,
          labels: labelsFrom(args.label, []),
          secrets,
          platform,
          cacheFrom: args['cache-from'],
          noCache: args['no-cache'],
          pull: args.pull,
          network,
          extraHosts: args['add-host'].map(parseExtraHost),
          progress,
          signal,
        },
        { names, squash: args.squash },
      ),
    );
    if (shown instanceof TerminalProgress) shown.finish();
    if (output !== undefined) {
      const { writeOutput } = await import('./outputs.js');
      await writeOutput(store, built.manifestDigest, names, output);
    }
    report(args, built, names, output?.destination === '-');
  } catch (failure) {
    if (shown instanceof TerminalProgress) shown.stop();
    await explain(failure, store, args, dockerfile, progress);
    throw failure;
  }
}

function report(
  args: BuildArguments,
  { id, steps, cachedSteps }: BuiltImage,
  names: string[],
  isTaken: boolean,
): void {
  if (args.iidfile !== undefined) writeFileSync(args.iidfile, id);
  if (isTaken) return;
  if (args.quiet) {
    process.stdout.write(`${id}\n`);
    return;
  }
  const cached = cachedSteps === 0 ? '' : `, ${cachedSteps} cached`;
  process.stdout.write(`Built ${shortId(id)} in ${steps} steps${cached}\n`);
  for (const name of names) process.stdout.write(`Tagged ${familiarName(parseName(name))}\n`);
}

/** What people want to see before the one line that says what is wrong. */
async function explain(
  failure: unknown,
  store: Store,
  args: BuildArguments,
  { text, file }: DockerfileText,
  { failed }: RememberingProgress,
): Promise<void> {
  if (!(failure instanceof OverlayError)) return;
  if (failure instanceof StepFailure && failed !== undefined && args.progress !== 'json')
    process.stderr.write(`------\n${failed.join('\n')}\n------\n`);
  // A trigger of ONBUILD is of another file.
  const isShown = failure instanceof PlacedError && failure.place.file === file && args.progress !== 'json';
  if (isShown) process.stderr.write(excerpt(text, file, failure.place.line));
  if (!(failure instanceof StepFailure) || !args['debug-shell']) return;
  const { openDebugShell } = await import('./debug-shell.js');
  await openDebugShell(store, failure);
}
