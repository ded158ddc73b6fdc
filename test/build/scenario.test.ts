// SPDX-License-Identifier: MIT
/**
 * What builds are for: projects in Go, Python and JavaScript on images of Debian from a
 * registry, built, run, served, edited and built again; and what Podman makes of them.
 *
 * @internet: installs Debian with debootstrap
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Builder, cachedSteps, makeContext } from '../support/builds.js';
import { census, leftSince, PROGRAM, page, removeAtEnd } from '../support/containers.js';
import { run, scratch, shell } from '../support/ground.js';
import { type Cli, storeCli } from '../support/images.js';
import { ordinaryCli } from '../support/ordinary-user.js';
import { startRegistry } from '../support/registry.js';

const GO_PROGRAM = `package main

import (
	"fmt"
	"net/http"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "served by Go") })
	http.ListenAndServe(":8080", nil)
}
`;

/** As every introduction has it. */
const GO_DOCKERFILE = `FROM golang:1.18
WORKDIR /app
COPY go.mod ./
COPY go.sum ./
RUN go mod download
COPY . .
RUN go build -o myapp
CMD ["./myapp"]
`;

/** One Debian with all that the projects want, under the names that Docker Hub has for such images. */
function pushImages(base: string, host: string): void {
  const codename = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))![1];
  const root = join(base, 'debian');
  run('debootstrap', '--variant=minbase', '--include=golang-go,nodejs,python3', codename, root);
  const maker = `TSOVERLAY_ROOT=${base}/maker ${PROGRAM}`;
  shell(
    `rm -rf ${root}/var/cache/apt/archives/*.deb ${root}/usr/share/doc ${root}/usr/share/locale
     ${maker} import ${root} ${host}/library/golang:1.18 >/dev/null; rm -rf ${root}
     for name in python:3 node:18; do ${maker} tag ${host}/library/golang:1.18 ${host}/library/$name; done
     for name in golang:1.18 python:3 node:18; do ${maker} push -q ${host}/library/$name; done; rm -rf ${base}/maker`,
  );
}

/** A command line that asks the registry for what Docker Hub would have. */
function mirrored(cli: Cli, host: string): Cli {
  writeFileSync(cli.environment.TSOVERLAY_CONFIG, JSON.stringify({ 'registry-mirrors': [`http://${host}`] }));
  return cli;
}

async function served(t: Test, cli: Cli, name: string, port: number): Promise<string> {
  await cli.ok('run', '-d', '--name', 'web', '-p', `127.0.0.1:0:${port}`, name);
  const url = `http://127.0.0.1:${/:(\d+)$/m.exec(await cli.ok('port', 'web'))![1]}`;
  const text = await page(url);
  t.match(await cli.ok('ps'), /web/);
  await cli.ok('rm', '-f', 'web');
  return text;
}

async function goProject(t: Test, cli: Cli): Promise<void> {
  const context = makeContext(cli.base, {
    'main.go': GO_PROGRAM,
    'go.mod': 'module example.org/my-go-app\n\ngo 1.18\n',
    'go.sum': '',
    Dockerfile: GO_DOCKERFILE,
  });
  shell(`chmod -R a+rX ${context}`);
  const build = async (): Promise<string> => {
    const { status, stderr } = await cli.run('build', '-t', 'my-go-app', context);
    t.equal(status, 0, stderr);
    return stderr;
  };
  t.match(await build(), /no module dependencies/);
  t.equal(await served(t, cli, 'my-go-app', 8080), 'served by Go\n');
  t.equal(cachedSteps(await build()).length, 6);
  writeFileSync(join(context, 'main.go'), GO_PROGRAM.replace('by Go', 'by edited Go'));
  t.strictSame(cachedSteps(await build()), [
    'WORKDIR /app',
    'COPY go.mod ./',
    'COPY go.sum ./',
    'RUN go mod download',
  ]);
  t.equal(await served(t, cli, 'my-go-app', 8080), 'served by edited Go\n');
}

t.test('projects of people who begin are built and run', { timeout: 900_000 }, async (t) => {
  const base = scratch(t);
  const registry = await startRegistry(t, base);
  pushImages(base, registry.host);
  const cli = mirrored(storeCli(t, base), registry.host);
  removeAtEnd(t, cli);
  const builder = await Builder.make(t, cli);
  await cli.ok('pull', '-q', 'golang:1.18');
  const before = census(cli);

  await t.test('the Go program of every introduction is built', (t) => goProject(t, cli));

  await t.test('in two stages only the program is kept', async (t) => {
    const dockerfile = `FROM golang:1.18 AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/root/.cache/go-build CGO_ENABLED=0 go build -o /out/app
FROM scratch
COPY --from=build /out/app /app
ENTRYPOINT ["/app"]
`;
    await builder.ok(dockerfile, { 'main.go': GO_PROGRAM, 'go.mod': 'module m\n' });
    t.equal(await served(t, cli, 'built', 8080), 'served by Go\n');
    const [{ Size: size }] = JSON.parse(await cli.ok('inspect', 'built')) as [{ Size: number }];
    t.ok(size < 20_000_000, `${size} bytes`);
  });

  await t.test('a Python project is built and runs', async (t) => {
    const dockerfile = `FROM python:3
ENV PYTHONUNBUFFERED=1
RUN useradd --create-home app && rm -rf /usr/games && mv /usr/share/common-licenses /usr/share/licenses
WORKDIR /home/app
COPY --chown=app requirements.txt .
RUN test ! -s requirements.txt
COPY --chown=app:app src/ ./src/
RUN python3 -m compileall -q src && chown -R app src
USER app
EXPOSE 8000
HEALTHCHECK CMD python3 -c 'import urllib.request; urllib.request.urlopen("http://localhost:8000")'
CMD ["python3", "-m", "src.main"]
`;
    const main =
      'from http.server import *\nfrom .words import TEXT\nclass H(BaseHTTPRequestHandler):\n  def do_GET(self):\n    self.send_response(200); self.end_headers(); self.wfile.write(TEXT)\nThreadingHTTPServer(("", 8000), H).serve_forever()\n';
    await builder.ok(dockerfile, {
      'requirements.txt': '',
      'src/main.py': main,
      'src/words.py': 'TEXT = b"served by Python\\n"\n',
    });
    t.equal(await served(t, cli, 'built', 8000), 'served by Python\n');
    t.match(
      await builder.say('sh', '-c', 'ls -l src; ls -d /usr/games /usr/share/*licenses; id -un'),
      /app +root .*__pycache__[\s\S]*\/usr\/share\/licenses\napp\n$/,
    );
  });

  await t.test('a JavaScript project is built and runs', async (t) => {
    const dockerfile = `FROM node:18 AS build
WORKDIR /app
COPY package.json ./
COPY . .
RUN node build.js
FROM node:18
ENV NODE_ENV=production PORT=3000
WORKDIR /srv/app
COPY --from=build /app/dist ./dist
EXPOSE $PORT
USER 1000:1000
CMD node dist/server.js
`;
    await builder.ok(dockerfile, {
      'package.json': '{"name":"x","version":"1.0.0"}',
      'build.js':
        'const fs=require("fs");fs.mkdirSync("dist");fs.writeFileSync("dist/server.js",fs.readFileSync("server.js","utf8").replace("@","by JavaScript"))',
      'server.js':
        'require("http").createServer((q,a)=>a.end("served @ as "+process.getuid()+"\\n")).listen(process.env.PORT)',
      'node_modules/left/index.js': '0',
      '.dockerignore': 'node_modules\n',
    });
    t.equal(await served(t, cli, 'built', 3000), 'served by JavaScript as 1000\n');
    t.match(await builder.config(), { ExposedPorts: { '3000/tcp': {} }, User: '1000:1000' });
  });

  await t.test('Podman loads it and runs it', async (t) => {
    const archive = join(base, 'app.tar');
    await cli.ok('save', '-o', archive, 'my-go-app');
    const podman = `podman --root ${base}/ps --runroot ${base}/pr --storage-driver overlay`;
    const limits = '--ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --runtime runc --network none';
    try {
      shell(`${podman} load -q -i ${archive}`);
      const id = (await cli.ok('inspect', '-f', '{{.Id}}', 'my-go-app')).trim();
      t.equal(
        shell(`${podman} image inspect --format '{{.Id}}' my-go-app`).trim(),
        id.replace('sha256:', ''),
      );
      t.equal(
        shell(`${podman} run --rm ${limits} my-go-app sh -c 'pwd; ls'`),
        '/app\nDockerfile\ngo.mod\ngo.sum\nmain.go\nmyapp\n',
      );
    } finally {
      shell(
        `${podman} rmi -a -f >/dev/null 2>&1 || true; umount ${base}/ps/overlay 2>/dev/null || true; rm -rf ${base}/ps ${base}/pr ${archive}`,
      );
    }
  });

  await t.test('an ordinary user builds it, too', async (t) => {
    const theirs = mirrored(ordinaryCli(t), registry.host);
    removeAtEnd(t, theirs);
    await goProject(t, theirs);
  });

  const kept = /^file .*\/(steps|layers|blobs|mount-caches|contexts)(\/|$)/;
  t.strictSame(
    (await leftSince(before, cli)).filter((line) => !kept.test(line)),
    [],
  );
});
