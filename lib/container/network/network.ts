// SPDX-License-Identifier: MIT
/** The network of a container while it runs: which kind, how it is set up, what is published. */
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { hostnameOf } from '../server/container-files.js';
import type { ContainerConfig, PortMapping } from '../state/config.js';
import type { Container } from '../state/containers.js';
import { type Attachment, connect, lease, release } from './bridge.js';
import { publishPorts } from './ports.js';
import { joinUserNetwork } from './user-network.js';

export interface ContainerNetwork {
  /** Its place on the network; undefined where it has none of its own. */
  readonly attachment: Attachment | undefined;
  /** With the ports that were chosen. */
  readonly ports: PortMapping[];
  /** Sets up the network namespace of a process, each time the program is started. */
  readonly connect: ((pid: number) => Promise<void>) | undefined;
  release(): Promise<void>;
}

const NO_NETWORK: ContainerNetwork = {
  attachment: undefined,
  ports: [],
  connect: undefined,
  release: async () => undefined,
};

/** Throws an OverlayError, with nothing left behind, where a port or an address cannot be had. */
export async function joinNetwork(container: Container, config: ContainerConfig): Promise<ContainerNetwork> {
  if (config.options.network !== 'bridge') return NO_NETWORK;
  // Who is not root of the machine has no say in its network.
  return hasTrustedAttributes() ? joinBridge(container, config) : joinUserNetwork(config);
}

async function joinBridge({ store, id }: Container, config: ContainerConfig): Promise<ContainerNetwork> {
  let attachment: Attachment | undefined;
  const published = await publishPorts(config.options.ports, () => attachment?.address ?? '127.0.0.1');
  const unpublish = (): void => {
    for (const one of published) one.close();
  };
  try {
    const names = [...new Set([config.name, hostnameOf(config), id.slice(0, 12)])];
    attachment = await lease(store, id, names);
  } catch (failure) {
    unpublish();
    await release(store, id);
    throw failure;
  }
  const own = attachment;
  return {
    attachment: own,
    ports: published.map(({ mapping }) => mapping),
    connect: (pid) => connect(pid, id, own),
    async release() {
      await release(store, id);
      unpublish();
    },
  };
}
