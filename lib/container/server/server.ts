// SPDX-License-Identifier: MIT
/**
 * A container's server: the one process that serves its root file system, hears its
 * programs, keeps its log and publishes its ports. It lives as long as the container
 * runs; when it dies, its shim starts another one, which goes on (keeping.ts). Only
 * when both die at once is the container lost, for who meets it next to take away.
 * lifecycle.ts has what it does; this is what its clients find.
 */
import type { ContainerConfig } from '../state/config.js';
import { Binding } from './binding.js';
import { Controls } from './controls.js';
import { Executions } from './executions.js';
import type { Life } from './life.js';
import type { OwnProgram } from './own-program.js';
import type { Resources } from './resources.js';

/** It has all that the container needs. */
export class ContainerServer {
  readonly config: ContainerConfig;
  readonly own: OwnProgram;
  readonly executions: Executions;
  readonly controls: Controls;
  readonly binding: Binding;

  constructor(
    readonly life: Life,
    readonly resources: Resources,
  ) {
    const { config, state, memory, keeping, own } = life;
    this.config = config;
    this.own = own;
    this.executions = new Executions(keeping, { config, state, own, resources });
    this.controls = new Controls({ config, state, own, cgroup: resources.cgroup });
    this.binding = new Binding(memory, () => void this.controls.stop(0));
  }
}
