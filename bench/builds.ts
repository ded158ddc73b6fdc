// SPDX-License-Identifier: MIT
/**
 * Builds, beside `buildah bud --layers`: the same Dockerfile, the same context, the same
 * base image, taking turns. Needs what test/setup.sh installs, and root.
 *
 *   node dist/bench/builds.js [--rounds N] [--quick] [--output DIRECTORY]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    output: { type: 'string', default: 'bench/results' },
  },
});
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));

const base = mkdtempSync(join(tmpdir(), 'tsoverlay-bench-builds-'));
process.env.TSOVERLAY_RUNTIME_DIR = join(base, 'run');
const program = join(process.cwd(), 'bin/tsoverlay');
const store = ['--root', join(base, 'store')];
const buildah = [
  '--root',
  join(base, 'buildah'),
  '--runroot',
  join(base, 'buildah-run'),
  '--storage-driver',
  'overlay',
];
const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];

interface Project {
  name: string;
  image: string;
  /** The file that somebody edits. */
  edited: string;
  files: Record<string, string>;
  /** Run in the context. */
  prepare?: string;
}

const STEPS: Project = {
  name: 'eight steps on busybox',
  image: 'localhost/bench/box:1',
  edited: 'main.txt',
  files: {
    'list.txt': 'list\n',
    'lock.txt': 'lock\n',
    'main.txt': 'main\n',
    Dockerfile:
      'FROM localhost/bench/box:1\nWORKDIR /app\nCOPY list.txt ./\nCOPY lock.txt ./\nRUN cat list.txt > /one\nCOPY . .\nRUN cat main.txt > /two\nCMD ["cat", "/two"]\n',
  },
};

const GO: Project = {
  name: 'a Go program on Debian, with 2,000 files beside it',
  image: 'localhost/bench/golang:1',
  edited: 'main.go',
  files: {
    'go.mod': 'module example.org/my-go-app\n\ngo 1.18\n',
    'go.sum': '',
    'main.go':
      'package main\n\nimport (\n\t"fmt"\n\t"net/http"\n)\n\nfunc main() {\n\thttp.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") })\n\thttp.ListenAndServe(":8080", nil)\n}\n',
    Dockerfile:
      'FROM localhost/bench/golang:1\nWORKDIR /app\nCOPY go.mod ./\nCOPY go.sum ./\nRUN go mod download\nCOPY . .\nRUN go build -o myapp\nCMD ["./myapp"]\n',
  },
  prepare:
    'mkdir assets; for i in $(seq 2000); do head -c 10000 /dev/zero | tr "\\0" x > assets/$i; echo $i >> assets/$i; done',
};

function shell(script: string): void {
  execFileSync('bash', ['-ec', script], { cwd: base, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Both begin with the same image. */
function makeImage(tree: string, name: string): void {
  shell(`${program} import ${store.join(' ')} ${tree} ${name}; ${program} save ${store.join(' ')} -o image.tar ${name}
    buildah ${buildah.join(' ')} pull -q docker-archive:image.tar; rm -r image.tar ${tree}`);
}

function prepare(): void {
  shell(`mkdir -p box/bin box/tmp box/etc; cp /bin/busybox box/bin; for a in $(busybox --list); do [ $a = busybox ] || ln -s busybox box/bin/$a; done
    echo root:x:0:0::/:/bin/sh > box/etc/passwd`);
  makeImage('box', STEPS.image);
  if (values.quick) return;
  const codename = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))![1];
  shell(`debootstrap --variant=minbase --include=golang-go ${codename} debian`);
  makeImage('debian', GO.image);
}

function makeContext({ files, prepare: script }: Project, index: number): string {
  const context = join(base, `context-${index}`);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(context, name)), { recursive: true });
    writeFileSync(join(context, name), content);
  }
  if (script !== undefined) shell(`cd ${context}; ${script}`);
  return context;
}

type Tool = 'buildah' | 'tsoverlay';

function build(tool: Tool, context: string, ...options: string[]): number {
  const [command, args] =
    tool === 'tsoverlay'
      ? [program, ['build', ...store, '-t', 'bench', ...options, context]]
      : [
          'buildah',
          [
            ...buildah,
            'bud',
            '--layers',
            '--isolation',
            'oci',
            '--runtime',
            'runc',
            ...LIMITS,
            '--pull-never',
            '-t',
            'bench',
            ...options,
            context,
          ],
        ];
  const began = process.hrtime.bigint();
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  return Number(process.hrtime.bigint() - began) / 1e6;
}

interface Row {
  name: string;
  times: Record<Tool, number[]>;
}

function measure(project: Project, index: number): Row[] {
  const context = makeContext(project, index);
  const rows = ['from nothing', 'fully cached', 'after an edit of one file'].map(
    (name): Row => ({ name: `${project.name}: ${name}`, times: { buildah: [], tsoverlay: [] } }),
  );
  for (let round = 0; round < rounds; round++) {
    process.stderr.write(`\r\x1b[Kround ${round + 1} of ${rounds}: ${project.name}`);
    // The edit of the last round is no step that was done before.
    writeFileSync(join(context, project.edited), `${project.files[project.edited]}// ${round}\n`);
    const tools: Tool[] = round % 2 === 0 ? ['buildah', 'tsoverlay'] : ['tsoverlay', 'buildah'];
    for (const tool of tools) rows[0].times[tool].push(build(tool, context, '--no-cache'));
    // Buildah does not find again what it built without its cache.
    for (const tool of tools) build(tool, context);
    for (const tool of tools) rows[1].times[tool].push(build(tool, context));
    writeFileSync(join(context, project.edited), `${project.files[project.edited]}// ${round} again\n`);
    for (const tool of tools) rows[2].times[tool].push(build(tool, context));
  }
  return rows;
}

function median(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];
}

function report(rows: readonly Row[]): string {
  const lines = rows.map(({ name, times }) => {
    const [ours, theirs] = [median(times.tsoverlay), median(times.buildah)];
    return `| ${name} | ${Math.round(theirs)} | ${Math.round(ours)} | ${(theirs / ours).toFixed(2)} |`;
  });
  const version = execFileSync('buildah', ['--version'], { encoding: 'utf8' }).trim().split(' ')[2];
  return [
    `Medians of ${rounds} rounds in ms, on tmpfs; Buildah ${version} with \`--layers\`, runc.`,
    '',
    '| | buildah | tsoverlay | x buildah |',
    '| --- | --- | --- | --- |',
    ...lines,
    '',
  ].join('\n');
}

try {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=90%', 'tsoverlay-bench', base]);
  prepare();
  const projects = values.quick ? [STEPS] : [STEPS, GO];
  const text = report(projects.flatMap(measure));
  process.stderr.write('\r\x1b[K');
  process.stdout.write(text);
  if (!values.quick) {
    mkdirSync(values.output, { recursive: true });
    writeFileSync(join(values.output, 'builds.md'), text);
  }
} finally {
  spawnSync('buildah', [...buildah, 'rm', '-a'], { stdio: 'ignore' });
  spawnSync('umount', [join(base, 'buildah/overlay')], { stdio: 'ignore' });
  spawnSync('umount', ['-l', base]);
  rmSync(base, { recursive: true, force: true });
}
