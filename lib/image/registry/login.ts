// SPDX-License-Identifier: MIT
/**
 * How we log in to a registry: without a name where that is enough, by a token of its
 * token server or by name and password, whichever of the ways that it offers can be gone.
 * Passwords are looked for when a registry asks: a registry that asks for none needs no working helper.
 */
import { type ErrorStory, OverlayError } from '../../base/errors.js';
import { type Challenge, parseChallenges } from '../connection/challenge.js';
import {
  type HttpTransport,
  MOST_REDIRECTS,
  REDIRECTS,
  type Request,
  type Response,
} from '../connection/http-transport.js';
import { ProxyError } from '../connection/proxy-failure.js';
import type { Credentials } from '../credentials/credential.js';
import { dockerConfigPath } from '../credentials/docker-config.js';
import { type Refusal, readBody, readWords, wordsOf } from './answer.js';
import {
  basicHeader,
  mergeScopes,
  parseToken,
  type Token,
  type TokenRequest,
  tokenRequest,
  tokenServer,
} from './auth.js';
import type { Endpoint } from './config.js';
import { retryAfter, waitAsked } from './retrying.js';

type Way =
  | { scheme: 'basic' }
  /** With the token that a file has. */
  | { scheme: 'given' }
  | { scheme: 'bearer'; server: URL; service: string | undefined; scope: string | undefined };

/** What is asked for, and until when. */
interface Asked {
  scope: string;
  signal?: AbortSignal | undefined;
}

const LARGEST_TOKEN = 64 * 1024;

/** A token server's no, which is not the registry's: that has said nothing yet of what it was asked. */
export class TokenRefusal extends OverlayError {
  constructor(
    story: ErrorStory,
    readonly refusal: Refusal,
  ) {
    super(story);
  }
}

export class RegistryLogin {
  readonly #tokens = new Map<string, Token>();
  /** What was offered for a scope; the newest is tried for another. */
  readonly #ways = new Map<string, Way>();
  #newest: Way | undefined;
  #credentials: Promise<Credentials | undefined> | undefined;
  #from: string | undefined;
  #trouble: OverlayError | undefined;

  constructor(
    private readonly endpoint: Endpoint,
    private readonly transport: HttpTransport,
    private readonly find: () => Promise<Credentials | undefined>,
  ) {}

  /** The header for a call, as far as it is known what the registry wants. */
  async header(asked: Asked): Promise<string | undefined> {
    const way = this.#ways.get(asked.scope) ?? this.#newest;
    return way === undefined ? undefined : this.#headerFor(way, asked, false);
  }

  /**
   * The headers that may answer a 401, the best first; a next one is made when the one before
   * it was refused. Throws an OverlayError where there is none, or none that could be had.
   */
  async *answers(refusal: Response, asked: Asked): AsyncGenerator<string> {
    const header = refusal.headers['www-authenticate'];
    if (header === undefined) return;
    let failure: OverlayError | undefined;
    for (const way of await this.#waysOf(parseChallenges(header))) {
      let answer: string;
      try {
        answer = await this.#headerFor(way, asked, true);
      } catch (cause) {
        if (!(cause instanceof OverlayError) || cause instanceof ProxyError) throw cause;
        failure ??= cause;
        continue;
      }
      this.#ways.set(asked.scope, way);
      this.#newest = way;
      yield answer;
    }
    if (failure !== undefined) throw failure;
  }

  /** Why the registry does not let us in: that a password could not be read explains more than what the registry says. */
  refused(reason: string): OverlayError {
    return this.#trouble ?? new OverlayError(this.#story(reason, this.#logIn()));
  }

  #logIn(): string {
    return this.#from === undefined
      ? `put a name and password for it into ${dockerConfigPath()} (docker login)`
      : `the ones in ${this.#from} are wrong; log in again`;
  }

  #story(reason: string, remedy?: string): ErrorStory {
    return { operation: 'ask registry', path: this.endpoint.host, reason, remedy };
  }

  #error(reason: string): OverlayError {
    return new OverlayError(this.#story(reason));
  }

  #known(): Promise<Credentials | undefined> {
    this.#credentials ??= this.find().then(
      (found) => {
        this.#from = found?.from;
        return found;
      },
      (cause) => {
        if (!(cause instanceof OverlayError)) throw cause;
        // Perhaps nobody needs it.
        this.#trouble = cause;
        return undefined;
      },
    );
    return this.#credentials;
  }

  async #waysOf(challenges: readonly Challenge[]): Promise<Way[]> {
    const credentials = await this.#known();
    const bearers = challenges.filter(({ scheme }) => scheme === 'bearer');
    const hasBasic = challenges.some(({ scheme }) => scheme === 'basic');
    const ways: Way[] = [];
    if (credentials?.registryToken !== undefined && bearers.length > 0) ways.push({ scheme: 'given' });
    // A password goes to the token server alone, and without one a token may do.
    for (const bearer of bearers) {
      const { parameters } = bearer;
      const server = tokenServer(bearer);
      if (server === undefined) continue;
      const [service, scope] = [parameters.get('service'), parameters.get('scope')];
      ways.push({ scheme: 'bearer', server, service, scope });
    }
    if (hasBasic && credentials !== undefined && credentials.password !== '') ways.push({ scheme: 'basic' });
    if (ways.length > 0) return ways;
    if (hasBasic) throw this.refused('it asks for a name and a password');
    if (bearers.length > 0) throw this.#error('it names no server for tokens');
    const names = challenges.map(({ scheme }) => scheme).join(', ');
    throw this.#error(`it asks for an authorization that is not known${names === '' ? '' : ` (${names})`}`);
  }

  async #headerFor(way: Way, { scope, signal }: Asked, anew: boolean): Promise<string> {
    const credentials = await this.#known();
    if (way.scheme === 'basic') return basicHeader(credentials!);
    if (way.scheme === 'given') return `Bearer ${credentials!.registryToken}`;
    const known = this.#tokens.get(scope);
    // A token that was refused may have ended early.
    if (known !== undefined && !anew && known.expires > Date.now()) return `Bearer ${known.value}`;
    const wanted = mergeScopes(scope, this.#ways.get(scope) === way || anew ? way.scope : undefined);
    const ask = tokenRequest(way.server, way.service, wanted, credentials);
    const token = await this.#fetchToken(ask, credentials !== undefined, signal);
    this.#tokens.set(scope, token);
    return `Bearer ${token.value}`;
  }

  async #fetchToken(ask: TokenRequest, isSecret: boolean, signal: AbortSignal | undefined): Promise<Token> {
    const response = await this.#askTokenServer(ask, isSecret, signal);
    const { statusCode: status, headers } = response;
    const refusal = { status, retryAfter: retryAfter(headers) ?? 0 };
    if (status >= 400) throw this.#noToken(ask, { ...refusal, ...(await readWords(response)) });
    const bytes = await readBody(response, LARGEST_TOKEN, ask.url.host);
    const token = parseToken(bytes.toString('utf8'));
    if (token !== undefined) return token;
    throw this.#noToken(ask, { ...refusal, ...wordsOf(bytes, String(headers['content-type'] ?? '')) });
  }

  #noToken({ url, method }: TokenRequest, refusal: Refusal): OverlayError {
    const { status, words, retryAfter: asked } = refusal;
    const answer = status < 400 ? 'gave no token' : `answered ${status}`;
    const reason = `its token server ${url.host} ${answer}${words === '' ? '' : ` (${words})`}`;
    // RFC 6749, 5.2: a refresh token that is not valid any more is 400.
    const isLogin = status === 401 || status === 403 || (status === 400 && method === 'POST');
    if (isLogin && this.#trouble !== undefined) return this.#trouble;
    const remedy = isLogin ? this.#logIn() : waitAsked(asked);
    return new TokenRefusal(this.#story(reason, remedy), refusal);
  }

  /** Follows redirects; a password is for the host that the registry names. */
  async #askTokenServer(
    { url, method, headers, body }: TokenRequest,
    isSecret: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    let at = url;
    let sent: Request = { method, headers, body: body === undefined ? undefined : Buffer.from(body), signal };
    for (let redirects = 0; ; redirects++) {
      const isTold = sent.body !== undefined || 'authorization' in sent.headers;
      if (isSecret && isTold && this.#isOverheard(at))
        throw this.#error('it sends passwords to a token server without encryption');
      const response = await this.transport.send(at, sent);
      if (!REDIRECTS.has(response.statusCode)) return response;
      response.body.destroy();
      const next = destination(response, at);
      if (next === undefined || redirects >= MOST_REDIRECTS)
        throw this.#error(`its token server ${url.host} redirects without an end`);
      // RFC 9110, 15.4: only 307 and 308 have what was sent sent again.
      if (response.statusCode < 307) sent = { ...sent, method: 'GET', body: undefined };
      if (!isSameHost(at, next)) {
        if (sent.body !== undefined)
          throw this.#error(`its token server ${url.host} sends the password on to ${next.host}`);
        sent = { ...sent, headers: {} };
      }
      at = next;
    }
  }

  #isOverheard({ protocol }: URL): boolean {
    return protocol === 'http:' && !this.endpoint.insecure && this.endpoint.scheme !== 'http';
  }
}

function destination({ headers: { location = '' } }: Response, from: URL): URL | undefined {
  const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) ? url : undefined;
}

/** Also where it goes from HTTP to HTTPS at their usual ports. */
function isSameHost(from: URL, to: URL): boolean {
  const isUpgrade = from.protocol === 'http:' && to.protocol === 'https:' && from.port + to.port === '';
  return (
    from.hostname === to.hostname && (isUpgrade || (from.host === to.host && from.protocol === to.protocol))
  );
}
