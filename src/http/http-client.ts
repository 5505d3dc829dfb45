/** HTTP/1.1 clients: the public face. Requests go over connections that are kept and used again. */

import type { Connection, DialOptions, Reactor } from '../api.js';
import { HttpClientError } from './client-error.js';
import { ClientExchange } from './client-exchange.js';
import { type HttpClientLimits, readClientLimits } from './client-limits.js';
import { Pool } from './client-pool.js';
import { type HttpClientRequestOptions, prepareRequest } from './client-request.js';
import { type RedirectedRequest, redirected, tooManyRedirects } from './client-redirects.js';
import type { HttpClientResponse } from './client-response.js';
import type { HttpClientStats } from './client-stats.js';

/** What connects: a reactor, or a function such as `dial`. */
export type HttpDialer =
  | Pick<Reactor, 'dial'>
  | ((url: string, options: DialOptions) => Promise<Connection>);

/** What connects with TLS, and verifies that the server is `serverName`: such as `dialTls` of `millrace/tls`. */
export type HttpTlsDialer = (
  url: string,
  options: DialOptions & { serverName: string },
) => Promise<Connection>;

export interface HttpClientOptions extends HttpClientLimits {
  /** For https: URLs. Without it they are refused. */
  dialTls?: HttpTlsDialer;
  /** Options of the connections below. `handler`, `context` and `allowHalfOpen` are the client's. */
  connection?: Omit<DialOptions, 'handler' | 'context' | 'signal' | 'allowHalfOpen'>;
}

const CLOSE_DEFAULT_MS = 10_000;

export class HttpClient {
  readonly #pool: Pool;
  readonly #hasTls: boolean;

  /** @throws TypeError or RangeError for wrong arguments. */
  constructor(dialer: HttpDialer, options: HttpClientOptions = {}) {
    const { dialTls } = options;
    if (typeof dialer !== 'function' && typeof dialer?.dial !== 'function') {
      throw new TypeError('Expected a dialer: a reactor, or a function such as dial');
    }
    if (dialTls !== undefined && typeof dialTls !== 'function') {
      throw new TypeError(`Expected dialTls to be a function, got ${typeof dialTls}`);
    }
    this.#hasTls = dialTls !== undefined;
    this.#pool = new Pool(
      readClientLimits(options),
      async ({ address, hostname, isSecure }, dialOptions) => {
        if (isSecure) {
          return dialTls!(address, { ...dialOptions, serverName: hostname });
        }
        return typeof dialer === 'function'
          ? dialer(address, dialOptions)
          : dialer.dial(address, dialOptions);
      },
      options.connection ?? {},
    );
  }

  /**
   * Sends a request and resolves when the head of its final response is there, whatever its status; with `redirectsMax`
   * redirects are followed first, credentials (Authorization, Cookie) only within the origin. Read or `discard` the
   * body of each response: until then it holds its connection.
   *
   * A request of an idempotent method (RFC 9110 9.2.2) whose body is no stream is sent once more, on a connection of
   * its own, if it went on one that was used before and was closed before any byte of the response.
   *
   * @throws HttpClientError by its `code`; the signal's reason; TypeError or RangeError for wrong arguments.
   */
  async request(
    url: string | URL,
    options: HttpClientRequestOptions = {},
  ): Promise<HttpClientResponse> {
    const { redirectsMax = this.#pool.limits.redirectsMax } = options;
    if (!Number.isInteger(redirectsMax) || redirectsMax < 0) {
      throw new RangeError(`Expected redirectsMax to be a count, got ${redirectsMax}`);
    }
    let response = await this.#send(url, options);
    for (let redirects = 0; redirectsMax > 0; ) {
      const next = this.#followed(response, options);
      if (next === undefined) {
        return response;
      }
      if (redirects === redirectsMax) {
        throw tooManyRedirects(redirectsMax);
      }
      redirects += 1;
      this.#pool.stats.redirects += 1;
      ({ options } = next);
      response = await this.#send(next.url, options);
      response.redirects = redirects;
    }
    return response;
  }

  /** What a redirect asks for, if it is one: then its body is not wanted. */
  #followed(
    response: HttpClientResponse,
    options: HttpClientRequestOptions,
  ): RedirectedRequest | undefined {
    try {
      const next = redirected(new URL(response.url), options, response);
      if (next?.url.protocol === 'https:' && !this.#hasTls) {
        throw new HttpClientError('ERR_HTTP_REDIRECT', 'A redirect to https:, without dialTls');
      }
      if (next !== undefined) {
        response.discard();
      }
      return next;
    } catch (error) {
      response.discard();
      throw error;
    }
  }

  async #send(url: string | URL, options: HttpClientRequestOptions): Promise<HttpClientResponse> {
    const request = prepareRequest(url, options, this.#pool.limits);
    if (request.isSecure && !this.#hasTls) {
      throw new TypeError('For https: give the client dialTls');
    }
    request.signal?.throwIfAborted();
    const exchange = new ClientExchange(request, (aborted) => this.#pool.abort(aborted));
    this.#pool.add(exchange);
    const response = await exchange.promise;
    response.url = String(new URL(url));
    return response;
  }

  /** Counters, as they are now. */
  get stats(): HttpClientStats {
    const { stats } = this.#pool;
    return { ...stats, timeouts: { ...stats.timeouts }, rejects: { ...stats.rejects } };
  }

  /**
   * Takes no more requests; those that wait fail with `ERR_HTTP_CLIENT_CLOSED`, those that are under way are completed,
   * or fail after `deadlineMs` (10,000). Resolves when all connections are closed.
   */
  async close(options: { deadlineMs?: number } = {}): Promise<void> {
    const { deadlineMs = CLOSE_DEFAULT_MS } = options;
    if (!Number.isInteger(deadlineMs) || deadlineMs < 0) {
      throw new RangeError(`Expected deadlineMs to be a count of milliseconds, got ${deadlineMs}`);
    }
    await this.#pool.close(deadlineMs);
  }
}
