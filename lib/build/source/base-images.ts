// SPDX-License-Identifier: MIT
/** Images that a build begins with or copies from: those of the store, or fetched if they are not there. */

import { OverlayError } from '../../base/errors.js';
import type { Platform } from '../../image/model/platform.js';
import { parseReference } from '../../image/model/reference.js';
import { findForPlatform } from '../../image/store/image-platform.js';
import { findImage, type Image } from '../../image/store/images.js';
import type { Store } from '../../image/store/store.js';
import type { TransferProgress } from '../../image/transfer/progress.js';

/** How the images are looked for. */
export interface BaseImageOptions {
  /** They are looked up in their registries, whether they are there or not. */
  readonly pull: boolean;
  readonly progress: { note(text: string): void; transfer(): TransferProgress };
  readonly signal: AbortSignal;
}

export class BaseImages {
  /** Each is looked for once in a build. */
  readonly #known = new Map<string, Promise<Image>>();

  constructor(
    private readonly store: Store,
    private readonly options: BaseImageOptions,
  ) {}

  get(name: string, platform: Platform | undefined): Promise<Image> {
    const key = `${name} ${JSON.stringify(platform ?? null)}`;
    const image = this.#known.get(key) ?? this.#find(name, platform);
    this.#known.set(key, image);
    return image;
  }

  async #find(name: string, platform: Platform | undefined): Promise<Image> {
    const known = this.options.pull ? undefined : findForPlatform(this.store, name, platform, true);
    if (known !== undefined) return known;
    const { progress, signal } = this.options;
    // Loaded only here: mostly everything is there.
    const [{ pullImage }, { readRegistryConfig }] = await Promise.all([
      import('../../image/transfer/pull.js'),
      import('../../image/registry/config.js'),
    ]);
    await pullImage(this.store, parseReference(name), {
      platform,
      registries: readRegistryConfig(),
      progress: progress.transfer(),
      signal,
    });
    return findImage(this.store, name).image;
  }

  /** Undefined for one that cannot be had: a build goes on without its cache. */
  async tryGet(name: string): Promise<Image | undefined> {
    try {
      return await this.get(name, undefined);
    } catch (failure) {
      if (!(failure instanceof OverlayError)) throw failure;
      this.options.progress.note(`--cache-from ${name} is left out: ${failure.message}`);
      return undefined;
    }
  }
}
