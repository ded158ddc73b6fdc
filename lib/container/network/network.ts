// SPDX-License-Identifier: MIT
/** The network of a container while it runs: which kind, how it is set up, what is published. */
import { hasTrustedAttributes } from '../../sys/privilege.js';
import { type ContainerConfig, hostnameOf } from '../state/config.js';
import type { Container } from '../state/containers.js';
import { type Attachment, connect, lease, release } from './bridge.js';
import type { ContainerNetwork, KeptNetwork } from './container-network.js';
import { type Published, publishPorts } from './ports.js';
import { joinUserNetwork, resumeUserNetwork } from './user-network.js';

const NO_NETWORK: ContainerNetwork = {
  attachment: undefined,
  ports: [],
  connect: undefined,
  release: async () => undefined,
  keepIn: () => ({ ports: [] }),
};

/** Throws an OverlayError, with nothing left behind, where a port or an address cannot be had. */
export async function joinNetwork(container: Container, config: ContainerConfig): Promise<ContainerNetwork> {
  if (config.options.network !== 'bridge') return NO_NETWORK;
  // Who is not root of the machine has no say in its network.
  return hasTrustedAttributes() ? joinBridge(container, config) : joinUserNetwork(config);
}

async function joinBridge(container: Container, config: ContainerConfig): Promise<ContainerNetwork> {
  const { store, id } = container;
  let attachment: Attachment | undefined;
  const published = await publishPorts(config.options.ports, () => attachment?.address ?? '127.0.0.1');
  try {
    const names = [...new Set([config.name, hostnameOf(config), id.slice(0, 12)])];
    attachment = await lease(store, id, names);
  } catch (failure) {
    for (const one of published) one.close();
    await release(store, id);
    throw failure;
  }
  return bridged(container, attachment, published);
}

function bridged(
  { store, id }: Container,
  attachment: Attachment,
  published: readonly Published[],
): ContainerNetwork {
  return {
    attachment,
    ports: published.map(({ mapping }) => mapping),
    connect: (pid) => connect(pid, id, attachment),
    async release() {
      await release(store, id);
      for (const one of published) one.close();
    },
    keepIn: (list) => ({ attachment, ports: published.map((one) => one.keepIn(list)) }),
  };
}

/**
 * The network that an earlier server has joined. Connections through published ports have ended with that server;
 * whoever comes meanwhile waits. A port that cannot be had again is reported.
 */
export async function resumeNetwork(
  container: Container,
  config: ContainerConfig,
  { attachment, ports, slirp }: KeptNetwork,
  report: (text: string) => void,
): Promise<ContainerNetwork> {
  if (config.options.network !== 'bridge') return NO_NETWORK;
  if (!hasTrustedAttributes()) return resumeUserNetwork(ports, slirp);
  const { address } = attachment!;
  const published: Published[] = [];
  for (const { mapping, socket } of ports) {
    try {
      published.push(...(await publishPorts([mapping], () => address, socket)));
    } catch (failure) {
      report((failure as Error).message);
    }
  }
  return bridged(container, attachment!, published);
}
