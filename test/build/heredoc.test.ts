// SPDX-License-Identifier: MIT
/**
 * Here-documents as BuildKit reads them (parser/parser.go heredocsFromLine, shell/lex.go,
 * SourcesAndDest.ExpandRaw): in the text `\` escapes whatever follows it, with every escape
 * directive, quotes are text, and a name that is quoted somewhere takes the meaning of all of it.
 */
import t from 'tap';
import { parseDockerfile } from '../../lib/build/language/dockerfile.js';
import type { CopyInstruction, RunInstruction } from '../../lib/build/language/instructions.js';
import { expandDocument } from '../../lib/build/language/words.js';
import { Builder } from '../support/builds.js';

const VALUES: Record<string, string> = { A: 'a', Q: `"'\\` };
const expand = (text: string): string => expandDocument(text, (name) => VALUES[name]);

t.test('quotes are text in a here-document, and a backslash takes the meaning of what follows', async (t) => {
  const texts: [text: string, expanded: string][] = [
    ['say \\"hi\\"\n', 'say "hi"\n'],
    ["it's $A\n", "it's a\n"],
    ['"$A" \'$A\'\n', '"a" \'a\'\n'],
    ['\\$A \\\\$A \\\\\\$A\n', '$A \\a \\$A\n'],
    ['a\\nb C:\\dir\n', 'anb C:dir\n'],
    ['joined \\\nlines\n', 'joined \nlines\n'],
    ['`$A` \\`\n', '`a` `\n'],
    ['<<B <\n', '<<B <\n'],
    ['$ ${A} ${NO:-"d"} ${NO:-\'$A\'} $NO.\n', '$ a "d" \'a\' .\n'],
    ['$Q ${A#a} ${A/a/"}\n', `"'\\  "\n`],
    ['last \\', 'last '],
  ];
  for (const [text, expanded] of texts) t.equal(expand(text), expanded, JSON.stringify(text));
  t.throws(() => expand('${A'), /the here-document has/);
  t.throws(() => expand('${NO:?is needed}'), { message: 'NO: is needed' });
});

type Read = [name: string, expands: boolean, content: string];

function read(line: string, body: string): { words: string[]; documents: Read[]; after: number } {
  const { instructions } = parseDockerfile(`FROM x\n${line}\n${body}`, 'f').stages[0];
  const { heredocs, ...first } = instructions[0] as CopyInstruction | RunInstruction;
  const documents = heredocs.map(({ name, expands, content }): Read => [name, expands, content]);
  return { words: 'sources' in first ? first.sources : [], documents, after: instructions.length - 1 };
}

t.test('the name of a here-document is found as the lexer finds it', async (t) => {
  const lines: [line: string, body: string, documents: Read[]][] = [
    ['COPY <<E /f', '$A\nE\n', [['E', true, '$A\n']]],
    ['COPY <<"E" /f', '$A\nE\n', [['E', false, '$A\n']]],
    ["COPY <<'E' /f", '$A\nE\n', [['E', false, '$A\n']]],
    ['COPY <<E"O"F /f', '$A\nEOF\n', [['EOF', false, '$A\n']]],
    ['COPY <<\\E /f', '$A\nE\n', [['E', true, '$A\n']]],
    ['COPY << E /f', '$A\nE\n', [['E', true, '$A\n']]],
    ['COPY <<\t"E" /f', '$A\nE\n', [['E', false, '$A\n']]],
    ['COPY <<- E /f', '\t\t1\n\t E\n\tE\n', [['E', true, '1\n E\n']]],
    ['COPY <<-"E" /f', '\t$A\nE\n', [['E', false, '$A\n']]],
    ['COPY <<E /f', '\tE\n E\nE \nE\n', [['E', true, '\tE\n E\nE \n']]],
    ['COPY 3<<E /f', '\r\nx\r\nE\r\n', [['E', true, '\r\nx\r\n']]],
    [
      'COPY <<a.txt <<b.txt /d/',
      '1\na.txt\n2\nb.txt\n',
      [
        ['a.txt', true, '1\n'],
        ['b.txt', true, '2\n'],
      ],
    ],
    ['COPY <<E /f', 'E\n', [['E', true, '']]],
    ['ADD --chmod=600 <<E /f', '\nE\n', [['E', true, '\n']]],
    ['COPY --chown="1:1" <<E /f', '# text\nE\n', [['E', true, '# text\n']]],
    ['COPY ["<<E", "/f"]', '', []],
    [
      'RUN cat <<E >/f && cat << "F"',
      '1\nE\n2\nF\n',
      [
        ['E', true, '1\n'],
        ['F', false, '2\n'],
      ],
    ],
    ['RUN echo "<<E" \'<<E\' $((1<<2))', '', []],
    ['RUN cat <<< E', '', []],
    ['ONBUILD COPY <<E /f', '1\nE\n', []],
  ];
  for (const [line, body, documents] of lines) {
    if (line.startsWith('ONBUILD')) {
      const [{ kind, ...rest }] = parseDockerfile(`FROM x\n${line}\n${body}`, 'f').stages[0].instructions;
      t.match({ kind, ...rest }, { kind: 'ONBUILD', trigger: 'COPY <<E /f\n1\nE' });
      continue;
    }
    const { documents: found, after } = read(line, `${body}USER after`);
    t.strictSame(found, documents, line);
    t.equal(after, 1, `${line}: what follows is an instruction`);
  }
  t.strictSame(read('COPY a <<E b /d/', 'E\n').words, ['a', 'b'], 'files beside it are files');
  t.match(parseDockerfile('# escape=`\nFROM x\nCOPY <<E /f\na`\nE\n', 'f').stages[0].instructions, [
    { heredocs: [{ content: 'a`\n' }] },
  ]);
  t.throws(() => read('COPY <<E /f', 'no end\n'), /f:2: the here-document E has no end/);
  t.throws(() => read('COPY a <<E', 'E\n'), /the destination cannot be a here-document/);
  t.throws(() => read('COPY <<a/b /f', 'a/b\n'), /the here-document a\/b is to become a file/);
});

t.test('here-documents are files and scripts with exactly their text', async (t) => {
  const builder = await Builder.make(t);
  for (const directive of ['', '# escape=`\n', '# escape=\\\n']) {
    await builder.ok(
      `${directive}FROM box
ARG A=a
COPY <<X /x
say \\"hi\\" it's "$A" \\$A \\\\ C:\\dir \`$A
X
COPY <<"X" /raw
say \\"hi\\" '$A \\
X
ADD <<-'X' file << Y /d/
	tab \\"
	X
$A
Y
RUN <<X
printf '%s\\n' "say \\"hi\\"" '\\$A' > /run
X
RUN cat <<"X" >/cat && cat <<-Y >>/cat
\\"$A\\"
X
	\\$A $A
	Y
`,
      { file: 'f\n' },
    );
    t.equal(
      await builder.say('cat', '/x', '/raw', '/d/X', '/d/Y', '/d/file', '/run', '/cat'),
      `say "hi" it's "a" $A \\ C:dir \`a\nsay \\"hi\\" '$A \\\ntab \\"\na\nf\nsay "hi"\n\\$A\n\\"$A\\"\n$A a\n`,
      directive,
    );
  }
});
