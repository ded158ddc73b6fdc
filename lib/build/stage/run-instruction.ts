// SPDX-License-Identifier: MIT
/** RUN: what is run, with what, and what that depends on. */
import { AsyncRollback } from '../../base/rollback.js';
import type { Digest } from '../../image/model/digest.js';
import { platformName } from '../../image/model/platform.js';
import type { LayerSet } from '../../overlay/layers/layer-set.js';
import { digestOfSources } from '../copy/copy-digest.js';
import type { Place } from '../language/failure.js';
import { escapeGlob } from '../language/glob.js';
import { proxiesOf } from '../plan/arguments.js';
import type { Origin, PlannedMount, RunStep } from '../plan/plan.js';
import { contentOfMount } from '../plan/steps.js';
import { commandArgs } from './configure.js';
import { StepFailure } from './failure.js';
import { stepKey } from './keys.js';
import { chainOf, layerSetOf, viewOf } from './stage-state.js';
import type { LayerStep, StepHost, StepSetting } from './step.js';

export async function makeRun(setting: StepSetting, planned: RunStep<string>): Promise<LayerStep> {
  const { build, state } = setting;
  const { place, network, scripts, mounts } = planned;
  const { User: user = '', WorkingDir: directory = '' } = state.config;
  const args = commandArgs(state.config, planned.command);
  const env = planned.arguments.map(([name, value]) => `${name}=${value}`);
  const seen = [...env, ...proxiesOf(build.options.args)];
  const shown = [...(env.length === 0 ? [] : [`|${env.length}`, ...env]), ...args].join(' ');
  const values = {
    layers: chainOf(state),
    settings: [user, directory, platformName(state.platform)],
    program: args,
    ...(await contentsOf(build, place, mounts)),
  };
  return {
    key: stepKey('RUN', planned.key, values),
    createdBy: `RUN ${shown}`,
    async make(step, started) {
      // Loaded only here: a build may find everything in the cache.
      const [{ prepareMounts }, { runStep }] = await Promise.all([
        import('../run/run-mounts.js'),
        import('../run/run-step.js'),
      ]);
      await using undo = new AsyncRollback();
      const prepared = await prepareMounts(mounts, scripts, {
        store: build.store,
        place,
        cwd: directory || '/',
        secrets: build.options.secrets,
        layersFrom: (origin) => layersFrom(build, place, origin),
        signal: build.signal,
        undo,
      });
      const request = {
        layers: state.layers,
        base: layerSetOf(build.store, state),
        config: state.config,
        args,
        env: [...seen, ...prepared.env],
        network,
        extraHosts: build.options.extraHosts,
        mounts: prepared.requests,
        what: planned.text,
      };
      await using _turn = await build.turn();
      const { exitCode, layer } = await runStep(
        build.store,
        request,
        { take: (bytes) => build.options.progress.output(step, bytes), started },
        build.signal,
      );
      if (exitCode !== 0) throw new StepFailure(place, planned.text, exitCode, { state, env: seen });
      return layer;
    },
    [Symbol.dispose]: () => undefined,
  };
}

async function layersFrom(build: StepHost, place: Place, origin: Origin<string>): Promise<LayerSet> {
  return origin.kind === 'context'
    ? build.contextLayers()
    : viewOf(build.store, await build.stateOf(origin, place));
}

/** What is bound, by its content or its layers, under the names that the key has for it. */
async function contentsOf(
  build: StepHost,
  place: Place,
  mounts: readonly PlannedMount<string>[],
): Promise<Record<string, Digest>> {
  const contents: Record<string, Digest> = {};
  for (const [index, mount] of mounts.entries()) {
    if (mount.type !== 'bind') continue;
    const { origin, source } = mount;
    contents[contentOfMount(index)] =
      origin.kind === 'context'
        ? digestOfSources((await build.context()).find(escapeGlob(source)), () => false)
        : chainOf(await build.stateOf(origin, place));
  }
  return contents;
}
