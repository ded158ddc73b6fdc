// SPDX-License-Identifier: MIT
/** Plans of Dockerfiles: what will be done, and what is refused before anything is. */
import t from 'tap';
import { OverlayError } from '../../lib/base/errors.js';
import { parseDockerfile } from '../../lib/build/language/dockerfile.js';
import { DockerfileError } from '../../lib/build/language/failure.js';
import type { BuildPlan, PlanRequest, Step } from '../../lib/build/plan/plan.js';
import { Planner } from '../../lib/build/plan/planner.js';

function plannerOf(text: string, request: Partial<PlanRequest> = {}): Planner {
  const usual = { target: undefined, args: new Map(), platform: { os: 'linux', architecture: 'arm64' } };
  return new Planner(parseDockerfile(text, 'Dockerfile'), {
    ...usual,
    network: 'default',
    extraHosts: [],
    ...request,
  });
}

const planOf = (text: string, request?: Partial<PlanRequest>): BuildPlan => plannerOf(text, request).plan();

/** The steps of the target. */
function stepsOf({ stages, target }: BuildPlan): Step[] {
  return stages.find(({ index }) => index === target)!.steps;
}

const keyOf = (step: Step): unknown => ('key' in step ? step.key : undefined);

t.test('a plan has the stages that the target needs, each after what it needs itself', async (t) => {
  const cases: [text: string, target: string | undefined, stages: string[], needs: number[][]][] = [
    ['FROM box\n', undefined, ['0'], [[]]],
    ['FROM box AS a\nFROM box AS b\nFROM a AS c\n', undefined, ['a', 'c'], [[], [0]]],
    ['FROM box AS a\nFROM box AS b\nFROM a AS c\n', 'b', ['b'], [[]]],
    ['FROM box AS a\nFROM box AS b\nFROM a AS c\n', 'A', ['a'], [[]]],
    ['FROM box AS a\nFROM box\nCOPY --from=a /x /\nCOPY --from=0 /y /\n', undefined, ['a', '1'], [[], [0]]],
    ['FROM box AS a\nFROM box\nRUN --mount=from=a,target=/m ls\n', undefined, ['a', '1'], [[], [0]]],
    ['FROM box AS a\nFROM box\nRUN --mount=type=cache,from=0,target=/m ls\n', '1', ['a', '1'], [[], [0]]],
    ['FROM box AS a\nFROM a AS b\nFROM box AS c\nCOPY --from=b / /\n', 'c', ['a', 'b', 'c'], [[], [0], [1]]],
    ['ARG B=a\nFROM box AS a\nFROM $B\n', undefined, ['a', '1'], [[], [0]]],
    // BuildKit looks a name of --from up among all stages.
    [
      'FROM box AS first\nCOPY --from=later /x /\nFROM box AS later\n',
      'first',
      ['later', 'first'],
      [[], [1]],
    ],
    ['FROM box AS b\nFROM box\nRUN ls\nCOPY --from=other/image:1 /x /\n', undefined, ['1'], [[]]],
  ];
  for (const [text, target, names, needs] of cases) {
    const { stages } = planOf(text, { target });
    t.strictSame([stages.map(({ name }) => name), stages.map((stage) => stage.needs)], [names, needs], text);
  }
});

t.test('the base of a stage is an image, an earlier stage, or nothing, for a platform', async (t) => {
  const { stages } = planOf(
    'ARG TAG=9\nFROM scratch AS a\nFROM --platform=$BUILDPLATFORM box:${TAG} AS b\nFROM a AS c\n' +
      'FROM box AS box\nFROM b\nCOPY --from=a / /\nCOPY --from=c / /\nCOPY --from=box / /\n',
    { args: new Map([['TAG', '10']]) },
  );
  t.match(stages, [
    { name: 'a', base: { kind: 'scratch' }, platform: { architecture: 'arm64' } },
    { name: 'b', base: { kind: 'image', name: 'box:10' } },
    { name: 'c', base: { kind: 'stage', stage: 0 } },
    { name: 'box', base: { kind: 'image', name: 'box', hint: /this one/ } },
    { name: '4', base: { kind: 'stage', stage: 1 } },
  ]);
});

t.test('a plan is plain data: JSON gives it back as it was', async (t) => {
  const plan = planOf(
    'FROM box AS a\nARG V=1\nFROM scratch\nCOPY --from=a --chmod=u+x x <<E /d/\n$V\nE\nWORKDIR w\nENV A=b\n' +
      'RUN --mount=type=secret,id=s --mount=target=/c --mount=type=tmpfs,target=/t,size=1m ls\n' +
      'HEALTHCHECK CMD x\nSHELL ["a"]\nONBUILD RUN x\n',
  );
  const plain = JSON.parse(JSON.stringify(plan)) as BuildPlan;
  t.strictSame(JSON.stringify(plain), JSON.stringify(plan));
  t.match(plan, plain);
});

t.test('what the image of FROM may change is awaited, and everything else is known', async (t) => {
  const text = (from: string): string =>
    `FROM ${from}\nARG V=1\nENV SET=s\nCOPY $SET/$V /$SET\nCOPY --from=$V x rel\nRUN ["$V"]\nEXPOSE $V\n`;
  const [, , first, second, run, expose] = stepsOf(planOf(text('box')));
  const awaited = (written: string) => ({ written, awaits: ['V'] });
  t.match(first, {
    kind: 'COPY',
    destination: '/s',
    sources: [{ kind: 'path', origin: { kind: 'context' }, path: awaited('$SET/$V') }],
  });
  t.strictSame(keyOf(first), [
    { awaits: 'layers' },
    '/s',
    [null, null, null, [], false],
    { awaits: 'shape' },
    { awaits: 'content' },
  ]);
  t.match(second, { sources: [{ origin: { kind: 'awaited', from: awaited('$V') }, path: 'x' }] });
  t.match(keyOf(second), [{ awaits: 'layers' }, { awaits: 'destination' }]);
  t.match(keyOf(run), [
    { awaits: 'layers' },
    { awaits: 'environment' },
    { awaits: 'arguments' },
    { awaits: 'settings' },
    [['$V'], [], 'default', []],
    [],
  ]);
  t.match(expose, { items: [awaited('$V')] });
  const [, , known, , knownRun] = stepsOf(
    planOf(`FROM box AS one\n${text('scratch').replace('--from=$V', '--from=one')}`),
  );
  t.match(known, { sources: [{ path: 's/1' }] });
  t.match(keyOf(knownRun), [
    { awaits: 'layers' },
    [
      ['PATH', /bin/],
      ['SET', 's'],
    ],
    [['V', '1']],
  ]);
});

t.test(
  'a base that is there completes a stage: its variables are known and its triggers come first',
  async (t) => {
    const planner = plannerOf(
      'FROM box AS extra\nFROM box AS main\nARG V=1\nCOPY $V-$HIDE /x\nARG HIDE=arg\nRUN echo\nEXPOSE $V\n',
    );
    t.strictSame(
      planner.plan().stages.map(({ name }) => name),
      ['main'],
    );
    const { steps, needs, asks } = planner.complete(1, {
      config: { Env: ['HIDE=env', 'V=80/udp'], OnBuild: ['COPY --from=extra /$HIDE /t'] },
      arguments: [],
    });
    t.strictSame(needs, [0], 'a trigger may need a stage that nothing else does');
    t.strictSame(asks, ['V', 'HIDE']);
    t.match(steps, [
      {
        kind: 'COPY',
        sources: [{ origin: { kind: 'stage', stage: 0 }, path: '/env' }],
        place: { file: /^ONBUILD of box$/ },
      },
      { kind: 'ARG' },
      { kind: 'COPY', sources: [{ path: '80/udp-env' }] },
      { kind: 'ARG' },
      { kind: 'RUN', arguments: [] },
      { kind: 'EXPOSE', items: ['80/udp'] },
    ]);
  },
);

t.test('ONBUILD of a stage is planned in those that are built on it', async (t) => {
  const steps = stepsOf(planOf('FROM box AS a\nONBUILD ENV A=1\nONBUILD COPY $A /\nFROM a\nRUN x\n'));
  t.match(steps, [{ kind: 'ENV' }, { kind: 'COPY', sources: [{ path: '1' }] }, { kind: 'RUN' }]);
});

t.test('an ARG is what was given, its default, or what stands before FROM, and ENV hides it', async (t) => {
  const text =
    'ARG G=global\nARG P=${G}-x\nFROM scratch AS a\nARG G\nARG P\nARG TARGETARCH\nARG N\nARG D=$G\nFROM a\nARG E=e\nENV D=env\nRUN x\n';
  const [, , run] = stepsOf(planOf(text, { args: new Map([['G', 'given']]) }));
  t.match(run, {
    arguments: [
      ['E', 'e'],
      ['G', 'given'],
      ['P', 'given-x'],
      ['TARGETARCH', 'arm64'],
    ],
  });
  t.equal((run as { arguments: unknown[] }).arguments.length, 4);
});

t.test('the key of a COPY has its variables replaced', async (t) => {
  const text = 'FROM scratch\nARG M\nCOPY --chmod=$M --chown=$M --exclude=$M a /b\n';
  const [, copy] = stepsOf(planOf(text, { args: new Map([['M', '7']]) }));
  t.match((keyOf(copy) as unknown[])[2], ['7', '7', null, ['7'], false]);
});

t.test('here-documents are files of COPY, and the script of RUN', async (t) => {
  const [copy, script, program, line] = stepsOf(
    planOf(
      'FROM scratch\nCOPY <<a <<"b" f /d/\n$HOME-${X:-x}\na\n$HOME\nb\nRUN <<E\nls\nE\nRUN <<E\n#!/bin/sh\nE\nRUN cat <<E\nt\nE\n',
    ),
  );
  t.match(copy, {
    sources: [
      { kind: 'path', path: 'f' },
      { kind: 'document', name: 'a', content: '-x\n' },
      { kind: 'document', name: 'b', content: '$HOME\n' },
    ],
  });
  t.match(script, { command: { form: 'shell', line: 'ls\n' }, scripts: [] });
  t.match(program, { command: { form: 'exec', args: [/\/E$/] }, scripts: [{ content: '#!/bin/sh\n' }] });
  t.match(line, { command: { form: 'shell', line: 'cat <<E\nt\nE\n' } });
});

t.test('ADD fetches URLs, and mounts say where their files are from', async (t) => {
  const [add, run] = stepsOf(
    planOf(
      'FROM scratch\nADD https://example.com/f local /d/\n' +
        'RUN --network=none --mount=source=s,target=/a --mount=from=box:1,target=/b --mount=type=cache,target=/c --mount=type=secret,id=k ls\n',
    ),
  );
  t.match(add, {
    sources: [
      { kind: 'url', url: 'https://example.com/f' },
      { kind: 'path', origin: { kind: 'context' }, path: 'local' },
    ],
  });
  t.match(run, {
    network: 'none',
    mounts: [
      { type: 'bind', source: 's', origin: { kind: 'context' } },
      { type: 'bind', origin: { kind: 'image', name: 'box:1' } },
      { type: 'cache', id: '/c', origin: undefined },
      { type: 'secret', id: 'k' },
    ],
  });
  t.match((keyOf(run) as unknown[][])[5][0], [{ type: 'bind' }, { awaits: 'content of mount 0' }, 's']);
});

t.test('a mount with a variable of the image is awaited, but not the stage that it names', async (t) => {
  const [run] = stepsOf(planOf('FROM box AS a\nFROM box\nRUN --mount=from=a,source=$S,target=/t ls\n'));
  t.match(run, {
    mounts: [
      {
        type: 'awaited',
        origin: { kind: 'stage', stage: 0 },
        fields: [
          ['from', 'a'],
          ['source', { awaits: ['S'] }],
        ],
      },
    ],
  });
});

t.test('what is wrong with the text is refused at planning, with its place', async (t) => {
  const cases: [text: string, message: RegExp][] = [
    ['FROM box AS a\nCOPY --from=a /x /\n', /:2:13: the stage a reads from itself; name another/],
    [
      'FROM box\nRUN \\\n  # a comment\n  --mount=target=/t,from=0 ls\n',
      /:4:26: the stage 0 reads from itself/,
    ],
    [
      'FROM box AS a\nCOPY --from=b /x /\nFROM a AS b\n',
      /:2:13: stages wait for each other in a circle: b -> a -> b;/,
    ],
    [
      'FROM box AS a\nCOPY --from=c / /\nFROM box AS b\nCOPY --from=a / /\nFROM box AS c\nCOPY --from=b / /\n',
      /:2:13: .* in a circle: c -> b -> a -> c;/,
    ],
    ['FROM box\nCOPY --from=3 /x /\n', /:2:13: there is no stage 3; they are counted from 0 to 0/],
    ['FROM box\nARG S=3\nENV S=$S\nENV S=3\nCOPY --from=$S /x /\n', /:5: there is no stage 3/],
    ['FROM Box\n', /:1: "Box" is no image name: it must be lower case/],
    ['FROM box\nCOPY --from=a..b /x /\n', /:2: "a\.\.b" is no image name/],
    ['FROM $NONE\n', /:1: FROM \$NONE is empty/],
    ['FROM box\nEXPOSE 99999\n', /:2: 99999 is not a port/],
    ['FROM box\nSTOPSIGNAL NO\n', /:2: there is no signal NO/],
    ['FROM box\nVOLUME [""]\n', /:2: VOLUME has an empty path/],
    ['FROM box\nCOPY a b /x\n', /:2: COPY has 2 sources, and \/x is not a directory/],
    ['FROM box\nCOPY --chmod=rwx a /x\n', /:2: --chmod=rwx is not a mode/],
    ['FROM box\nCOPY https://x.org/a /x\n', /:2: COPY https:\/\/x\.org\/a: only ADD fetches/],
    ['FROM box\nADD git@x.org:a /x\n', /:2: ADD git@x\.org:a: repositories of git/],
    ['FROM box\nADD --checksum=x https://x.org/a /x\n', /:2: --checksum=x is not a digest/],
    ['FROM box\nADD --checksum=x a /x\n', /:2: --checksum is for one source that is fetched/],
    ['FROM box\nENV A="$B\n', /:2: "\$B has no second "/],
    ['FROM scratch\nWORKDIR /${A:?is needed}\n', /:2: A: is needed/],
    ['FROM box\nENV A=\nWORKDIR /${A:?is needed}\n', /:3: A: is needed/],
    ['FROM scratch\nARG T=ssh\nRUN --mount=type=$T,target=/x ls\n', /:3: --mount: type=ssh/],
    ['FROM box\nRUN <<..\n#!/bin/sh\n..\n', /:2: no script can be called \.\./],
  ];
  for (const [text, message] of cases) {
    const error = t.throws(() => planOf(text), DockerfileError) as unknown as DockerfileError;
    t.match(error.message, message, text);
    t.equal(error.place.file, 'Dockerfile');
  }
  const target = t.throws(() => planOf('FROM box AS build\n', { target: 'biuld' })) as unknown;
  t.ok(target instanceof OverlayError && /no stage biuld; did you mean build\?/.test(target.message));
});

t.test('what only the image can tell is not refused at planning, nor what is not needed', async (t) => {
  for (const text of [
    'FROM box\nWORKDIR /${A:?is needed}\n',
    'FROM box\nEXPOSE $PORT\nSTOPSIGNAL $S\nCOPY --chmod=$M a b $D\n',
    'FROM box\nRUN --mount=type=$T,target=/x ls\n',
    'FROM box\nADD --checksum=$C $URL /x\n',
    'FROM box AS unused\nEXPOSE 99999\nCOPY --from=7 / /\nFROM box\n',
  ])
    t.doesNotThrow(() => planOf(text), text);
});

t.test('a circle that only the image tells is refused when the stage is completed', async (t) => {
  const planner = plannerOf('FROM box AS a\nCOPY --from=$X / /\nFROM a AS b\n');
  planner.plan();
  const complete = () => planner.complete(0, { config: { Env: ['X=b'] }, arguments: [] });
  t.throws(complete, { message: /Dockerfile:2: stages wait for each other in a circle: a -> b -> a/ });
});
