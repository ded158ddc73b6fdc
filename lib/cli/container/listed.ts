// SPDX-License-Identifier: MIT
/** A container as `ps` has read it. */
import type { ContainerConfig, ContainerState } from '../../container/state/config.js';
import type { Container } from '../../container/state/containers.js';

export interface Listed {
  container: Container;
  config: ContainerConfig;
  state: ContainerState;
}
