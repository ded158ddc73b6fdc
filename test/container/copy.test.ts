// SPDX-License-Identifier: MIT
/**
 * What `cp` makes of each source and destination, as `docker cp` documents it, in both directions. Each row has
 * a destination of its own; what has changed in it is told as `name=content`, `name/`, `name>target`, and `-name` for what is gone.
 */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { copy } from '../../lib/cli/container/copy.js';
import { boxCli, PROGRAM } from '../support/containers.js';
import { shell } from '../support/ground.js';

const SOURCE = `mkdir -p src/d; cd src; echo new > f; echo in > d/in; ln -s f lf; ln -s d ld; ln -s none no; ln -s f/ fs; ln -s loop loop`;

/** $W is where the rows lie, so that links can be absolute. */
const DESTINATION = `mkdir -p $W/$i/d; cd $W/$i; echo old > f; echo kept > d/kept; mkfifo p; ln -s $W/$i/f lf; ln -s d ld
  ln -s lf ll; ln -s $W/$i/new ln; ln -s ln lln; ln -s none/new lx; ln -s f/ fs; ln -s new/ ns; ln -s loop loop; ln -s p lp; cd $W`;

const DESCRIBE = `cd $W/$i; find . | sort | while read -r n; do
  if [ -L $n ]; then echo "$n>$(readlink $n | sed "s,^$W/[0-9]*,W,")"; elif [ -d $n ]; then echo $n/
  elif [ -f $n ]; then read -r c < $n; echo $n=$c; else echo "$n?"; fi; done; echo ==`;

const NOTHING = /there is no such file or directory/;
const NO_PARENT = /the directory that it would lie in is not there/;
const NO_DIRECTORY = /there is no such directory/;
const NOT_A_DIRECTORY = /it is not a directory/;
const ONTO_FILE = /a directory cannot take the place of a file/;
const SPECIAL = /it is neither a directory nor a regular file/;
const LOOP = /symbolic links/;

type Row = [source: string, destination: string, outcome: string | RegExp, ...options: string[]];

const ROWS: Row[] = [
  // A file.
  ['f', 'new', 'new=new'],
  ['f', 'new/', NO_DIRECTORY],
  ['f', 'new/.', NO_DIRECTORY],
  ['f', 'none/new', NO_PARENT],
  ['f', 'f/new', NOTHING],
  ['f', 'f', 'f=new'],
  ['f', 'f/', NOT_A_DIRECTORY],
  ['f', 'f/.', NOT_A_DIRECTORY],
  ['f', 'd', 'd/f=new'],
  ['f', 'd/', 'd/f=new'],
  ['f', 'd/.', 'd/f=new'],
  ['f', 'd/../new', 'new=new'],
  ['f', 'lf', 'f=new'],
  ['f', 'll', 'f=new'],
  ['f', 'lf/', NOT_A_DIRECTORY],
  ['f', 'fs', NOT_A_DIRECTORY],
  ['f', 'ld', 'd/f=new'],
  ['f', 'ld/', 'd/f=new'],
  ['f', 'ld/new', 'd/new=new'],
  ['f', 'ln', 'new=new'],
  ['f', 'lln', 'new=new'],
  ['f', 'ln/', NO_DIRECTORY],
  ['f', 'ns', NO_DIRECTORY],
  ['f', 'lx', NO_PARENT],
  ['f', 'loop', LOOP],
  ['f', 'p', SPECIAL],
  ['f', 'lp', SPECIAL],
  ['f/', 'new', NOT_A_DIRECTORY],
  ['f/.', 'new', NOT_A_DIRECTORY],
  ['none', 'new', NOTHING],
  // A directory.
  ['d', 'new', 'new/ new/in=in'],
  ['d', 'new/', 'new/ new/in=in'],
  ['d', 'new/.', NO_DIRECTORY],
  ['d/.', 'new', 'new/ new/in=in'],
  ['d', 'none/new', NO_PARENT],
  ['d', 'f', ONTO_FILE],
  ['d/.', 'f', ONTO_FILE],
  ['d', 'f/', NOT_A_DIRECTORY],
  ['d', 'lf', ONTO_FILE],
  ['d', 'd', 'd/d/ d/d/in=in'],
  ['d/', 'd/', 'd/d/ d/d/in=in'],
  ['d/.', 'd', 'd/in=in'],
  ['d/.', 'd/.', 'd/in=in'],
  ['d/../d', 'd', 'd/d/ d/d/in=in'],
  ['d', 'ld', 'd/d/ d/d/in=in'],
  ['d/.', 'ld', 'd/in=in'],
  ['d', 'ln', 'new/ new/in=in'],
  ['d/.', 'ln', 'new/ new/in=in'],
  ['d', 'ns', 'new/ new/in=in'],
  ['d', 'lx', NO_PARENT],
  // A link is copied as one, unless it is to be followed; then its name stays.
  ['lf', 'new', 'new>f'],
  ['lf', 'd', 'd/lf>f'],
  ['lf', 'f', 'f>f'],
  ['lf', 'new', 'new=new', '-L'],
  ['lf', 'd', 'd/lf=new', '-L'],
  ['lf/', 'new', NOT_A_DIRECTORY],
  ['fs', 'new', NOT_A_DIRECTORY, '-L'],
  ['ld', 'd', 'd/ld>d'],
  ['ld', 'new', 'new>d'],
  ['ld', 'd', 'd/ld/ d/ld/in=in', '-L'],
  ['ld/', 'd', 'd/ld/ d/ld/in=in'],
  ['ld/.', 'd', 'd/in=in'],
  ['ld', 'ln', 'new/ new/in=in', '-L'],
  ['no', 'd', 'd/no>none'],
  ['no', 'new', NOTHING, '-L'],
  ['loop', 'new', LOOP, '-L'],
];

const each = (script: string): string =>
  `i=0; while [ $i -le ${ROWS.length} ]; do ${script}\ni=$((i+1)); done`;

/** The lines that are new, and the names that are gone. */
function changes(before: string, after: string): string {
  const [was, is] = [before, after].map((text) => text.replaceAll('./', '').split('\n').filter(Boolean));
  const nameOf = (line: string): string => line.replace(/[=>?].*$/, '');
  const kept = new Set(is.map(nameOf));
  const gone = was.map(nameOf).filter((name) => !kept.has(name));
  return [...gone.map((name) => `-${name}`), ...is.filter((line) => !was.includes(line))].join(' ');
}

t.test('cp does what docker cp documents, for each source and destination, in and out', async (t) => {
  const cli = await boxCli(t);
  shell(`(${SOURCE}); W=${cli.base}/w; ${each(DESTINATION)}`, cli.base);
  const prepare = `cd /; (${SOURCE}); W=/w; ${each(DESTINATION)}`;
  await cli.ok('run', '-d', '--name', 'c1', 'box', 'sleep', '1000');
  await cli.ok('exec', 'c1', 'sh', '-ec', prepare);
  // The command itself, without a process for each row.
  const outcomes = ROWS.map(() => ({ in: '', out: '' }));
  for (const [index, [source, destination, , ...options]] of ROWS.entries()) {
    const of = { root: cli.root, archive: false, 'follow-link': options.includes('-L'), quiet: true };
    const place = `w/${index + 1}/${destination}`;
    const note = (way: 'in' | 'out') => (error: Error) => {
      outcomes[index][way] = error.message;
    };
    await copy({ ...of, source: `${cli.base}/src/${source}`, destination: `c1:/${place}` }).catch(note('in'));
    await copy({ ...of, source: `c1:src/${source}`, destination: `${cli.base}/${place}` }).catch(note('out'));
  }
  const seen = [
    await cli.ok('exec', 'c1', 'sh', '-ec', `W=/w; ${each(DESCRIBE)}`),
    shell(`W=${cli.base}/w; ${each(DESCRIBE)}`, cli.base),
  ].map((text) => text.split('==\n'));
  for (const [index, [source, destination, outcome, ...options]] of ROWS.entries()) {
    for (const [at, way] of (['in', 'out'] as const).entries()) {
      const changed = changes(seen[at][0], seen[at][index + 1]);
      const title = ['cp', ...options, source, destination, way].join(' ');
      const error = outcomes[index][way];
      if (typeof outcome !== 'string') t.match(error, outcome, title);
      t.strictSame(
        { changed, error },
        typeof outcome === 'string' ? { changed: outcome, error: '' } : { changed: '', error },
        title,
      );
    }
  }
});

t.test(
  'cp: a link leads nowhere but into the container, devices stay, and a copy of itself is refused',
  async (t) => {
    const cli = await boxCli(t);
    const { base } = cli;
    mkdirSync(join(base, 'd'));
    writeFileSync(join(base, 'f'), 'new\n');
    writeFileSync(join(base, 'host'), 'host\n');
    symlinkSync(base, join(base, 'all'));
    shell('mknod null c 1 3; tar -C . -cf f.tar f', base);
    await cli.ok('run', '-d', '--name', 'c1', 'box', 'sleep', '1000');
    const up = '../'.repeat(30);
    await cli.ok(
      'exec',
      'c1',
      'sh',
      '-ec',
      `mkdir -p .${base}; ln -s ${up}${base}/host up; ln -s ${base}/made absolute; ln -s ${base} to; ln -s /proc/1/root/srv magic`,
    );
    await cli.ok('cp', 'f', 'c1:/up');
    await cli.ok('cp', 'f', 'c1:absolute');
    await cli.ok('cp', 'd/.', 'c1:/../../srv/../dir');
    shell(`TSOVERLAY_ROOT=${cli.root} ${PROGRAM} cp - c1:/to < f.tar`, base);
    t.equal(
      await cli.ok(
        'exec',
        'c1',
        'sh',
        '-c',
        `cd ${base}; grep . *; ls -d /dir; for l in /up /absolute /to; do readlink $l; done`,
      ),
      `f:new\nhost:new\nmade:new\n/dir\n${up}${base}/host\n${base}/made\n${base}\n`,
    );
    t.equal(readFileSync(join(base, 'host'), 'utf8'), 'host\n');
    t.notOk(existsSync(join(base, 'made')));
    await cli.ok('cp', 'all', 'c1:/srv');
    t.equal(
      await cli.ok('exec', 'c1', 'readlink', '/srv/all'),
      `${base}\n`,
      'a link holds nothing of its target',
    );
    const refused: [args: string[], status: number, message: RegExp][] = [
      [['f', 'c1:/dev/null'], 1, SPECIAL],
      [['c1:/up', 'null'], 1, SPECIAL],
      [['f', 'c1:/magic'], 1, LOOP],
      [['all/', 'c1:/new'], 2, /holds the files of c1/],
      [['-L', 'all', 'c1:/new'], 2, /holds the files of c1/],
      [['', 'c1:/new'], 2, /a path is empty; write - for the standard input/],
      [['c1:/up', ''], 2, /a path is empty/],
    ];
    for (const [args, status, stderr] of refused)
      t.match(await cli.run('cp', ...args), { status, stderr }, args.join(' '));
    t.equal(await cli.ok('exec', 'c1', 'stat', '-c', '%F', '/dev/null'), 'character special file\n');
  },
);

t.test('cp of a directory into itself ends with an error, by whatever name it is reached', async (t) => {
  const cli = await boxCli(t);
  const { base } = cli;
  shell('mkdir -p shared/sub/deep; echo f > shared/f', base);
  const volumes = ['-v', `${base}/shared:/data`, '-v', `${base}/shared/sub/deep:/deep`];
  await cli.ok('run', '-d', '--name', 'box-1', ...volumes, 'box', 'sleep', '1000');
  const refused = /it is the directory that is copied to, by another name; copy to one that lies outside/;
  const seen = shell('find shared', base);
  for (const [source, destination] of [
    ['shared', 'box-1:/data'],
    ['shared/.', 'box-1:/data'],
    ['shared/sub/deep', 'box-1:/deep'],
    ['box-1:/data', 'shared'],
    ['box-1:/deep', 'shared/sub/deep'],
  ]) {
    t.match(
      await cli.run('cp', source, destination),
      { status: 1, stderr: refused },
      `${source} ${destination}`,
    );
    t.equal(shell('find shared', base), seen, 'nothing was copied');
  }
  for (const [source, destination] of [
    ['shared', 'box-1:/data/sub'],
    ['shared', 'box-1:/deep'],
    ['box-1:/data', 'shared/sub'],
  ])
    t.match(
      await cli.run('cp', source, destination),
      { status: 1, stderr: refused },
      `${source} ${destination}`,
    );
  await cli.ok('cp', 'shared/sub', 'box-1:/srv');
  await cli.ok('cp', 'shared/f', 'box-1:/data/f');
  t.equal(await cli.ok('exec', 'box-1', 'cat', '/data/f'), 'f\n', 'a file onto itself stays what it is');
});
