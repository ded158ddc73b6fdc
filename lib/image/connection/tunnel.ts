// SPDX-License-Identifier: MIT
/** TLS through a proxy: a connection that CONNECT has made (RFC 9110, 9.3.6), which then is as any other. */
import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContext, TLSSocket } from 'node:tls';
import { addressOf, type ProxyServer, proxyAuthorization } from './proxy.js';
import { notReached, refusedBy } from './proxy-failure.js';

type Connected = (failure: Error | null, socket: Duplex) => void;

export interface TunnelOptions extends https.RequestOptions {
  /** Node keeps a request's own signal from its agent. */
  untilAborted?: AbortSignal | undefined;
}

/** Connections to any host by way of one proxy. */
export class TunnelAgent extends https.Agent {
  readonly #pending = new Set<http.ClientRequest>();

  constructor(
    private readonly proxy: ProxyServer,
    /** Of the connection to a proxy that is asked by TLS itself. */
    private readonly context: SecureContext | undefined,
    settings: https.AgentOptions,
  ) {
    super(settings);
  }

  /** Called by Node when no connection is kept. */
  override createConnection(options: TunnelOptions, done?: Connected): undefined {
    this.#open(options).then(
      (socket) => done!(null, this.#secured(options, socket)),
      (failure: Error) => done!(failure, undefined as never),
    );
  }

  #secured(options: TunnelOptions, socket: Socket): TLSSocket {
    const secured = super.createConnection({ ...options, socket } as https.RequestOptions) as TLSSocket;
    // Node does that only for connections of its own.
    return secured.setTimeout(options.timeout ?? 0);
  }

  #open({ host, port, timeout, untilAborted }: TunnelOptions): Promise<Socket> {
    const authority = host!.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    const request = (this.context === undefined ? http : https).request({
      ...addressOf(this.proxy),
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, 'user-agent': 'tsoverlay', ...proxyAuthorization(this.proxy) },
      agent: false,
      ...(timeout === undefined ? {} : { timeout }),
      ...(untilAborted === undefined ? {} : { signal: untilAborted }),
      ...(this.context === undefined ? {} : { secureContext: this.context }),
    });
    // What Node says there of a connection that is not kept (close) is not true of a tunnel.
    request.removeHeader('connection');
    this.#pending.add(request);
    return new Promise<Socket>((resolve, reject) => {
      request.on('error', (cause) => reject(untilAborted?.aborted ? cause : notReached(this.proxy, cause)));
      request.on('timeout', () =>
        request.destroy(Object.assign(new Error('nothing came'), { code: 'ETIMEDOUT' })),
      );
      request.on('connect', (answer, socket: Socket, head) => {
        const { statusCode = 0 } = answer;
        if (statusCode >= 200 && statusCode < 300) {
          if (head.length > 0) socket.unshift(head);
          return resolve(socket.setTimeout(0));
        }
        socket.destroy();
        reject(refusedBy(this.proxy, authority, answer));
      });
      request.end();
    }).finally(() => this.#pending.delete(request));
  }

  override destroy(): void {
    for (const request of this.#pending) request.destroy();
    super.destroy();
  }
}
