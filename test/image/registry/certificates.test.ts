// SPDX-License-Identifier: MIT
/** Whose certificates are taken: of the machine's authorities, of those in certs.d; and what others are told. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { run, scratch, shell } from '../../support/ground.js';
import { type Cli, storeCli } from '../../support/images.js';
import { type Odd, OddRegistry, send } from '../../support/odd-registry.js';

/** Not loopback, which needs no certificate. */
const ADDRESS = '192.0.2.20';
run('ip', 'address', 'add', `${ADDRESS}/32`, 'dev', 'lo');
t.teardown(() => void run('ip', 'address', 'del', `${ADDRESS}/32`, 'dev', 'lo'));

/** Authorities and certificates of a test, made by openssl. */
class Office {
  constructor(readonly base: string) {
    mkdirSync(base);
    this.#openssl('req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=Office');
  }

  #openssl(args: string): void {
    shell(`cd ${this.base} && openssl ${args} 2>/dev/null`);
  }

  /** Makes NAME.cert and NAME.key, signed by the office; dates are as `openssl ca` has them. */
  sign(
    name: string,
    address = ADDRESS,
    from = '20200101000000Z',
    to = '20991231235959Z',
  ): { cert: string; key: string } {
    writeFileSync(
      join(this.base, 'ca.cnf'),
      `[ca]\ndefault_ca=d\n[d]\ndatabase=index\nrand_serial=yes\nnew_certs_dir=.\ncertificate=ca.crt\nprivate_key=ca.key\ndefault_md=sha256
policy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=IP:${address}\n`,
    );
    writeFileSync(join(this.base, 'index'), '');
    this.#openssl(`req -newkey rsa:2048 -nodes -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`);
    this.#openssl(
      `ca -batch -notext -config ca.cnf -in ${name}.csr -out ${name}.cert -startdate ${from} -enddate ${to}`,
    );
    return { cert: this.text(`${name}.cert`), key: this.text(`${name}.key`) };
  }

  path(name: string): string {
    return join(this.base, name);
  }

  text(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }
}

interface Ground {
  office: Office;
  registry: OddRegistry;
  cli: Cli;
  /** A directory that is /etc for the commands. */
  etc: string;
  name: string;
}

/** A registry with a certificate, and commands for which nothing is in /etc but what the test puts there. */
async function prepare(
  t: Test,
  certificate: (office: Office) => object = (office) => office.sign('server'),
  behave?: Odd,
): Promise<Ground> {
  const base = scratch(t);
  const office = new Office(join(base, 'office'));
  const tls = certificate(office) as { key: string; cert: string };
  const registry = await OddRegistry.start(t, behave, { tls, address: ADDRESS });
  registry.image('app', '1');
  const etc = join(base, 'etc');
  mkdirSync(etc);
  copyFileSync('/etc/passwd', join(etc, 'passwd'));
  const inner = `mount --bind ${etc} /etc && exec ${process.cwd()}/bin/tsoverlay "$@"`;
  const cli = storeCli(t, base, 'store', [
    'unshare',
    '-m',
    '--propagation',
    'private',
    'sh',
    '-c',
    inner,
    'sh',
  ]);
  Object.assign(cli.environment, {
    XDG_CONFIG_HOME: join(base, 'config'),
    SSL_CERT_FILE: '',
    SSL_CERT_DIR: '',
  });
  cli.environment.NODE_EXTRA_CA_CERTS = '';
  return { office, registry, cli, etc, name: `${registry.host}/app:1` };
}

function put(path: string, content: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
}

t.test('an authority that the machine, a variable or certs.d names is trusted', async (t) => {
  const { office, registry, cli, etc, name } = await prepare(t);
  const ca = office.text('ca.crt');
  const refused = async (what: string): Promise<void> =>
    void t.match(await cli.run('pull', '-q', name), { status: 1, stderr: /is signed by nobody whom/ }, what);
  await refused('nobody has named it');
  const bundles = ['ssl/certs/ca-certificates.crt', 'pki/tls/certs/ca-bundle.crt', 'ssl/cert.pem'];
  const places = ['docker', 'containers', 'tsoverlay'].map(
    (tool) => `${tool}/certs.d/${registry.host}/own.crt`,
  );
  for (const place of [...bundles, ...places]) {
    put(join(etc, place), `${ca}`);
    t.match(await cli.run('pull', '-q', name), { status: 0 }, place);
    rmSync(join(etc, place));
  }
  const der = join(cli.environment.XDG_CONFIG_HOME, 'tsoverlay/certs.d', registry.host, 'ca.crt');
  mkdirSync(join(der, '..'), { recursive: true });
  run('openssl', 'x509', '-in', office.path('ca.crt'), '-outform', 'der', '-out', der);
  t.match(await cli.run('pull', '-q', name), { status: 0 }, 'the user has one, and in binary form');
  rmSync(der);
  const directory = join(cli.base, 'authorities');
  put(join(directory, 'README'), 'no certificate');
  put(join(directory, 'one.pem'), ca);
  for (const [variable, value] of [
    ['SSL_CERT_FILE', office.path('ca.crt')],
    ['NODE_EXTRA_CA_CERTS', office.path('ca.crt')],
    ['SSL_CERT_DIR', `/none:${directory}`],
  ]) {
    cli.environment[variable] = value;
    t.match(await cli.run('pull', '-q', name), { status: 0 }, variable);
    cli.environment[variable] = '';
  }
  await refused('nobody names it any more');
});

t.test('an authority of one registry is trusted for no other', async (t) => {
  const { office, cli, etc, name } = await prepare(t);
  put(join(etc, `docker/certs.d/${ADDRESS}:1/ca.crt`), office.text('ca.crt'));
  t.match(await cli.run('pull', '-q', name), { status: 1, stderr: /is signed by nobody whom/ });
});

t.test('the message says whose certificate is wrong, what is, and where to put another', async (t) => {
  const cases: [certificate: (office: Office) => object, message: RegExp][] = [
    [
      (office) => office.sign('server', '192.0.2.99'),
      /its certificate is for other names: IP Address:192\.0\.2\.99 \(ERR_TLS/,
    ],
    [
      (office) => office.sign('server', ADDRESS, '20010101000000Z', '20020101000000Z'),
      /its certificate is too old, or the clock/,
    ],
    [
      (office) => office.sign('server', ADDRESS, '20980101000000Z', '20990101000000Z'),
      /its certificate is not valid yet, or the clock/,
    ],
  ];
  for (const [certificate, message] of cases) {
    const { office, registry, cli, name } = await prepare(t, certificate);
    cli.environment.SSL_CERT_FILE = office.path('ca.crt');
    const started = performance.now();
    const { status, stderr } = await cli.run('pull', '-q', name);
    t.ok(performance.now() - started < 3000, 'it is not asked again and again');
    t.equal(status, 1);
    t.match(stderr, message);
    t.match(
      stderr,
      new RegExp(
        `ask registry ${registry.host}: .*/certs.d/${registry.host}/ca.crt, or .*insecure-registries of .*config.json`,
      ),
    );
  }
  const self = await prepare(t, (office) => ({ cert: office.text('ca.crt'), key: office.text('ca.key') }));
  t.match(await self.cli.run('pull', '-q', self.name), {
    status: 1,
    stderr: /its certificate is signed by itself alone/,
  });
  const chain = await prepare(t, (office) => {
    const { cert, key } = office.sign('server');
    return { cert: cert + office.text('ca.crt'), key };
  });
  t.match(await chain.cli.run('pull', '-q', chain.name), {
    status: 1,
    stderr: /signed by an authority that this machine does not trust/,
  });
});

t.test('a token server with a certificate that is not trusted is named', async (t) => {
  const { registry: server } = await prepare(t);
  const challenge = { 'www-authenticate': `Bearer realm="https://${server.host}/token"` };
  const { office, registry, cli, name } = await prepare(
    t,
    undefined,
    (_asked, response) => void send(response, 401, '', challenge),
  );
  cli.environment.SSL_CERT_FILE = office.path('ca.crt');
  t.match(await cli.run('pull', '-q', name), {
    status: 1,
    stderr: new RegExp(
      `ask registry ${registry.host}: the certificate of ${server.host} is signed by nobody`,
    ),
  });
});

t.test('a registry that wants to know who we are gets the certificate in certs.d', async (t) => {
  const { office, registry, cli, etc, name } = await prepare(t, (office) => ({
    ...office.sign('server'),
    ca: office.text('ca.crt'),
    requestCert: true,
  }));
  const place = join(etc, 'docker/certs.d', registry.host);
  put(join(place, 'ca.crt'), office.text('ca.crt'));
  t.match(await cli.run('pull', '-q', name), {
    status: 1,
    stderr:
      /asks for one \(ERR_SSL_\w+\); put one that it knows into .*certs.d\/192.0.2.20:\d+\/client.cert and client.key/,
  });
  office.sign('us');
  put(join(place, 'client.cert'), office.text('us.cert'));
  t.match(await cli.run('pull', '-q', name), {
    status: 1,
    stderr: /client.cert: client.key is not beside it/,
  });
  put(join(place, 'client.key'), office.text('us.key'));
  t.match(await cli.run('pull', '-q', name), { status: 0 });
  put(join(place, 'client.key'), office.text('ca.key'));
  t.match(await cli.run('pull', '-q', name), { status: 1, stderr: /read certificates .*mismatch/ });
  rmSync(join(place, 'client.cert'));
  t.match(await cli.run('pull', '-q', name), {
    status: 1,
    stderr: /client.key: client.cert is not beside it/,
  });
  rmSync(join(place, 'client.key'));
  put(join(place, 'ca.crt'), 'x');
  t.match(await cli.run('pull', '-q', name), { status: 1, stderr: /ca.crt: it holds no certificate/ });
});
