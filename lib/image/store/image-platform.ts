// SPDX-License-Identifier: MIT
/** For which platform an image of the store is, and whether that is the one that is asked for. */
import { OverlayError } from '../../base/errors.js';
import { fitness, type Platform, platformName } from '../model/platform.js';
import { findImage, hasImage, type Image } from './images.js';
import type { Store } from './store.js';

/** An index counts more than the configuration, which tools forget to change. */
export function platformOf({ stated, config: { os, architecture, variant } }: Image): Platform {
  return stated ?? { os, architecture, variant };
}

function serves(image: Image, platform: Platform | undefined): boolean {
  return platform === undefined || fitness(platform, platformOf(image)) > 0;
}

/**
 * The image of that name or id for a platform, if one is asked for; undefined
 * where it may be pulled. Throws an OverlayError where it is not here and may not be,
 * or where what is here under an id is for another platform.
 */
export function findForPlatform(
  store: Store,
  text: string,
  platform: Platform | undefined,
  mayPull: boolean,
): Image | undefined {
  if (mayPull && !hasImage(store, text)) return undefined;
  const { image, name } = findImage(store, text);
  if (serves(image, platform)) return image;
  // The digest may be of an index that has others.
  if (mayPull && (name !== undefined || text.includes('@'))) return undefined;
  throw new OverlayError({
    operation: 'find image',
    path: text,
    reason: `it is for ${platformName(platformOf(image))}, not for ${platformName(platform!)}`,
    remedy: 'leave --platform out, or pull the image for that platform',
  });
}
