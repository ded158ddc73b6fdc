// SPDX-License-Identifier: MIT
/** Connections through a proxy that says nothing, says too much, or is not waited for. */
import { request } from 'node:https';
import t, { type Test } from 'tap';
import { HttpTransport } from '../../../lib/image/connection/http-transport.js';
import { TunnelAgent, type TunnelOptions } from '../../../lib/image/connection/tunnel.js';
import { ForwardProxy } from '../../support/forward-proxy.js';

/** What a request through a proxy fails of. */
function failureBy(t: Test, { host }: ForwardProxy, options: TunnelOptions = {}): Promise<Error> {
  const proxy = { url: new URL(`http://${host}`), variable: 'HTTPS_PROXY' };
  const agent = new TunnelAgent(proxy, undefined, { keepAlive: true });
  t.teardown(() => agent.destroy());
  return new Promise((resolve) => {
    request('https://reg.test:5000/', { ...options, agent })
      .on('error', resolve)
      .end();
  });
}

t.test('a proxy that never answers CONNECT is given up when the time is over', async (t) => {
  const silent = await ForwardProxy.start(t, {}, { says: () => null });
  t.match(await failureBy(t, silent, { timeout: 100 }), {
    message: `ask proxy ${silent.host}: it does not answer (ETIMEDOUT); see whether HTTPS_PROXY in the environment is right`,
  });
  t.strictSame(silent.seen, ['CONNECT reg.test:5000']);
});

t.test('a request that is aborted, and a transport that is closed, do not wait for CONNECT', async (t) => {
  const silent = await ForwardProxy.start(t, {}, { says: () => null });
  const before = process.env.HTTPS_PROXY;
  process.env.HTTPS_PROXY = silent.host;
  t.teardown(() => {
    if (before === undefined) delete process.env.HTTPS_PROXY;
    else process.env.HTTPS_PROXY = before;
  });
  const transport = new HttpTransport({ verifies: true });
  const abort = new AbortController();
  const ask = (signal?: AbortSignal): Promise<unknown> =>
    transport.send(new URL('https://reg.test'), { method: 'GET', headers: {}, signal });
  const aborted = t.rejects(ask(abort.signal), { name: 'AbortError' });
  await silent.asked(1);
  abort.abort();
  await aborted;
  const closed = t.rejects(ask(), { message: /^ask proxy / });
  await silent.asked(2);
  transport.close();
  await closed;
});

t.test('CONNECT says nothing of the end of the connection', async (t) => {
  const gone = await ForwardProxy.start(t, {}, { says: () => 'HTTP/1.1 403 No\r\n\r\n' });
  t.match(await failureBy(t, gone), { status: 403 });
  t.strictSame(gone.headers.sort(), ['host', 'user-agent']);
});

t.test('a proxy that asks for a login as servers do is understood', async (t) => {
  const asks = await ForwardProxy.start(t, {}, { says: () => 'HTTP/1.1 401 Who\r\n\r\n' });
  t.match(await failureBy(t, asks), {
    message: `ask proxy ${asks.host}: it asks for a name and a password (401); write them into HTTPS_PROXY: http://NAME:PASSWORD@${asks.host}`,
  });
});

t.test('what a host says together with the answer of its proxy is heard', async (t) => {
  const talks = await ForwardProxy.start(t, {}, { says: () => 'HTTP/1.1 299 Fine\r\n\r\nSSH-2.0-x\r\n' });
  t.match(await failureBy(t, talks), { code: /^(ERR_SSL_WRONG_VERSION_NUMBER|EPROTO)$/ });
});
