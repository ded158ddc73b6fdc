// SPDX-License-Identifier: MIT
/** The library's public face. */
export { OverlayError, UsageError } from './base/errors.js';
export { Overlay, type Path } from './library/overlay.js';
export type { FilePromises, OverlayGlobOptions } from './library/shape.js';
export { OverlayBigIntStats, OverlayDirent, OverlayStats } from './library/stats.js';
export type { DriverName, MountFigures } from './mount/config.js';
export { Mount, type MountOptions, mount } from './mount/mount.js';
export type { Change, ChangeKind } from './overlay/inspect/diff.js';
export type { Explanation, LayerFinding, LayerRole } from './overlay/inspect/explain.js';
export type { LayerSet } from './overlay/layers/layer-set.js';
