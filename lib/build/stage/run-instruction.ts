// SPDX-License-Identifier: MIT
/** RUN: what is run, with what, and what that depends on. */
import { fromText } from '../../base/bytes.js';
import { AsyncRollback } from '../../base/rollback.js';
import type { Digest } from '../../image/model/digest.js';
import { platformName } from '../../image/model/platform.js';
import { digestOfSources } from '../copy/copy-digest.js';
import { DockerfileError } from '../language/failure.js';
import { escapeGlob } from '../language/glob.js';
import { isFileName, isHeredocAlone } from '../language/heredoc.js';
import type { RunInstruction } from '../language/instructions.js';
import type { Heredoc } from '../language/lines.js';
import { parseRunMount, type RunMount } from '../language/run-mount.js';
import { scriptPath } from '../language/scripts.js';
import { environmentOf } from '../plan/arguments.js';
import { shellOf } from './configure.js';
import { StepFailure } from './failure.js';
import { stepKey } from './keys.js';
import { chainOf, layerSetOf } from './stage-state.js';
import type { LayerStep, StepSetting } from './step.js';

interface Program {
  args: string[];
  /** Here-documents that are programs themselves. */
  scripts: Heredoc[];
}

/** With `<<EOF` alone the document is the script; otherwise the shell is given it with the line (as BuildKit does it). */
function programOf({ command, heredocs, place }: RunInstruction, shell: readonly string[]): Program {
  if (command.form === 'exec') return { args: command.args, scripts: [] };
  if (heredocs.length === 0) return { args: [...shell, command.line], scripts: [] };
  const [first] = heredocs;
  const isAlone = heredocs.length === 1 && isHeredocAlone(command.line);
  if (isAlone && first.content.startsWith('#!')) {
    if (isFileName(first.name)) return { args: [scriptPath(first.name)], scripts: [first] };
    throw new DockerfileError(
      place,
      `no script can be called ${first.name}`,
      'name the here-document otherwise',
    );
  }
  if (isAlone) return { args: [...shell, first.content], scripts: [] };
  const documents = heredocs.map(({ content, name }) => `${content}${name}\n`).join('');
  return { args: [...shell, `${command.line}\n${documents}`], scripts: [] };
}

export async function makeRun(setting: StepSetting, instruction: RunInstruction): Promise<LayerStep> {
  const { build, state, variables } = setting;
  const { place } = instruction;
  const mounts = instruction.mounts.map((fields) =>
    parseRunMount(fields.expanded((text) => variables.expand(place, text, state.config))),
  );
  const environment = environmentOf(state.config);
  const args = variables.argumentsBeside(environment);
  const program = programOf(instruction, shellOf(state.config));
  const network = instruction.network === 'default' ? build.options.network : instruction.network;
  const env = args.map(([name, value]) => `${name}=${value}`);
  const seen = [...env, ...variables.proxies.map(([name, value]) => `${name}=${value}`)];
  const shown = [...(args.length === 0 ? [] : [`|${args.length}`, ...env]), ...program.args].join(' ');
  return {
    key: stepKey('RUN', [
      chainOf(state),
      [...environment].sort(([a], [b]) => (a < b ? -1 : 1)),
      args,
      [state.config.User ?? '', state.config.WorkingDir ?? '', platformName(state.platform)],
      [program.args, program.scripts.map(({ content }) => content), network, build.options.extraHosts],
      await Promise.all(mounts.map((mount) => mountKey(setting, place, mount))),
    ]),
    createdBy: `RUN ${shown}`,
    async make(step, started) {
      // Loaded only here: a build may find everything in the cache.
      const [{ prepareMounts }, { runStep }] = await Promise.all([
        import('../run/run-mounts.js'),
        import('../run/run-step.js'),
      ]);
      await using undo = new AsyncRollback();
      const base = layerSetOf(build.store, state);
      const prepared = await prepareMounts(mounts, program.scripts, {
        store: build.store,
        place,
        cwd: state.config.WorkingDir || '/',
        secrets: build.options.secrets,
        layersFrom: async (from) =>
          from === undefined ? build.contextLayers() : build.layersOf(setting.stage, place, from),
        signal: build.signal,
        undo,
      });
      const request = {
        layers: state.layers,
        base,
        config: state.config,
        args: program.args,
        env: [...seen, ...prepared.env],
        network,
        extraHosts: build.options.extraHosts,
        mounts: prepared.requests,
        what: instruction.text,
      };
      await using _turn = await build.turn();
      const { exitCode, layer } = await runStep(
        build.store,
        request,
        { take: (bytes) => build.options.progress.output(step, bytes), started },
        build.signal,
      );
      if (exitCode !== 0) throw new StepFailure(place, instruction.text, exitCode, { state, env: seen });
      return layer;
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** What is kept from build to build is no input; what is bound is, by its content or its layers. */
async function mountKey(
  setting: StepSetting,
  place: RunInstruction['place'],
  mount: RunMount,
): Promise<unknown> {
  if (mount.type !== 'bind') return mount;
  const { build, stage } = setting;
  const { from, source } = mount;
  const content: Digest =
    from === undefined
      ? digestOfSources((await build.context()).find(escapeGlob(source)), () => false)
      : chainOf(await build.stateOf(stage, place, from));
  return [mount, content, fromText(source)];
}
