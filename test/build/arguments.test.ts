// SPDX-License-Identifier: MIT
/** ARG: where it counts, its defaults, and what comes before what (Dockerfile reference, "ARG"; BuildKit's dispatchArg). */
import t from 'tap';
import { Builder } from '../support/builds.js';

interface Case {
  title: string;
  dockerfile: string;
  args?: string[];
  /** Variables of the image that was made, without PATH. */
  env: string[];
}

const give = (...pairs: string[]): string[] => pairs.flatMap((pair) => ['--build-arg', pair]);

const CASES: Case[] = [
  {
    title: 'is inherited by stages that are built on the one that declares it, and by those on these',
    dockerfile:
      'FROM scratch AS a\nARG V=one\nFROM a AS b\nENV B=${V:-no}\nFROM b\nENV C=${V:-no}\nARG V\nENV D=${V:-no}\n',
    env: ['B=one', 'C=one', 'D=one'],
  },
  {
    title: 'is not known to a stage that is built on something else',
    dockerfile:
      'FROM scratch AS a\nARG V=one\nCOPY <<F /f\nF\nFROM scratch\nCOPY --from=a f /\nENV A=${V:-no}\nARG V\nENV B=${V:-no}\n',
    env: ['A=no', 'B=no'],
  },
  {
    title: 'is changed by the stage that declares it again, for itself and those on it',
    dockerfile:
      'FROM scratch AS a\nARG V=one\nFROM a AS b\nARG V=$V-two\nFROM b AS c\nENV C=$V\nFROM a AS d\nENV D=$V\nFROM c\nENV E=$V\n',
    env: ['C=one-two', 'E=one-two'],
  },
  {
    title: 'is inherited with the value that was given',
    dockerfile: 'FROM scratch AS a\nARG V=one\nARG W\nFROM a\nENV A=$V$W\nARG V=three\nENV B=$V\n',
    args: give('V=given', 'W=too'),
    env: ['A=giventoo', 'B=given'],
  },
  {
    title: 'is nothing before its line',
    dockerfile: 'FROM scratch\nENV A=${V:-before}\nARG V\nENV B=$V\n',
    args: give('V=given'),
    env: ['A=before', 'B=given'],
  },
  {
    title: 'keeps its value where it is repeated without one',
    dockerfile: 'FROM scratch\nARG V=one\nARG V\nENV A=$V\nARG V=two\nENV B=$V\nARG V=\nENV C=[$V]\n',
    env: ['A=one', 'B=two', 'C=[]'],
  },
  {
    title: 'before the first FROM is for FROM, and for stages that repeat it without a value',
    dockerfile:
      'ARG BASE=scr V=all\nARG V=${V}more\nFROM ${BASE}atch AS a\nENV A=${V:-no}\nARG V\nENV B=$V\nFROM a\nARG V=own\nENV C=$V\nARG V\nENV D=$V\n',
    env: ['A=no', 'B=allmore', 'C=own', 'D=allmore'],
  },
  {
    title: 'sees those before it in one instruction',
    dockerfile: 'FROM scratch\nARG A=1 B=$A-2 C="$B 3"\nENV V=$C\n',
    env: ['V=1-2 3'],
  },
  {
    title: 'has no need of a default that is wrong where a value is given',
    dockerfile: 'ARG X=${Y:?}\nFROM scratch\nARG V=${NO:?is needed}\nENV A=$V\n',
    args: give('V=given', 'X=x'),
    env: ['A=given'],
  },
  {
    title: 'is hidden by ENV, also by that of the stage below',
    dockerfile:
      'FROM scratch AS a\nARG V=arg W=arg\nENV V=env\nFROM a\nENV A=$V B=$W\nARG V=again\nENV C=$V\n',
    args: give('V=given'),
    env: ['V=env', 'A=env', 'B=arg', 'C=env'],
  },
  {
    title: 'is given as empty, which is not as if it were not given',
    dockerfile: 'FROM scratch\nARG V=one\nENV A=${V-unset} B=${V:-empty}\n',
    args: give('V='),
    env: ['A=', 'B=empty'],
  },
  {
    title: 'of the platform is known where it is asked for, and to FROM',
    dockerfile:
      'FROM --platform=$BUILDPLATFORM scratch AS a\nENV A=[$TARGETOS]\nARG TARGETOS TARGETVARIANT BUILDOS TARGETARCH=mine\nENV B=$TARGETOS C=$BUILDOS D=$TARGETARCH E=[$TARGETVARIANT]\nFROM a\nARG TARGETSTAGE\nENV F=$TARGETOS G=$TARGETSTAGE\n',
    env: ['A=[]', 'B=linux', 'C=linux', 'D=mine', 'E=[]', 'F=linux', 'G=default'],
  },
  {
    title: 'of the platform is what is given for it',
    dockerfile: 'FROM scratch AS final\nARG TARGETARCH\nARG TARGETSTAGE\nENV A=$TARGETARCH B=$TARGETSTAGE\n',
    args: give('TARGETARCH=odd'),
    env: ['A=odd', 'B=final'],
  },
];

t.test('an ARG has the scope and the values that BuildKit gives it', { timeout: 300_000 }, async (t) => {
  const builder = await Builder.make(t);
  for (const { title, dockerfile, args = [], env } of CASES) {
    await t.test(title, async (t) => {
      await builder.ok(dockerfile, {}, ...args);
      const { Env: all } = (await builder.config()) as { Env: string[] };
      t.strictSame(
        all.filter((text) => !text.startsWith('PATH=')),
        env,
      );
    });
  }
  await t.test('that is inherited is in the environment of RUN, and a RUN depends on it', async (t) => {
    const dockerfile = 'FROM box AS a\nARG V=one\nFROM a\nRUN echo "$V" > /v\n';
    await builder.ok(dockerfile);
    t.equal(await builder.say('cat', '/v'), 'one\n');
    await builder.ok(dockerfile, {}, '--build-arg', 'V=two');
    t.equal(await builder.say('cat', '/v'), 'two\n');
  });
});
