// SPDX-License-Identifier: MIT
/** What Buildah 1.28 does not know, or does otherwise than Docker: each instruction by what it leaves in the image. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { digestOf } from '../../lib/image/model/digest.js';
import { Builder } from '../support/builds.js';
import { shell } from '../support/ground.js';

t.test('a here-document of RUN is a script, a file, or a program of its own', async (t) => {
  const builder = await Builder.make(t);
  await builder.ok(`FROM box
RUN <<EOF
echo one > /1
echo "$HOME" > /home-of
EOF
RUN <<'EOF' sed s/a/b/ > /2 && cat <<MORE > /3
$HOME a
EOF
three
MORE
RUN <<-EOF
	#!/bin/cat
	a script of its own
	EOF
SHELL ["/bin/sh", "-e", "-c"]
RUN <<EOF
echo $- > /4
EOF
`);
  t.equal(await builder.say('cat', '/1', '/home-of', '/2', '/3'), 'one\n/root\n$HOME b\nthree\n');
  t.match(await builder.say('cat', '/4'), /e/);
  t.match(
    await builder.ok('FROM box\nRUN <<EOF\n#!/bin/cat\nshown\nEOF\n'),
    /shown/,
    'its first line says who reads it',
  );
  t.equal(await builder.say('sh', '-c', 'ls /dev/pipes 2>/dev/null | wc -l'), '0\n');
});

t.test('a here-document of COPY is a file, expanded unless its name is quoted', async (t) => {
  const builder = await Builder.make(t);
  await builder.ok(
    `FROM box
ARG WHO=world
COPY --chmod=700 --chown=ann <<greet <<"raw" file /d/
echo "hello $WHO" \\$HOME
greet
$WHO
raw
COPY <<EOF /single
it's ${'${WHO}'}
EOF
`,
    { file: 'f' },
  );
  t.equal(
    await builder.say('cat', '/d/greet', '/d/raw', '/d/file', '/single'),
    `echo "hello world" $HOME\n$WHO\nfit's world\n`,
  );
  t.equal(
    await builder.say('stat', '-c', '%a %U %n', '/d/greet', '/single'),
    '700 ann /d/greet\n644 root /single\n',
  );
});

t.test('--link, --exclude, --parents and symbolic modes of COPY do what they say', async (t) => {
  const builder = await Builder.make(t);
  const files = { 'a/x.js': 'x', 'a/x.map': 'm', 'a/deep/y.js': 'y', 'a/deep/y.map': 'm', 'b/z.js': 'z' };
  await builder.ok(
    `FROM box
COPY --exclude=*.map --exclude=deep/*.map a /excluded/
COPY --parents a/deep/y.js b /parents/
COPY --chmod=u=rwX,go= a /modes/
RUN mkdir /real && ln -s /real /alias
COPY --link b/z.js /linked/dir/
`,
    files,
  );
  t.equal(
    await builder.say('sh', '-c', 'cd /; find excluded parents linked -type f | sort'),
    'excluded/deep/y.js\nexcluded/x.js\nlinked/dir/z.js\nparents/a/deep/y.js\nparents/b/z.js\n',
  );
  t.equal(await builder.say('stat', '-c', '%a', '/modes/x.js', '/modes/deep'), '600\n700\n');
  const said = await builder.ok(
    'FROM box\nRUN echo other > /below\nCOPY --link b/z.js /linked/dir/\n',
    files,
  );
  t.match(said, /COPY --link .*\n#\d+ CACHED/, 'a linked copy does not depend on what lies below');
});

t.test('ADD fetches from a server, checks the digest, and says what fails', async (t) => {
  const builder = await Builder.make(t);
  const content = Buffer.from('from afar\n');
  shell('echo inside > inside; tar -czf a.tgz inside', builder.base);
  const archive = shell('base64 -w0 a.tgz', builder.base);
  let requests = 0;
  const server = createServer((message, response) => {
    requests++;
    if (message.url === '/moved') response.writeHead(302, { location: '/dir/file.txt' }).end();
    else if (message.url === '/a.tgz') response.end(Buffer.from(archive, 'base64'));
    else if (message.url === '/dir/file.txt')
      response.writeHead(200, { 'last-modified': 'Tue, 01 Feb 2022 03:04:05 GMT' }).end(content);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await builder.ok(
    `FROM box\nADD ${url}/dir/file.txt /got/\nADD --chmod=644 ${url}/moved /named\nADD ${url}/a.tgz /whole/\nADD --unpack=true ${url}/a.tgz /open/\n`,
  );
  t.equal(
    await builder.say('cat', '/got/file.txt', '/named', '/open/inside'),
    'from afar\nfrom afar\ninside\n',
  );
  t.equal(await builder.say('ls', '/whole'), 'a.tgz\n', 'what is fetched stays as it is');
  t.equal(
    await builder.say('stat', '-c', '%a %Y', '/got/file.txt', '/named'),
    '600 1643684645\n644 1643684645\n',
  );
  await builder.ok(`FROM box\nADD --checksum=${digestOf(content)} ${url}/dir/file.txt /\n`);
  const wrong = await builder.run(`FROM box\nADD --checksum=${digestOf('x')} ${url}/dir/file.txt /\n`);
  t.match(wrong, { status: 1, stderr: /its digest is sha256:.*--checksum says/ });
  t.match(await builder.run(`FROM box\nADD ${url}/none /\n`), {
    status: 1,
    stderr: /the server answers 404/,
  });
  t.match(await builder.run(`FROM box\nADD ${url}/ /\n`), {
    status: 1,
    stderr: /without the name of a file/,
  });
  t.match(await builder.run('FROM box\nADD http://127.0.0.1:1/x /\n'), {
    status: 1,
    stderr: /fetch .*ECONNREFUSED/,
  });
  t.match(await builder.run('FROM box\nADD https://h/r.git /\n'), {
    status: 1,
    stderr: /git are not fetched/,
  });
  t.ok(requests > 0);
});

t.test('ADD shows a server the secret of its host, and no other', async (t) => {
  const builder = await Builder.make(t);
  const seen: string[] = [];
  const server = createServer((message, response) => {
    seen.push(`${message.headers.host} ${message.url} ${message.headers.authorization}`);
    const { port } = server.address() as AddressInfo;
    const location = { '/near': '/f', '/far': `http://127.0.0.2:${port}/f` }[message.url!];
    if (location === undefined) response.end('content\n');
    else response.writeHead(302, { location }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  t.teardown(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  const get = async (secrets: Record<string, string>, path: string): Promise<string[]> => {
    seen.length = 0;
    const options = Object.entries(secrets).flatMap(([id, value], at) => {
      builder.cli.environment[`SECRET_${at}`] = value;
      return ['--secret', `id=${id},env=SECRET_${at}`];
    });
    await builder.ok(`FROM box\nADD http://${host}/${path} /got\n`, {}, '--no-cache', ...options);
    return [...seen];
  };
  const header = { 'HTTP_AUTH_HEADER_127.0.0.1': 'Basic YTpi' };
  const token = { 'HTTP_AUTH_TOKEN_127.0.0.1': 't0k3n' };
  t.strictSame(await get({}, 'f'), [`${host} /f undefined`]);
  t.strictSame(await get(header, 'f'), [`${host} /f Basic YTpi`]);
  t.strictSame(await get({ ...header, ...token }, 'f'), [`${host} /f Bearer t0k3n`], 'the token goes before');
  t.strictSame(await get({ 'HTTP_AUTH_TOKEN_127.0.0.2': 'x' }, 'f'), [`${host} /f undefined`]);
  t.strictSame(await get(token, 'near'), [`${host} /near Bearer t0k3n`, `${host} /f Bearer t0k3n`]);
  t.strictSame(await get(token, 'far'), [
    `${host} /near Bearer t0k3n`.replace('near', 'far'),
    `127.0.0.2:${port} /f undefined`,
  ]);
  t.notMatch(await builder.cli.ok('history', '--no-trunc', 'built'), /t0k3n/);
  builder.cli.environment.SECRET_0 = 'two\r\nlines: x';
  const split = ['--secret', 'id=HTTP_AUTH_HEADER_127.0.0.1,env=SECRET_0'];
  t.match(await builder.run(`FROM box\nADD http://${host}/f /g\n`, {}, '--no-cache', ...split), {
    status: 1,
    stderr: /read the secret HTTP_AUTH_HEADER_127.0.0.1: it is not the value of a header; give one line/,
  });
});

t.test(
  'COPY of patterns that match nothing copies nothing, and what leads above the root stays at it',
  async (t) => {
    const builder = await Builder.make(t);
    const files = { 'dir/f': 'f\n', 'dir/sub/g': 'g\n' };
    await builder.ok('FROM box\nCOPY *.none none-* /new/\nADD *.none /new\nRUN test ! -e /new\n', files);
    await builder.ok(
      'FROM box\nCOPY ../dir/f /a\nCOPY dir/../../../dir/sub /b\nCOPY ../d*/f /c\nCOPY --parents dir/./../sub /d\nCOPY --from=box /../bin/busybox /e\n',
      files,
    );
    t.equal(await builder.say('cat', '/a', '/b/g', '/c', '/d/sub/g'), 'f\ng\nf\ng\n');
  },
);

t.test('secrets are there for the step and nowhere else', async (t) => {
  const builder = await Builder.make(t);
  shell('echo s3cr3t > token', builder.base);
  builder.cli.environment.FROM_ENV = 'v4lue';
  const secrets = [
    '--secret',
    `id=token,src=${join(builder.base, 'token')}`,
    '--secret',
    'id=var,env=FROM_ENV',
  ];
  const said = await builder.ok(
    `FROM box
RUN --mount=type=secret,id=token,required=true wc -c < /run/secrets/token && stat -c %a /run/secrets/token
RUN --mount=type=secret,id=var,target=/etc/var,mode=0444,uid=1000 stat -c '%a %u' /etc/var && wc -c < /etc/var
RUN --mount=type=secret,id=var,env=NAMED test \${#NAMED} = 5
RUN --mount=type=secret,id=none test ! -e /run/secrets/none
`,
    {},
    ...secrets,
  );
  t.match(said, / 7\n.* 400\n/);
  t.match(said, / 444 1000\n.* 5\n/);
  t.equal(
    await builder.say('sh', '-c', 'ls -d /run /etc/var 2>/dev/null | wc -l'),
    '0\n',
    'not even their places',
  );
  t.equal(
    shell(`grep -rl -e s3cr3t -e v4lue ${builder.cli.root} ${process.env.TSOVERLAY_RUNTIME_DIR} || true`),
    '',
  );
  const missing = await builder.run('FROM box\nRUN --mount=type=secret,id=x,required=true true\n');
  t.match(missing, { status: 1, stderr: /the secret x is not given; give it with --secret id=x,src=FILE/ });
  const unreadable = await builder.run(
    'FROM box\nRUN --mount=type=secret,id=x true\n',
    {},
    '--secret',
    'id=x,src=/no/such',
  );
  t.match(unreadable, { status: 1, stderr: /read the secret \/no\/such/ });
});

t.test('caches of RUN stay from build to build', async (t) => {
  const builder = await Builder.make(t);
  const count = 'RUN --mount=type=cache,target=/cache echo x >> /cache/log && wc -l < /cache/log > /count';
  await builder.ok(`FROM box\n${count}\n`);
  await builder.ok(`FROM box\n${count}\n`, {}, '--no-cache');
  t.equal(await builder.say('sh', '-c', 'cat /count; ls -d /cache 2>/dev/null | wc -l'), '2\n0\n');
  await builder.ok(
    `FROM box AS seed\nRUN mkdir /s && echo seeded > /s/f\nFROM box
RUN --mount=type=cache,target=/c,from=seed,source=/s,mode=0711,uid=1000 cat /c/f > /seen && stat -c '%a %u' /c >> /seen
RUN --mount=type=cache,target=/cache,id=other test ! -e /cache/log
RUN --mount=type=cache,target=/cache,ro test -e /cache/log && ! touch /cache/x
`,
  );
  t.equal(await builder.say('cat', '/seen'), 'seeded\n711 1000\n');
  t.match(await builder.cli.ok('build', 'ls'), /mount .*type=cache,id=\/cache/);
});

t.test(
  'locked caches are used by one step at a time, stages that do not wait for each other go on side by side',
  async (t) => {
    const builder = await Builder.make(t);
    const meet = (own: string, other: string): string =>
      `RUN --mount=type=cache,target=/m touch /m/${own} && for i in $(seq 100); do test -e /m/${other} && exit 0; sleep 0.1; done; exit 1`;
    await builder.ok(
      `FROM box AS a\n${meet('a', 'b')}\nRUN echo a > /a\nFROM box AS b\n${meet('b', 'a')}\nRUN echo b > /b\nFROM box\nCOPY --from=a /a /\nCOPY --from=b /b /\n`,
    );
    t.equal(await builder.say('cat', '/a', '/b'), 'a\nb\n');
    const alone = (name: string): string =>
      `FROM box AS ${name}\nRUN --mount=type=cache,target=/l,sharing=locked mkdir /l/taken && sleep 0.3 && rmdir /l/taken && echo ${name} > /${name}\n`;
    await builder.ok(`${alone('c')}${alone('d')}FROM box\nCOPY --from=c /c /\nCOPY --from=d /d /\n`);
    const apart = (name: string): string =>
      `FROM box AS ${name}\nRUN --mount=type=cache,target=/p,sharing=private touch /p/${name} && sleep 0.3 && ls /p | wc -l > /${name}\n`;
    await builder.ok(`${apart('e')}${apart('f')}FROM box\nCOPY --from=e /e /\nCOPY --from=f /f /\n`);
    t.equal(await builder.say('cat', '/e', '/f'), '1\n1\n');
  },
);

t.test('binds are read, and what is written to them is thrown away', async (t) => {
  const builder = await Builder.make(t);
  const files = { 'in/f': 'context\n', 'in/hidden': 'h', '.dockerignore': 'in/hidden\n' };
  await builder.ok(
    `FROM box AS other\nRUN mkdir /o && echo other > /o/f\nFROM box
RUN --mount=target=/ctx cat /ctx/in/f > /seen && test ! -e /ctx/in/hidden && ! touch /ctx/x
RUN --mount=target=/ctx,rw echo changed > /ctx/in/f && cat /ctx/in/f >> /seen
RUN --mount=target=/ctx cat /ctx/in/f >> /seen
RUN --mount=from=other,source=/o/f,target=/one cat /one >> /seen
RUN --mount=type=tmpfs,target=/t,size=1m ! head -c 2000000 /dev/zero > /t/x
`,
    files,
  );
  t.equal(await builder.say('cat', '/seen'), 'context\nchanged\ncontext\nother\n');
  t.equal(await builder.say('sh', '-c', 'ls -d /ctx /one /t 2>/dev/null | wc -l'), '0\n');
  const missing = await builder.run('FROM box\nRUN --mount=source=nope,target=/x true\n');
  t.match(missing, { status: 1, stderr: /nope/ });
});

t.test(
  'a mount of RUN without a target lies over the working directory, which is not the root',
  async (t) => {
    const builder = await Builder.make(t);
    builder.cli.environment.TOKEN = 'told';
    await builder.ok(
      `FROM box
WORKDIR /w/deep
RUN touch own
RUN --mount=type=bind test -e in && ! test -e own && ! touch x
RUN --mount=type=cache touch kept && ! test -e own
RUN --mount=type=cache,id=.,target=/c test -e /c/kept
RUN --mount=type=tmpfs,size=1m ! test -e own && touch gone
RUN --mount=type=tmpfs,target=below/. touch below/gone
RUN --mount=type=secret,id=dir/token cat /run/secrets/token > secret
`,
      { in: '' },
      '--secret',
      'id=dir/token,env=TOKEN',
    );
    t.equal(await builder.say('sh', '-c', 'ls -A /w/deep; cat /w/deep/secret'), 'own\nsecret\ntold');
    for (const [options, why] of [
      ['type=cache', /no target, and the working directory is the root/],
      ['type=tmpfs,target=.', /target=\. is the root/],
      ['target=$none', /no target, and the working directory is the root/],
    ] as const)
      t.match(
        await builder.run(`FROM box\nRUN --mount=${options} true\n`),
        { status: 1, stderr: why },
        options,
      );
  },
);

t.test('RUN has the network and the hosts that it is given', async (t) => {
  const builder = await Builder.make(t);
  const links = 'ip -o link | wc -l';
  await builder.ok(
    `FROM box\nRUN --network=none ${links} > /none\nRUN ${links} > /own\nRUN --network=host ls /sys/class/net > /host; ${links} >> /host\n`,
  );
  t.equal(await builder.say('cat', '/none', '/own'), '1\n2\n');
  t.equal(await builder.say('tail', '-n1', '/host'), shell('ip -o link | wc -l'));
  await builder.ok(`FROM box\nRUN ${links} > /n\n`, {}, '--network', 'none', '--add-host', 'there:10.1.2.3');
  t.equal(await builder.say('cat', '/n'), '1\n');
  await builder.ok('FROM box\nRUN grep there /etc/hosts > /h\n', {}, '--add-host', 'there:10.1.2.3');
  t.equal(await builder.say('cat', '/h'), '10.1.2.3\tthere\n');
});

t.test('a step leaves nothing of its runner behind', async (t) => {
  const builder = await Builder.make(t);
  await builder.ok('FROM box\nRUN mkdir -p /run/own && touch /etc/own\nRUN true\n');
  t.equal(await builder.say('sh', '-c', 'cd /; ls -d run/own etc/own'), 'etc/own\nrun/own\n');
  const layers = (await builder.cli.ok('layers', 'built')).trim();
  t.ok(layers.length > 0);
  const tar = join(builder.base, 'out.tar');
  await builder.cli.ok(
    'build',
    '-q',
    '-o',
    `type=tar,dest=${tar}`,
    join(builder.base, shell('ls -t | grep ^context- | head -n1', builder.base).trim()),
  );
  const names = shell(`tar -tf ${tar} | sort`).split('\n');
  for (const place of ['dev/', 'proc/', 'sys/', 'etc/hosts', 'etc/hostname', 'etc/resolv.conf'])
    t.notOk(names.includes(place), `${place} is not in the image`);
});

async function configured(t: Test, dockerfile: string): Promise<Record<string, unknown>> {
  const builder = await Builder.make(t);
  await builder.ok(dockerfile);
  return await builder.config();
}

t.test('what Docker does and Buildah 1.28 does not is done', async (t) => {
  t.match(await configured(t, 'FROM box\nSHELL ["/bin/ash", "-c"]\nCMD echo shell\n'), {
    Cmd: ['/bin/ash', '-c', 'echo shell'],
    Shell: ['/bin/ash', '-c'],
  });
  t.match(await configured(t, '# escape=`\nFROM box\nENV P=C:\\dir\n'), { Env: [/^PATH=/, 'P=C:\\dir'] });
  t.match(await configured(t, 'FROM box\nEXPOSE 7000-7002/udp\n'), {
    ExposedPorts: { '7000/udp': {}, '7001/udp': {}, '7002/udp': {} },
  });
  const { ExposedPorts: exposed } = await configured(
    t,
    'FROM box\nEXPOSE 8080:80 127.0.0.1:81:81/UDP [::1]::82/sctp 8000-8010:83 1-2:84-85 86/\n',
  );
  t.strictSame(Object.keys(exposed as object).sort(), [
    '80/tcp',
    '81/udp',
    '82/sctp',
    '83/tcp',
    '84/tcp',
    '85/tcp',
    '86/tcp',
  ]);
  t.match(
    await configured(
      t,
      'FROM box\nARG TARGETARCH\nARG TARGETPLATFORM\nENV A=$TARGETARCH P=$TARGETPLATFORM\n',
    ),
    {
      Env: [/^PATH=/, /^A=(amd64|arm64)$/, /^P=linux\//],
    },
  );
  t.match(await configured(t, 'FROM box\nHEALTHCHECK --start-interval=2s CMD true\n'), {
    Healthcheck: { Test: ['CMD-SHELL', 'true'], StartInterval: 2e9 },
  });
});

t.test('proxies are for every RUN, without being part of what it depends on', async (t) => {
  const builder = await Builder.make(t);
  const dockerfile = 'FROM box\nRUN echo "$HTTP_PROXY" > /proxy\n';
  await builder.ok(dockerfile, {}, '--build-arg', 'HTTP_PROXY=http://one');
  t.equal(await builder.say('cat', '/proxy'), 'http://one\n');
  t.match(await builder.ok(dockerfile, {}, '--build-arg', 'HTTP_PROXY=http://two'), /CACHED/);
  t.notMatch(JSON.stringify(await builder.config()), /http:/);
});

t.test('an image for another platform says so, and is made here where it is told to be', async (t) => {
  const builder = await Builder.make(t);
  const platform = async (): Promise<string> =>
    (await builder.cli.ok('inspect', '-f', '{{.Os}}/{{.Architecture}}', 'built')).trim();
  await builder.ok('FROM --platform=linux/arm64 scratch\nCOPY f /f\n', { f: '' });
  t.equal(await platform(), 'linux/arm64');
  await builder.ok(
    'FROM --platform=$BUILDPLATFORM box AS here\nARG TARGETARCH\nRUN echo for $TARGETARCH > /f\nFROM scratch\nCOPY --from=here /f /f\n',
    {},
    '--platform',
    'linux/s390x',
    '-o',
    join(builder.base, 'out'),
  );
  t.equal(await platform(), 'linux/s390x');
  t.equal(shell('cat out/f', builder.base), 'for s390x\n', 'made here, for there');
});
