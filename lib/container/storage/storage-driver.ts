import type { Rewrite } from '../../image/pack/node.js';
import type { Store } from '../../image/store/store.js';
import type { HeldMount } from '../../mount/config.js';
import type { Mount } from '../../mount/mount.js';
import type { Change } from '../../overlay/inspect/diff.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import type { Shim } from '../../supervise/shim.js';
import type { ContainerImage } from '../state/config.js';

/** Where a container lies; its directory may not have its final name yet. */
export interface ContainerPlace {
  readonly store: Store;
  /** Absolute. It holds `upper`, `work` and `rootfs`. */
  readonly directory: string;
  readonly image: ContainerImage;
}

export interface MountWish {
  /** MS_* flags; see mount(2). */
  flags: number;
  /** Called with the text of an error in a request, which was answered EIO. */
  onFault(text: string): void;
}

/** A root file system that is shown. */
export interface ShownRoot {
  /** What makes it, for the next server; undefined where the kernel serves it. */
  readonly held?: HeldMount | undefined;
  /** It is kept by that shim from now on. */
  keptBy?(shim: Shim): void;
  /** Takes it away again. */
  release(): Promise<void>;
}

export interface StorageDriver {
  /** Makes what is particular to the driver. Throws an OverlayError where the store cannot have it. */
  create(place: ContainerPlace): Promise<void>;
  /** Shows the root file system at `rootfs`. */
  mount(place: ContainerPlace, wish: MountWish): Promise<ShownRoot>;
  /** The one that an earlier server of the container has shown; `resumed` is its mount where we serve it. */
  resume(place: ContainerPlace, resumed: Mount | undefined): Promise<ShownRoot>;
  /** What the container has now, to be read beside a mount. */
  view(place: ContainerPlace): LayerSet;
  /** What differs from the image, as `docker diff` says it. */
  changes(place: ContainerPlace): Change[];
  /** The same as a layer's archive; `rewrite` changes attributes on the way. */
  pack(place: ContainerPlace, rewrite?: Rewrite): Generator<Buffer>;
  /** Takes away what a plain removal of the directory would not. */
  remove(place: ContainerPlace): Promise<void>;
}
