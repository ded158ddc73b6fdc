// SPDX-License-Identifier: MIT
/**
 * BuildKit's reference of the Dockerfile language (frontend/dockerfile/docs/reference.md, as of
 * docker/dockerfile 1.26), in its order: what is read as it says, and what is refused by name.
 * Values of ARG are in arguments.test.ts, here-documents in heredoc.test.ts.
 */
import t from 'tap';
import { parseDockerfile } from '../../lib/build/language/dockerfile.js';
import { IgnoreList } from '../../lib/build/language/ignore.js';
import type { RunInstruction } from '../../lib/build/language/instructions.js';
import { parseModeChange } from '../../lib/build/language/mode-change.js';
import { parseRunMount } from '../../lib/build/language/run-mount.js';
import { Builder } from '../support/builds.js';

/** What a line is read as: a refusal, or what is in the instruction. */
type Feature = [section: string, line: string, read: RegExp | Record<string, unknown>];

const shell = (line: string) => ({ command: { form: 'shell', line } });
const exec = (...args: string[]) => ({ command: { form: 'exec', args } });

const FEATURES: Feature[] = [
  ['Format', 'run x', { kind: 'RUN' }],
  ['Format: white space before an instruction', '   \tRUN x', { kind: 'RUN' }],
  ['Format: # within a line', 'RUN echo # of', shell('echo # of')],
  [
    'Format: comments among continuations',
    'RUN hello \\\n# comment\n  # another\nworld',
    shell('hello world'),
  ],
  ['Format: white space in arguments', 'RUN echo "\\\n   a\\\n   b"', shell('echo "   a   b"')],
  ['Exec form', 'RUN ["a", "-c", "$HOME"]', exec('a', '-c', '$HOME')],
  ['Exec form: single quotes are for the shell', "RUN ['a']", shell("['a']")],
  ['Exec form: backslashes', 'RUN ["c:\\\\a.exe"]', exec('c:\\a.exe')],
  ['Exec form: what is no JSON is for the shell', 'RUN ["c:\\windows\\x"]', shell('["c:\\windows\\x"]')],
  ['Exec form: other things than strings', 'RUN ["a", 1]', /has more than strings in it/],
  ['Shell form', 'RUN source $HOME/.bashrc && \\\necho $HOME', shell('source $HOME/.bashrc && echo $HOME')],
  [
    'RUN --device',
    'RUN --device=nvidia.com/gpu=all x',
    /--device=nvidia\.com\/gpu=all: a build has no devices/,
  ],
  ['RUN --mount=type=ssh', 'RUN --mount=type=ssh x', /type=ssh: a build has no SSH agent/],
  ['RUN --mount', 'RUN --mount=type=npipe,target=/x x', /there is no type npipe/],
  ['RUN --network', 'RUN --network=default x', { network: 'default' }],
  ['RUN --network', 'RUN --network=none x', { network: 'none' }],
  ['RUN --network', 'RUN --network=host x', { network: 'host' }],
  ['RUN --network', 'RUN --network=other x', /invalid --network=other; it is default, none or host/],
  ['RUN --security', 'RUN --security=sandbox x', shell('x')],
  ['RUN --security', 'RUN --security=insecure x', /invalid --security=insecure/],
  ['RUN: other options', 'RUN --ulimit=x x', /RUN has no --ulimit/],
  ['RUN: -- ends the options', 'RUN --network=none -- --x', { network: 'none', ...shell('--x') }],
  ['CMD', 'CMD ["a","b"]', { kind: 'CMD', ...exec('a', 'b') }],
  ['CMD', 'CMD a b', { kind: 'CMD', ...shell('a b') }],
  ['LABEL', 'LABEL "a.b"="C I" c=d', { pairs: [{ name: '"a.b"' }, { name: 'c', value: 'd' }] }],
  ['LABEL: lines', 'LABEL a="x \\\ny"', { pairs: [{ name: 'a', value: '"x y"' }] }],
  ['MAINTAINER', 'MAINTAINER Ann <a@b>', { kind: 'MAINTAINER', value: 'Ann <a@b>' }],
  ['EXPOSE', 'EXPOSE 80 80/udp', { items: ['80', '80/udp'] }],
  [
    'ENV',
    'ENV A="J D" B=R\\ D \\\n C=f',
    { pairs: [{ name: 'A' }, { name: 'B' }, { name: 'C', value: 'f' }] },
  ],
  [
    'ENV: alternative syntax',
    'ENV ONE TWO= THREE=world',
    { pairs: [{ name: 'ONE', value: 'TWO= THREE=world' }] },
  ],
  ['ADD', 'ADD a b /c/', { kind: 'ADD', sources: ['a', 'b'], destination: '/c/' }],
  ['ADD: JSON', 'ADD ["a b", "/c d"]', { sources: ['a b'], destination: '/c d' }],
  [
    'ADD --keep-git-dir',
    'ADD --keep-git-dir=true g /x',
    /--keep-git-dir: repositories of git are not fetched/,
  ],
  ['ADD --checksum', 'ADD --checksum=sha256:0 http://h/f /x', { checksum: 'sha256:0' }],
  ['ADD --chmod, --chown', 'ADD --chmod=600 --chown=a:b f /x', { chmod: '600', chown: 'a:b' }],
  ['ADD --link', 'ADD --link f /x', { link: true }],
  ['ADD --unpack', 'ADD --unpack=false f /x', { unpack: false }],
  ['ADD --exclude', 'ADD --exclude=*.o --exclude=b f /x', { excludes: ['*.o', 'b'] }],
  ['ADD: options of COPY', 'ADD --from=a f /x', /ADD has no --from/],
  ['ADD: options of COPY', 'ADD --parents f /x', /ADD has no --parents/],
  ['COPY', 'COPY a b /c/', { kind: 'COPY', sources: ['a', 'b'], destination: '/c/' }],
  ['COPY: JSON', 'COPY ["a b", "/c d"]', { sources: ['a b'], destination: '/c d' }],
  ['COPY: one word', 'COPY a', /COPY needs a source and a destination/],
  ['COPY --from', 'COPY --from=nginx:latest /a /b', { from: 'nginx:latest' }],
  ['COPY --chmod', 'COPY --chmod=u=rwX,go=rX a /b', { chmod: 'u=rwX,go=rX' }],
  ['COPY --chown', 'COPY --chown=55:mygroup a* /b/', { chown: '55:mygroup' }],
  ['COPY --link', 'COPY --link=false a /b', { link: false }],
  ['COPY --parents', 'COPY --parents ./x/./y/*.txt /p/', { parents: true }],
  ['COPY --exclude', 'COPY --exclude=*.txt hom* /m/', { excludes: ['*.txt'] }],
  ['COPY: options of ADD', 'COPY --unpack a /b', /COPY has no --unpack/],
  ['COPY: options of ADD', 'COPY --checksum=x a /b', /COPY has no --checksum/],
  ['ENTRYPOINT', 'ENTRYPOINT ["top", "-b"]', { kind: 'ENTRYPOINT', ...exec('top', '-b') }],
  ['ENTRYPOINT', 'ENTRYPOINT exec top -b', { kind: 'ENTRYPOINT', ...shell('exec top -b') }],
  ['VOLUME', 'VOLUME ["/var/log/"]', { items: ['/var/log/'] }],
  ['VOLUME', 'VOLUME /var/log /var/db', { items: ['/var/log', '/var/db'] }],
  ['USER', 'USER ann:team', { kind: 'USER', value: 'ann:team' }],
  ['WORKDIR', 'WORKDIR /a b', { kind: 'WORKDIR', value: '/a b' }],
  ['ARG', 'ARG a b=c d=', { pairs: [{ name: 'a' }, { name: 'b', value: 'c' }, { name: 'd', value: '' }] }],
  ['ONBUILD', 'ONBUILD ADD . /app', { kind: 'ONBUILD', trigger: 'ADD . /app' }],
  ['ONBUILD: from a stage', 'ONBUILD COPY --from=b /a /b', { trigger: 'COPY --from=b /a /b' }],
  [
    'ONBUILD: mounts',
    'ONBUILD RUN --mount=from=c,target=/o x',
    { trigger: 'RUN --mount=from=c,target=/o x' },
  ],
  ['ONBUILD: limitations', 'ONBUILD ONBUILD RUN x', /ONBUILD ONBUILD is not allowed/],
  ['ONBUILD: limitations', 'ONBUILD FROM x', /ONBUILD FROM is not allowed/],
  ['ONBUILD: limitations', 'ONBUILD MAINTAINER x', /ONBUILD MAINTAINER is not allowed/],
  ['STOPSIGNAL', 'STOPSIGNAL SIGKILL', { kind: 'STOPSIGNAL', value: 'SIGKILL' }],
  ['STOPSIGNAL', 'STOPSIGNAL 9', { kind: 'STOPSIGNAL', value: '9' }],
  [
    'HEALTHCHECK',
    'HEALTHCHECK --interval=5m --timeout=3s --start-period=1m30s --start-interval=500ms --retries=4 CMD a || exit 1',
    {
      interval: 300e9,
      timeout: 3e9,
      startPeriod: 90e9,
      startInterval: 5e8,
      retries: 4,
      ...shell('a || exit 1'),
    },
  ],
  ['HEALTHCHECK', 'HEALTHCHECK CMD ["a", "b"]', { interval: 0, retries: 0, ...exec('a', 'b') }],
  ['HEALTHCHECK', 'HEALTHCHECK NONE', { kind: 'HEALTHCHECK', command: undefined }],
  ['HEALTHCHECK', 'HEALTHCHECK NONE x', /neither CMD with a command nor NONE/],
  ['HEALTHCHECK', 'HEALTHCHECK --retries=-1 CMD x', /--retries=-1 is not a number/],
  ['HEALTHCHECK', 'HEALTHCHECK --interval=1us CMD x', /--interval=1us is below a millisecond/],
  ['SHELL', 'SHELL ["powershell", "-command"]', { kind: 'SHELL', args: ['powershell', '-command'] }],
  ['SHELL', 'SHELL bash', /SHELL needs a JSON list/],
  ['Here-documents', 'RUN <<EOT bash\nset -ex\nEOT', { heredocs: [{ name: 'EOT', content: 'set -ex\n' }] }],
  ['Here-documents', 'COPY <<-"EOT" /x\n\ta\nEOT', { heredocs: [{ expands: false, content: 'a\n' }] }],
];

t.test('each line of the reference is read as it says, or refused by name', async (t) => {
  for (const [section, line, read] of FEATURES) {
    const title = `${section}: ${line}`;
    const parse = () => parseDockerfile(`FROM x\n${line}\n`, 'f').stages[0].instructions;
    if (read instanceof RegExp) t.throws(parse, read, title);
    else {
      const instructions = parse();
      t.equal(instructions.length, 1, title);
      t.match(instructions[0], read, title);
    }
  }
});

/** Whole files: what stands before instructions, and FROM. */
const FILES: [section: string, text: string, read: RegExp | Record<string, unknown>][] = [
  ['Parser directives', '#escape=`\nFROM x', { escapeCharacter: '`' }],
  ['Parser directives', '# escape =`\nFROM x', { escapeCharacter: '`' }],
  ['Parser directives', '#\tescape= `\nFROM x', { escapeCharacter: '`' }],
  ['Parser directives', '#\t  eScApE=`\nFROM x', { escapeCharacter: '`' }],
  ['Parser directives', '# escape=`\n# escape=`\nFROM x', /f:2: the directive escape is given twice/],
  ['Parser directives: line continuation', '# esc \\\nape=`\nFROM x', /there is no instruction APE=`/],
  ['Parser directives: after an instruction', 'FROM x\n# escape=`', { escapeCharacter: '\\' }],
  ['Parser directives: after a comment', '# About\n# escape=`\nFROM x', { escapeCharacter: '\\' }],
  [
    'Parser directives: unknown ones are comments',
    '# a=b\n# a=b\n# escape=`\nFROM x',
    { escapeCharacter: '\\' },
  ],
  ['syntax', '# syntax=docker/dockerfile:1\nFROM x', { hasChecks: false }],
  ['syntax', '# syntax=docker.io/docker/dockerfile-upstream:master@sha256:0\nFROM x', { stages: [{}] }],
  ['syntax', '# syntax=registry.example:5000/mirror/dockerfile:1-labs\nFROM x', { stages: [{}] }],
  ['syntax', '# syntax=example/other:1\nFROM x', /f:1: syntax=example\/other:1: only the language of docker/],
  ['escape', '# escape=\\\nFROM x', { escapeCharacter: '\\' }],
  ['escape', '# escape=x\nFROM x', /invalid escape=x/],
  ['check', '# check=skip=JSONArgsRecommended;error=true\nFROM x', { hasChecks: true }],
  [
    'check',
    '# check=skip=all\n# syntax=docker/dockerfile:1\n# escape=`\nFROM x',
    { hasChecks: true, escapeCharacter: '`' },
  ],
  [
    'FROM',
    'FROM --platform=$BUILDPLATFORM a:1 AS b',
    { stages: [{ name: 'b', from: { image: 'a:1', platform: '$BUILDPLATFORM' } }] },
  ],
  ['FROM', 'FROM a@sha256:0 as B', { stages: [{ name: 'b', from: { image: 'a@sha256:0' } }] }],
  [
    'FROM',
    'ARG V=1\nFROM a:$V\nFROM b',
    { stages: [{ name: '0' }, { name: '1' }], globals: [{ args: [{ name: 'V', value: '1' }] }] },
  ],
  ['FROM: what may precede it', 'ENV A=b\nFROM x', /ENV stands before the first FROM/],
  ['FROM', 'FROM --with=x a', /FROM has no --with/],
];

t.test('each directive and FROM is read as the reference says, or refused by name', async (t) => {
  for (const [section, text, read] of FILES) {
    const title = `${section}: ${JSON.stringify(text)}`;
    if (read instanceof RegExp) t.throws(() => parseDockerfile(text, 'f'), read, title);
    else t.match(parseDockerfile(text, 'f'), read, title);
  }
});

/** Options of `RUN --mount`, type by type. */
const MOUNTS: [options: string, read: RegExp | Record<string, unknown>][] = [
  ['target=/x', { type: 'bind', target: '/x', source: '/', from: undefined, writable: false }],
  ['dst=/x,source=a,from=b,rw', { type: 'bind', source: 'a', from: 'b', writable: true }],
  ['type=bind,destination=/x,readwrite=true', { target: '/x', writable: true }],
  ['type=bind,target=/x,mode=0700', /type=bind has no mode/],
  ['type=bind,target=/', /target=\/ is the root/],
  ['type=cache,target=/x', { id: '/x', sharing: 'shared', readOnly: false, mode: 0o755, uid: 0, gid: 0 }],
  ['type=cache,target=/x,id=i,sharing=LOCKED,ro', { id: 'i', sharing: 'locked', readOnly: true }],
  ['type=cache,target=/x,from=b,source=s,sharing=private', { from: 'b', source: 's', sharing: 'private' }],
  ['type=cache,target=/x,mode=0700,uid=5,gid=6', { mode: 0o700, uid: 5, gid: 6 }],
  ['type=cache,target=/x,readonly=false', { readOnly: false }],
  ['type=cache,target=/x,sharing=all', /invalid sharing=all; it is shared, private or locked/],
  ['type=cache', { target: '', id: '.' }],
  ['type=cache,target=./x//y/', { target: './x//y/', id: 'x/y' }],
  ['type=tmpfs', { type: 'tmpfs', target: '' }],
  ['source=a', { type: 'bind', target: '', source: 'a' }],
  ['type=tmpfs,target=/x', { type: 'tmpfs', size: undefined }],
  ['type=tmpfs,target=/x,size=1.5g', { size: 1.5 * 2 ** 30 }],
  ['type=tmpfs,target=/x,size=64MiB', { size: 64 << 20 }],
  ['type=tmpfs,target=/x,id=i', /type=tmpfs has no id/],
  ['type=secret,id=i', { id: 'i', target: '', env: undefined, required: false, mode: 0o400, uid: 0, gid: 0 }],
  ['type=secret,target=/run/s', { id: 's' }],
  ['type=secret,target=/run/s/', { id: 's' }],
  ['type=secret,source=s,required', { id: 's', required: true }],
  ['type=secret,id=i,env=E', { env: 'E' }],
  ['type=secret,id=i,mode=0440,uid=1,gid=2,required=true', { mode: 0o440, uid: 1, gid: 2, required: true }],
  ['type=secret', /the secret has no id/],
  ['type=secret,id=i,from=b', /type=secret has no from/],
  ['type=ssh,id=default,required', /type=ssh: a build has no SSH agent/],
  ['"target=/a,b"', { target: '/a,b' }],
  ['type=cache,targt=/x', /type=cache has no targt/],
];

t.test('each option of RUN --mount is read as the reference says, or refused by name', async (t) => {
  for (const [options, read] of MOUNTS) {
    const parse = () => {
      // With the escape directive, quotes reach the option as they are written.
      const line = `RUN --mount=${options.replaceAll('"', '\\"')} x`;
      return (parseDockerfile(`FROM x\n${line}`, 'f').stages[0].instructions[0] as RunInstruction).mounts;
    };
    if (read instanceof RegExp) t.throws(parse, read, options);
    else t.match(parseRunMount(parse()[0]), read, options);
  }
});

/** Docker's build context documentation, ".dockerignore files". */
const IGNORED: [patterns: string, ignored: string[], kept: string[]][] = [
  [
    '# comment\n*/temp*\n*/*/temp*\ntemp?\n',
    ['a/temporary', 'a/b/temp', 'tempa'],
    ['temp', 'a/b/c/temp', '# comment'],
  ],
  ['**/*.go', ['a.go', 'a/b/c.go'], ['a.gob']],
  ['foo/bar', ['foo/bar', 'foo/bar/baz'], ['foo', 'bar']],
  ['/foo/bar/', ['foo/bar'], ['a/foo/bar']],
  [' ./foo/../bar \n', ['bar'], ['foo']],
  ['*.md\n!README.md', ['a.md'], ['README.md', 'a/b.md']],
  ['*.md\n!README*.md\nREADME-secret.md', ['README-secret.md', 'x.md'], ['README.md']],
  ['*.md\nREADME-secret.md\n!README*.md', ['x.md'], ['README-secret.md', 'README.md']],
  ['*\n!a/b', ['c', 'a/c'], ['a/b', 'a/b/c']],
  [
    '\ufeff**\r\n!**/*.py\r\n! ./a.txt\r\nsub/deep\r\n',
    ['x', 'sub/deep/c.py'],
    ['a.py', 'sub/b.py', 'a.txt'],
  ],
  ['[a-c]x\n[^d]y\n\\*', ['ax', 'ey', '*'], ['dx', 'dy', 'b']],
];

t.test('each rule of .dockerignore leaves out and keeps what the documentation says', async (t) => {
  for (const [patterns, ignored, kept] of IGNORED) {
    const list = IgnoreList.parse(patterns, 'f');
    for (const path of ignored) t.ok(list.ignores(path), `${JSON.stringify(patterns)} leaves ${path} out`);
    for (const path of kept) t.notOk(list.ignores(path), `${JSON.stringify(patterns)} keeps ${path}`);
  }
});

t.test('modes of the reference change what chmod(1) would change', async (t) => {
  const change = (text: string, mode: number) => parseModeChange({ file: 'f', line: 1 }, text)(mode, false);
  t.equal(change('+x', 0o644), 0o755);
  t.equal(change('g=u', 0o741), 0o771);
  t.equal(change('go=u', 0o640), 0o666);
  t.equal(change('o+g', 0o650), 0o655);
  t.equal(change('755', 0), 0o755);
});

t.test('files are where the examples of COPY and ADD say', { timeout: 120_000 }, async (t) => {
  const builder = await Builder.make(t);
  const files = {
    'x/a.txt': '1',
    'y/a.txt': '2',
    'x/y/a.txt': '3',
    'x/y/b.txt': '4',
    'src/a.txt': '5',
    'src/x/b.txt': '6',
    'src/x/y/c.txt': '7',
    'src/x/no': '8',
    'arr[0].txt': '9',
    'home.txt': '',
    'home.md': '',
    home: '',
  };
  const said = await builder.ok(
    `# check=error=true
FROM box
WORKDIR /w
COPY --parents ./x/a.txt ./y/a.txt /1/
COPY --parents ./x/./y/*.txt /2/
COPY --parents ./src/**/*.txt /3/
COPY arr[[]0].txt rel/
COPY --exclude=*.txt --exclude=*.md hom* /4/
COPY --parents x/./y /5/
COPY --parents **/c.txt /6/
COPY --from=box --parents /etc/./passwd /7/
COPY x/ /x/
RUN find /[1-9] /w /x -type f | sort > /found
`,
    files,
  );
  t.match(said, /# check= has no effect: there are no build checks here/);
  t.strictSame((await builder.say('cat', '/found')).trim().split('\n'), [
    '/1/x/a.txt',
    '/1/y/a.txt',
    '/2/y/a.txt',
    '/2/y/b.txt',
    '/3/src/a.txt',
    '/3/src/x/b.txt',
    '/3/src/x/y/c.txt',
    '/4/home',
    '/5/y/a.txt',
    '/5/y/b.txt',
    '/6/src/x/y/c.txt',
    '/7/passwd',
    '/w/rel/arr[0].txt',
    '/x/a.txt',
    '/x/y/a.txt',
    '/x/y/b.txt',
  ]);
  const refusals: [line: string, reason: RegExp][] = [
    ['COPY http://127.0.0.1:1/f /x', /COPY http:\S+: only ADD fetches what lies elsewhere; write ADD/],
    ['COPY git@h:a/b.git /x', /COPY git@\S+: only ADD fetches/],
    ['ADD https://h/a/b.git#v1:docs /x', /repositories of git are not fetched/],
    ['ADD --checksum=sha256:0 home /x', /--checksum is for one source that is fetched/],
    ['ADD --checksum=md5:0 http://127.0.0.1:1/f /x', /--checksum=md5:0 is not a digest/],
    ['COPY --chmod=77777 home /x', /--chmod=77777 is not a mode/],
  ];
  for (const [line, reason] of refusals) {
    const { status, stderr } = await builder.run(`FROM box\n${line}\n`, files);
    t.equal(status, 1, line);
    t.match(stderr, reason, line);
  }
});
