// SPDX-License-Identifier: MIT
/** What a container has of a network, and what of it the next server is given. */
import type { HeldList } from '../../supervise/held.js';
import type { PortMapping } from '../state/config.js';
import type { Attachment } from './bridge.js';
import type { KeptPort } from './ports.js';

export interface ContainerNetwork {
  /** Its place on the network; undefined where it has none of its own. */
  readonly attachment: Attachment | undefined;
  /** With the ports that were chosen. */
  readonly ports: PortMapping[];
  /** Sets up the network namespace of a process, each time the program is started. */
  readonly connect: ((pid: number) => Promise<void>) | undefined;
  release(): Promise<void>;
  /** What the next server needs to go on with it; descriptors are noted in the list. */
  keepIn(list: HeldList): KeptNetwork;
}

export interface KeptNetwork {
  attachment?: Attachment | undefined;
  /** What is published, and where its listening socket is among what is held. */
  ports: KeptPort[];
  /** The process that a network of the user's own goes through. */
  slirp?: KeptSlirp | undefined;
}

/** What the next server needs to know of the process; descriptors are places among what is held. */
export interface KeptSlirp {
  pid: number;
  socket: string;
  /** It ends when nobody has this any more, and may write to that. */
  life: number;
  errors: number;
}
