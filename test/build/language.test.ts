// SPDX-License-Identifier: MIT
/** The Dockerfile language: lines, words, instructions, and what is said of mistakes; patterns of .dockerignore. */
import fc from 'fast-check';
import t from 'tap';
import { OverlayError } from '../../lib/base/errors.js';
import { parseDockerfile } from '../../lib/build/language/dockerfile.js';
import { DockerfileError } from '../../lib/build/language/failure.js';
import { globToRegExp } from '../../lib/build/language/glob.js';
import { IgnoreList } from '../../lib/build/language/ignore.js';
import type { CopyInstruction, Instruction, RunInstruction } from '../../lib/build/language/instructions.js';
import { parseModeChange } from '../../lib/build/language/mode-change.js';
import { parseRunMount } from '../../lib/build/language/run-mount.js';
import { expandWord, expandWords, WordError } from '../../lib/build/language/words.js';

/** The instructions after a FROM. */
function parse(text: string, file = 'Dockerfile'): Instruction[] {
  return parseDockerfile(`FROM x\n${text}`, file).stages[0].instructions;
}

function first<T extends Instruction>(text: string): T {
  return parse(text)[0] as T;
}

t.test('lines are joined as their continuations say', async (t) => {
  const line = (text: string): unknown => (first<RunInstruction>(text).command as { line: string }).line;
  t.equal(line('RUN a \\\n  b'), 'a   b');
  t.equal(line('RUN a \\\n# comment\n\n  # indented\nb'), 'a b');
  t.equal(line('RUN a \\  \nb'), 'a b', 'spaces may follow the continuation');
  t.equal(line('RUN echo a\\\\\nRUN b'), 'echo a\\\\', 'a doubled one stands for itself');
  t.equal(line('RUN a \\'), 'a', 'one at the end of the file continues nothing');
  t.equal(line('RUN a\\\r\nb\r\n'), 'ab', 'line ends of Windows');
  t.equal(line('RUN [ -e /x ] && echo yes'), '[ -e /x ] && echo yes', 'what begins like JSON and is none');
});

t.test('a directive counts at the top, and is refused when it comes twice', async (t) => {
  t.equal(parseDockerfile('# escape=`\nFROM x', 'f').escapeCharacter, '`');
  t.equal(parseDockerfile('#syntax=docker/dockerfile:1\n#  ESCAPE = `\nFROM x', 'f').escapeCharacter, '`');
  t.equal(
    parseDockerfile('# a comment\n# escape=`\nFROM x', 'f').escapeCharacter,
    '\\',
    'after a comment it is one',
  );
  t.equal(parseDockerfile('\n# escape=`\nFROM x', 'f').escapeCharacter, '\\', 'and after an empty line');
  t.throws(
    () => parseDockerfile('# escape=`\n# escape=`\nFROM x', 'f'),
    /f:2: the directive escape is given twice/,
  );
  t.throws(() => parseDockerfile('# escape=x\nFROM x', 'f'), /f:1: invalid escape=x/);
  t.equal(parseDockerfile('\ufeffFROM x', 'f').stages.length, 1, 'a byte order mark is none of it');
});

t.test('a here-document is read up to its name, expanded unless the name is quoted', async (t) => {
  const run = first<RunInstruction>('RUN <<EOF\necho 1\n  echo 2\nEOF\n');
  t.strictSame(run.heredocs, [{ name: 'EOF', expands: true, content: 'echo 1\n  echo 2\n' }]);
  const two = first<RunInstruction>("RUN cat <<A 3<<-'B' > /f\n$x\nA\n\t\ty\n\tB\n");
  t.strictSame(two.heredocs, [
    { name: 'A', expands: true, content: '$x\n' },
    { name: 'B', expands: false, content: 'y\n' },
  ]);
  const copy = first<CopyInstruction>('COPY <<one <<"two" /d/\n1\none\n2\ntwo\nRUN after');
  t.strictSame(copy.sources, [], 'a here-document is none of the files');
  t.same(
    copy.heredocs.map(({ content }) => content),
    ['1\n', '2\n'],
  );
  t.equal(parse('COPY <<one /d\n1\none\nRUN after')[1].kind, 'RUN', 'what follows is an instruction again');
  t.strictSame(
    first<RunInstruction>('RUN echo "a << b" $((1 <<2))x').heredocs,
    [],
    'quoted, or an operator, it is none',
  );
  t.strictSame(first<RunInstruction>('RUN cat <<< word').heredocs, [], 'nor is a here-string');
  t.throws(() => parse('RUN <<EOF\nno end\n'), /Dockerfile:2: the here-document EOF has no end/);
});

t.test('flags of an instruction are read in the forms that they have', async (t) => {
  const copy = first<CopyInstruction>(
    'COPY --from=a --chown=1:2 --chmod=755 --link --exclude=*.o --exclude=b x /y',
  );
  t.match(copy, {
    from: 'a',
    chown: '1:2',
    chmod: '755',
    link: true,
    excludes: ['*.o', 'b'],
    sources: ['x'],
  });
  t.match(first<CopyInstruction>('ADD --checksum=sha256:x --unpack=false http://h/f /d'), {
    checksum: 'sha256:x',
    unpack: false,
  });
  const run = first<RunInstruction>(
    'RUN --mount=type=cache,id=c,dst=/c,sharing=locked,mode=0700,uid=5 --mount=type=secret,id=s --network=none echo --not=a',
  );
  t.match(run, { network: 'none', command: { line: 'echo --not=a' } });
  const mountsOf = ({ mounts }: RunInstruction) => mounts.map(parseRunMount);
  t.match(mountsOf(run), [
    { type: 'cache', id: 'c', target: '/c', sharing: 'locked', mode: 0o700, uid: 5 },
    { type: 'secret', id: 's', target: '', required: false, mode: 0o400 },
  ]);
  t.match(mountsOf(first('RUN --mount=target=/x ls')), [{ type: 'bind', source: '/', writable: false }]);
  t.match(first('HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD x'), {
    interval: 90e9,
    timeout: 5e8,
    retries: 3,
  });
});

/** What is wrong, in which line, with which words. */
const MISTAKES: [text: string, line: number, reason: RegExp, remedy?: RegExp][] = [
  ['', 1, /no FROM/],
  ['# nothing\n', 1, /no FROM/],
  ['RUN x\nFROM y', 1, /RUN stands before the first FROM/, /begin with FROM/],
  ['FROM x\nRUNN y', 2, /no instruction RUNN/, /did you mean RUN\?/],
  ['FROM x\n\n# c\nFORM y', 4, /no instruction FORM/, /did you mean FROM\?/],
  ['FROM x\nXYZZYX y', 2, /no instruction XYZZYX/, /instructions are FROM, RUN/],
  ['FROM', 1, /cannot parse FROM/, /write FROM IMAGE/],
  ['FROM x y', 1, /cannot parse FROM/],
  ['FROM x AS 1y', 1, /cannot be the name of a stage/],
  ['FROM x AS a\nFROM y AS A', 2, /line 1 is called a already/],
  ['FROM x\nRUN', 2, /RUN has no command/],
  ['FROM x\nCOPY a', 2, /COPY needs a source and a destination/, /SOURCE… DESTINATION/],
  ['FROM x\nCOPY --form=a b c', 2, /COPY has no --form/, /did you mean --from\?/],
  ['FROM x\nCOPY --from=a --from=b c d', 2, /--from is given twice/],
  ['FROM x\nCOPY --link=maybe a b', 2, /invalid --link=maybe/],
  ['FROM x\nCOPY a <<b\nb', 2, /destination cannot be a here-document/],
  ['FROM x\nWORKDIR --x /a', 2, /WORKDIR has no --x/, /takes none/],
  ['FROM x\nRUN --mount=type=cach,target=/x y', 2, /no type cach/, /bind, cache, tmpfs, secret/],
  ['FROM x\nRUN --mount=type=cache,target=/x,sharng=locked y', 2, /no sharng/, /did you mean sharing/],
  ['FROM x\nRUN --mount=type=cache,target=/x,sharing=some y', 2, /invalid sharing=some/],
  ['FROM x\nRUN --mount=type=cache,target=/x,mode=9 y', 2, /not an octal number/],
  ['FROM x\nRUN --mount=type=tmpfs,target=/x,size=big y', 2, /size=big is not a size/],
  ['FROM x\nRUN --network=some y', 2, /invalid --network=some/],
  ['FROM x\nRUN --security=insecure y', 2, /invalid --security=insecure/],
  ['FROM x\nENV', 2, /ENV has no name/],
  ['FROM x\nENV A', 2, /ENV A has no value/, /ENV A=VALUE/],
  ['FROM x\nENV A=b c', 2, /c is not NAME=VALUE/, /quotes/],
  ['FROM x\nARG 1x', 2, /1x cannot be the name of an ARG/],
  ['FROM x\nSHELL bash', 2, /SHELL needs a JSON list/],
  ['FROM x\nHEALTHCHECK X y', 2, /X y is neither CMD with a command nor NONE/],
  ['FROM x\nHEALTHCHECK --interval=fast CMD y', 2, /--interval=fast is not a duration/],
  ['FROM x\nONBUILD FROM y', 2, /ONBUILD FROM is not allowed/],
  ['FROM x\nONBUILD ONBUILD RUN y', 2, /ONBUILD ONBUILD is not allowed/],
  ['FROM x\nONBUILD RUNN y', 2, /no instruction RUNN/],
  ['FROM x\nUSER', 2, /USER needs a word/],
  ['FROM x\nEXPOSE', 2, /EXPOSE needs at least one word/],
];

for (const [text, line, reason, remedy] of MISTAKES) {
  t.test(`a mistake is named: ${JSON.stringify(text)}`, async (t) => {
    let failure: unknown;
    try {
      parseDockerfile(text, 'dir/Dockerfile');
    } catch (caught) {
      failure = caught;
    }
    t.ok(failure instanceof DockerfileError);
    t.match(failure, { path: `dir/Dockerfile:${line}`, reason, ...(remedy === undefined ? {} : { remedy }) });
    t.notMatch((failure as Error).message, /\n/);
  });
}

const VALUES: Record<string, string> = { A: 'a', SP: 'x  y', EMPTY: '', PATHS: '/usr/lib/file.tar.gz' };

/** Words as the Dockerfile reference and the shell expand them. */
const WORDS: [text: string, expanded: string][] = [
  ['plain', 'plain'],
  ['$A', 'a'],
  ['${A}b', 'ab'],
  ['$Ab', ''],
  ['"$A b"', 'a b'],
  ["'$A b'", '$A b'],
  ['\\$A', '$A'],
  ['"\\$A \\" \\n"', '$A " \\n'],
  ['a\\ b', 'a b'],
  ['$', '$'],
  ['a$', 'a$'],
  ['$1', ''],
  ['${A:-x}${NO:-x}${EMPTY:-x}', 'axx'],
  ['${A-x}${NO-x}${EMPTY-x}', 'ax'],
  ['${A:+x}${NO:+x}${EMPTY:+x}', 'x'],
  ['${A+x}${NO+x}${EMPTY+x}', 'xx'],
  ['${NO:-${A}${NO:-"b c"}}', 'ab c'],
  ['${A:?needed}', 'a'],
  ['${PATHS#*/}', 'usr/lib/file.tar.gz'],
  ['${PATHS##*/}', 'file.tar.gz'],
  ['${PATHS%.*}', '/usr/lib/file.tar'],
  ['${PATHS%%.*}', '/usr/lib/file'],
  ['${PATHS/lib/LIB}', '/usr/LIB/file.tar.gz'],
  ['${PATHS//\\//_}', '_usr_lib_file.tar.gz'],
  ['', ''],
];

t.test('words are expanded', async (t) => {
  for (const [text, expanded] of WORDS)
    t.equal(
      expandWord(text, (name) => VALUES[name], '\\'),
      expanded,
      text,
    );
  t.equal(
    expandWord('C:\\dir\\$A`$A', (name) => VALUES[name], '`'),
    'C:\\dir\\a$A',
    'with another escape',
  );
  t.strictSame(
    expandWords('$SP "$SP" \'q q\'', (name) => VALUES[name], '\\'),
    ['x', 'y', 'x  y', 'q q'],
  );
  t.strictSame(
    expandWords('$EMPTY ""', (name) => VALUES[name], '\\'),
    [''],
  );
  for (const wrong of ['"open', "'open", '${A', '${', '${A:=x}', '${NO:?is needed}', '${A:-x'])
    t.throws(() => expandWord(wrong, (name) => VALUES[name], '\\'), /\S/, wrong);
  t.throws(() => expandWord('${NO:?is needed}', () => undefined, '\\'), { message: 'NO: is needed' });
});

t.test('patterns match what they match in Go', async (t) => {
  const cases: [pattern: string, yes: string[], no: string[]][] = [
    ['*.txt', ['a.txt', '.txt'], ['a/b.txt', 'atxt']],
    ['a?c', ['abc', 'a.c'], ['a/c', 'ac']],
    ['[a-c]x', ['ax', 'cx'], ['dx', '/x']],
    ['[^a]x', ['bx'], ['ax', '/x']],
    ['\\*', ['*'], ['a']],
    ['a[]]b', ['a]b'], ['ab']],
    ['a+(b)', ['a+(b)'], ['aab']],
  ];
  for (const [pattern, yes, no] of cases) {
    for (const text of yes) t.ok(globToRegExp(pattern).test(text), `${pattern} is ${text}`);
    for (const text of no) t.notOk(globToRegExp(pattern).test(text), `${pattern} is not ${text}`);
  }
  t.throws(() => globToRegExp('[a'), /without \]/);
});

t.test('.dockerignore ignores what its last matching line says', async (t) => {
  const list = IgnoreList.parse(
    '# c\n\n*.log\n**/tmp\n/build/\n!keep.log\ndocs/**/x\n!docs/a/x\n',
    '.dockerignore',
  );
  const ignored = [
    'a.log',
    'tmp',
    'a/b/tmp',
    'a/tmp/file',
    'build',
    'build/x/y',
    'docs/x',
    'docs/b/c/x',
    'docs/x/below',
  ];
  const kept = ['a.txt', 'a/b.log', 'keep.log', 'tmp2', 'a/build', 'docs/a/x', 'docs/a/x/below', '# c'];
  for (const path of ignored) t.ok(list.ignores(path), `${path} is ignored`);
  for (const path of kept) t.notOk(list.ignores(path), `${path} is not`);
  t.throws(() => IgnoreList.parse('a\n[b', 'f'), /f:2/);
  t.ok(IgnoreList.parse('# only\n\n.\n', 'f').isEmpty);
});

t.test('a mode is read as chmod(1) reads it, in digits or letters', async (t) => {
  const place = { file: 'f', line: 1 };
  const cases: [text: string, mode: number, directory: boolean, changed: number][] = [
    ['755', 0o600, false, 0o755],
    ['4711', 0o600, false, 0o4711],
    ['u+x', 0o644, false, 0o744],
    ['go-rwx', 0o777, false, 0o700],
    ['a=r', 0o777, false, 0o444],
    ['u=rwX,go=rX', 0o600, false, 0o644],
    ['u=rwX,go=rX', 0o700, false, 0o755],
    ['u=rwX,go=rX', 0o600, true, 0o755],
    ['+t', 0o755, true, 0o1755],
    ['g+s', 0o755, true, 0o2755],
  ];
  for (const [text, mode, directory, changed] of cases)
    t.equal(parseModeChange(place, text)(mode, directory), changed, `${text} of ${mode.toString(8)}`);
  for (const wrong of ['', '8', 'x+u', '777777', 'u+q'])
    t.throws(() => parseModeChange(place, wrong), /is not a mode/, wrong);
});

t.test('whatever comes is read or refused in one line', async (t) => {
  const seed = Number(process.env.BUILD_SEED ?? Math.floor(Math.random() * 2 ** 31));
  t.comment(`BUILD_SEED=${seed}`);
  const token = fc.constantFrom(
    'FROM',
    'RUN',
    'COPY',
    'ENV',
    ' ',
    '\n',
    '\\',
    '\\\n',
    '"',
    "'",
    '$',
    '${',
    '}',
    '<<',
    'EOF',
    '=',
    '[',
    ']',
    '#',
    '--',
    '--mount=',
    'type=cache',
    ',',
    'a',
    '/b',
    '\t',
    '\r\n',
    '\0',
    'é',
  );
  const text = fc.array(token, { maxLength: 40 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (random) => {
      try {
        parseDockerfile(`FROM x\n${random}`, 'f');
      } catch (failure) {
        if (!(failure instanceof OverlayError) || failure.message.includes('\n')) throw failure;
      }
      try {
        expandWords(random, () => 'v', '\\');
      } catch (failure) {
        if (!(failure instanceof WordError)) throw failure;
      }
    }),
    { seed, numRuns: 2000 },
  );
});
