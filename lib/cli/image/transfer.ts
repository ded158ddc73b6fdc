// SPDX-License-Identifier: MIT
/** `tsoverlay pull`, `push` and `search`. */
import { OverlayError, quote, UsageError } from '../../base/errors.js';
import { findCredentials } from '../../image/credentials/credentials.js';
import { platformOption } from '../../image/model/platform.js';
import {
  familiarName,
  familiarRepository,
  fullName,
  parseName,
  parseReference,
  parseRegistry,
} from '../../image/model/reference.js';
import { isAbsence } from '../../image/registry/answer.js';
import { endpointsFor, readRegistryConfig } from '../../image/registry/config.js';
import { RegistryHttp } from '../../image/registry/http.js';
import { listRepositories } from '../../image/registry/lists.js';
import { Repository } from '../../image/registry/registry.js';
import { Warnings } from '../../image/registry/warnings.js';
import { Store } from '../../image/store/store.js';
import { pullImage } from '../../image/transfer/pull.js';
import { pushImage } from '../../image/transfer/push.js';
import type { Arguments } from '../commands/table.js';
import { interruptible } from '../words/interruption.js';
import { limitsFrom } from './limits.js';
import { transferProgress } from './progress.js';

export async function pull(args: Arguments<'pull'>): Promise<void> {
  const store = Store.open(args.root);
  const platform = platformOption(args.platform);
  const progress = transferProgress(args.quiet);
  const warnings = new Warnings(progress);
  const options = {
    platform,
    registries: readRegistryConfig(),
    progress,
    warnings,
    limits: limitsFrom(args),
  };
  for (const name of await namesToPull(args, warnings)) {
    const reference = parseReference(name);
    const { digest, isNew } = await interruptible((signal) =>
      pullImage(store, reference, { ...options, signal }),
    );
    if (args.quiet) {
      process.stdout.write(`${fullName(reference)}\n`);
      continue;
    }
    const outcome = isNew ? 'Downloaded newer image' : 'Image is up to date';
    process.stdout.write(
      `Digest: ${digest}\nStatus: ${outcome} for ${familiarName(reference)}\n${fullName(reference)}\n`,
    );
  }
}

/** With --all-tags every tag of the repository. */
async function namesToPull(
  { name, 'all-tags': all }: Arguments<'pull'>,
  warnings: Warnings,
): Promise<string[]> {
  if (!all) return [name];
  const repository = parseName(name);
  if (repository.tag !== undefined || repository.digest !== undefined) {
    throw new UsageError('--all-tags does not go with a tag or a digest', 'give the repository alone');
  }
  const tags = await tagsOf(name, warnings);
  return tags.map((tag) => `${familiarRepository(repository)}:${tag}`);
}

async function tagsOf(name: string, warnings: Warnings): Promise<string[]> {
  const { domain, path } = parseName(name);
  return withRegistry(domain, path, warnings, (http) =>
    new Repository(http, path).listTags().catch((cause) => {
      if (!isAbsence(cause)) throw cause;
      const { words } = cause.refusal;
      throw new OverlayError({
        operation: 'list the tags of',
        path: name,
        reason: `the registry has no such repository${words === '' ? '' : ` (${words})`}`,
        cause,
      });
    }),
  );
}

async function withRegistry<T>(
  domain: string,
  repository: string | undefined,
  warnings: Warnings,
  work: (http: RegistryHttp) => Promise<T>,
): Promise<T> {
  const endpoint = endpointsFor(domain, { ...readRegistryConfig(), mirrors: [] })[0];
  const http = new RegistryHttp(endpoint, () => findCredentials(domain, repository), warnings);
  try {
    return await work(http);
  } finally {
    http.close();
  }
}

export async function push(args: Arguments<'push'>): Promise<void> {
  const store = Store.open(args.root);
  const digest = await pushImage(store, args.name, {
    registries: readRegistryConfig(),
    progress: transferProgress(args.quiet),
  });
  const reference = parseReference(args.name);
  process.stdout.write(args.quiet ? `${fullName(reference)}\n` : `${reference.tag}: digest: ${digest}\n`);
}

/** The repositories of a registry, or the tags of a repository, that hold a word. */
export async function search({ registry, term, tags, json }: Arguments<'search'>): Promise<void> {
  const warnings = new Warnings(transferProgress(true));
  const found = tags ? await tagsOf(registry, warnings) : await repositoriesOf(registry, warnings);
  const shown = found.filter((name) => term === undefined || name.includes(term));
  if (json) process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
  else for (const name of shown) process.stdout.write(`${quote(name)}\n`);
}

async function repositoriesOf(registry: string, warnings: Warnings): Promise<string[]> {
  return withRegistry(parseRegistry(registry), undefined, warnings, (http) =>
    listRepositories(http).catch((cause) => {
      if (!isAbsence(cause)) throw cause;
      throw new OverlayError({
        operation: 'search',
        path: registry,
        reason: 'the registry does not list what it has',
        remedy: 'name a repository and give --tags',
        cause,
      });
    }),
  );
}
