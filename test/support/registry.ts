// SPDX-License-Identifier: MIT
/** A real registry on loopback (Debian's docker-registry), and a proxy before it that misbehaves as it is told. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { run, until } from './ground.js';

export interface Registry {
  /** `127.0.0.1:PORT` */
  host: string;
  /** One line a request: method and path. */
  requests(): string[];
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface RegistryOptions {
  /** Who may use it; without them everybody. */
  access?: { username: string; password: string };
  /** Speaks TLS, with a certificate that nobody signed. */
  tls?: boolean;
}

/** Starts a registry that keeps its data below `base`. */
export async function startRegistry(
  t: Test,
  base: string,
  { access, tls = false }: RegistryOptions = {},
): Promise<Registry> {
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const config = join(base, `registry-${port}.json`);
  const log = join(base, `registry-${port}.log`);
  const passwords = join(base, `passwords-${port}`);
  if (access !== undefined) {
    const { stdout } = spawnSync('htpasswd', ['-Bbn', access.username, access.password]);
    writeFileSync(passwords, stdout);
  }
  writeFileSync(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: 'info', formatter: 'json', accesslog: { disabled: false } },
      storage: { filesystem: { rootdirectory: join(base, `registry-${port}`) }, delete: { enabled: true } },
      http: { addr: host, ...(tls ? { tls: selfSigned(base) } : {}) },
      ...(access === undefined ? {} : { auth: { htpasswd: { realm: 'test', path: passwords } } }),
    }),
  );
  writeFileSync(log, '');
  const server = spawn('bash', ['-c', `exec docker-registry serve ${config} >> ${log} 2>&1`], {
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => server.on('exit', resolve));
  t.teardown(async () => {
    server.kill('SIGKILL');
    await ended;
  });
  await until(
    () => spawnSync('bash', ['-c', `exec 3<>/dev/tcp/127.0.0.1/${port}`]).status === 0,
    'the registry',
  );
  const requests = (): string[] =>
    [...readFileSync(log, 'latin1').matchAll(/"(GET|HEAD|POST|PUT|PATCH|DELETE) (\S+) HTTP/g)].map(
      ([, method, path]) => `${method} ${path}`,
    );
  return { host, requests };
}

function selfSigned(base: string): { certificate: string; key: string } {
  const files = { certificate: join(base, 'certificate.pem'), key: join(base, 'key.pem') };
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '1'];
  run(
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    files.key,
    '-out',
    files.certificate,
    ...subject,
  );
  return files;
}

/** What a proxy does with a request: it answers itself, or says how the registry's answer is changed. */
export type Behaviour = (
  message: IncomingMessage,
  response: ServerResponse,
  pass: (change?: Change) => void,
) => void;

/** What becomes of the registry's answer. */
export interface Change {
  headers?: Record<string, string>;
  body?: (bytes: Buffer) => Buffer;
  /** What becomes of where it sends the client. */
  location?: (location: string) => string;
  /** Breaks the connection off after so many bytes. */
  cutAfter?: number;
}

export interface Proxied {
  host: string;
  /** Method, path, and whether an authorization came along. */
  seen: { line: string; authorization: string | undefined; range: string | undefined }[];
}

/** Starts a proxy before a registry. */
export async function startProxy(t: Test, registry: string, behave: Behaviour): Promise<Proxied> {
  const seen: Proxied['seen'] = [];
  const server: Server = createServer((message, response) => {
    const { authorization, range } = message.headers;
    seen.push({ line: `${message.method} ${message.url}`, authorization, range });
    behave(message, response, (change = {}) => forward(registry, message, response, change));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

function forward(registry: string, message: IncomingMessage, response: ServerResponse, change: Change): void {
  const headers = { ...message.headers, host: registry };
  const onward = request(
    `http://${registry}${message.url}`,
    { method: message.method, headers },
    (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => parts.push(chunk));
      answer.on('end', () => {
        const bytes = Buffer.concat(parts);
        const body = change.body?.(bytes) ?? bytes;
        const { location } = answer.headers;
        const moved =
          location === undefined || change.location === undefined
            ? {}
            : { location: change.location(location) };
        response.writeHead(answer.statusCode!, {
          ...answer.headers,
          'content-length': String(body.length),
          ...moved,
          ...change.headers,
        });
        if (change.cutAfter === undefined || body.length <= change.cutAfter) response.end(body);
        else
          response.write(body.subarray(0, change.cutAfter), () => setTimeout(() => response.destroy(), 20));
      });
    },
  );
  message.pipe(onward);
}

/** Puts a small image into a registry with skopeo; answers its layers' directories as they were made. */
export function pushWithSkopeo(layout: string, host: string, name: string, credentials?: string): void {
  const login = credentials === undefined ? ['--dest-no-creds'] : ['--dest-creds', credentials];
  run(
    'skopeo',
    '--insecure-policy',
    'copy',
    '-q',
    '--dest-tls-verify=false',
    ...login,
    `oci:${layout}`,
    `docker://${host}/${name}`,
  );
}
