// SPDX-License-Identifier: MIT
/** A proxy of the kind that HTTPS_PROXY names: it makes tunnels and passes requests on, or answers as it is told. */
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Test } from 'tap';

export interface ProxyOptions {
  /** PEM; it is asked by TLS then, and for a certificate, too. */
  tls?: { key: string; cert: string };
  /** All that it writes before it hangs up, instead of doing what it is asked; null where that is nothing, ever. */
  says?: (line: string) => string | null | undefined;
}

export class ForwardProxy {
  /** `127.0.0.1:PORT` */
  host = '';
  /** As in `CONNECT reg.test:443` or `GET http://reg.test/v2/`. */
  readonly seen: string[] = [];
  /** Names of those of the newest request. */
  headers: string[] = [];
  /** Is told of each request. */
  readonly #asked = new EventEmitter();
  /** Every Proxy-Authorization that came. */
  readonly logins = new Set<string>();
  /** Of clients that showed a certificate. */
  certificates = 0;

  private constructor(
    /** Where a host of nobody's domain is: `reg.test:443` at `127.0.0.1:PORT`. */
    private readonly places: Readonly<Record<string, string>>,
    private readonly says: NonNullable<ProxyOptions['says']>,
  ) {}

  /** Starts one; it ends with the test. */
  static async start(
    t: Test,
    places: Readonly<Record<string, string>>,
    { tls, says = () => undefined }: ProxyOptions = {},
  ): Promise<ForwardProxy> {
    const proxy = new ForwardProxy(places, says);
    const server: Server =
      tls === undefined
        ? createServer()
        : createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: false });
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => sockets.add(socket));
    server.on('connect', (message: IncomingMessage, socket: Socket) => {
      // A client that hangs up is none of the test's business.
      socket.on('error', () => undefined);
      if (!proxy.#answersItself(message)) proxy.#tunnel(message, socket);
    });
    server.on('request', (message: IncomingMessage, response) => {
      if (proxy.#answersItself(message)) return;
      const url = new URL(message.url!);
      const { 'proxy-authorization': _, ...headers } = message.headers;
      const onward = request(
        `http://${proxy.#placeOf(url.host)}${url.pathname}${url.search}`,
        { method: message.method, headers },
        (answer) => {
          response.writeHead(answer.statusCode!, answer.headers);
          answer.pipe(response);
        },
      );
      message.pipe(onward);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return proxy;
  }

  /** Settles when so many requests have come. */
  async asked(count: number): Promise<void> {
    while (this.seen.length < count) await once(this.#asked, 'asked');
  }

  #placeOf(host: string): string {
    return this.places[host] ?? host;
  }

  #answersItself({ method, url, headers, socket }: IncomingMessage): boolean {
    const line = `${method} ${url}`;
    this.seen.push(line);
    this.headers = Object.keys(headers);
    this.#asked.emit('asked');
    const login = headers['proxy-authorization'];
    if (login !== undefined) this.logins.add(login);
    const { subject } = (socket as TLSSocket).getPeerCertificate?.() ?? {};
    if (subject !== undefined) this.certificates++;
    const said = this.says(line);
    if (typeof said === 'string') socket.end(said);
    return said !== undefined;
  }

  #tunnel({ url }: IncomingMessage, socket: Socket): void {
    const [host, port] = this.#placeOf(url!).split(':');
    const onward = connect(Number(port), host, () => socket.write('HTTP/1.1 200 Fine\r\n\r\n'));
    onward.on('error', () => socket.destroy());
    socket.on('close', () => onward.destroy());
    onward.pipe(socket).pipe(onward);
  }
}
