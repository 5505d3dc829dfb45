/** HTTP/1.1 clients: the public face. Requests go over connections that are kept and used again. */

import type { Connection, DialOptions, Reactor } from '../api.js';
import { HttpClientError, refused } from './client-error.js';
import { ClientExchange } from './client-exchange.js';
import { type HttpClientLimits, readClientLimits } from './client-limits.js';
import type { ClientOrigin } from './client-origin.js';
import { type OriginDial, Pool } from './client-pool.js';
import { type Connect, dialThrough, readProxy, type TlsDialer } from './client-proxy.js';
import { type RedirectedRequest, redirected, tooManyRedirects } from './client-redirects.js';
import {
  type HttpClientConnectOptions,
  type HttpClientRequestOptions,
  type OutgoingRequest,
  type ProxyRoute,
  prepareConnect,
  prepareRequest,
} from './client-request.js';
import type { HttpClientResponse } from './client-response.js';
import type { HttpClientStats } from './client-stats.js';
import { readCodings } from './content-coding.js';
import { DecodedBody } from './decoded-body.js';
import type { FieldsInput } from './response-fields.js';
import type { ResponseRejectCode } from './response-rejects.js';

/** What connects: a reactor, or a function such as `dial`. */
export type HttpDialer =
  | Pick<Reactor, 'dial'>
  | ((url: string, options: DialOptions) => Promise<Connection>);

/**
 * What connects with TLS, and verifies that the server is `serverName`: such as `dialTls` of `millrace/tls`. Where
 * there is a `reactor` among the options, it leads through the proxy, and is what has to dial.
 */
export type HttpTlsDialer = TlsDialer;

export interface HttpClientOptions extends HttpClientLimits {
  /** For https: URLs. Without it they are refused. */
  dialTls?: HttpTlsDialer;
  /**
   * Send Accept-Encoding, and undo the codings of bodies: gzip, deflate, br, and zstd where Node has it. true. Codings
   * that are not known are left as they are.
   */
  decompress?: boolean;
  /** An HTTP proxy, such as `http://127.0.0.1:3128`, for all requests without an `address` of their own. */
  proxy?: string | URL;
  /** What the proxy gets, such as Proxy-Authorization. */
  proxyFields?: FieldsInput;
  /** Options of the connections below. `handler`, `context` and `allowHalfOpen` are the client's. */
  connection?: Omit<DialOptions, 'handler' | 'context' | 'signal' | 'allowHalfOpen'>;
}

const CLOSE_DEFAULT_MS = 10_000;

export class HttpClient {
  readonly #pool: Pool;
  /** Of the requests for tunnels, which the connections of the other one wait for. */
  readonly #tunnels: Pool;
  readonly #dialer: HttpDialer;
  readonly #dialTls: TlsDialer | undefined;
  readonly #proxy: ProxyRoute | undefined;
  readonly #decompress: boolean;

  /** @throws TypeError or RangeError for wrong arguments. */
  constructor(dialer: HttpDialer, options: HttpClientOptions = {}) {
    const { dialTls } = options;
    if (typeof dialer !== 'function' && typeof dialer?.dial !== 'function') {
      throw new TypeError('Expected a dialer: a reactor, or a function such as dial');
    }
    if (dialTls !== undefined && typeof dialTls !== 'function') {
      throw new TypeError(`Expected dialTls to be a function, got ${typeof dialTls}`);
    }
    this.#dialer = dialer;
    this.#dialTls = dialTls;
    this.#proxy = readProxy(options.proxy, options.proxyFields);
    if (this.#proxy?.url.protocol === 'https:' && dialTls === undefined) {
      throw new TypeError('For a proxy of https: give the client dialTls');
    }
    this.#decompress = options.decompress ?? true;
    const limits = readClientLimits(options);
    const dial: OriginDial = (origin, dialOptions) => this.#dial(origin, dialOptions);
    this.#pool = new Pool(limits, dial, options.connection ?? {});
    this.#tunnels = new Pool(limits, dial, options.connection ?? {});
  }

  #dial(origin: ClientOrigin, options: DialOptions): Promise<Connection> {
    const { address, hostname, isSecure, proxy } = origin;
    const dialer = this.#dialer;
    if (!isSecure) {
      return typeof dialer === 'function'
        ? dialer(address, options)
        : dialer.dial(address, options);
    }
    const secure = { ...options, serverName: hostname };
    if (proxy === undefined) {
      return this.#dialTls!(address, secure);
    }
    const connect: Connect = (target, signal) => {
      const { limits } = this.#pool;
      const request: HttpClientConnectOptions = {
        fields: this.#proxy!.fields,
        timeouts: { headTimeoutMs: limits.connectTimeoutMs },
        ...(signal !== undefined && { signal }),
      };
      return this.#run(this.#tunnels, prepareConnect(proxy, target, request, limits));
    };
    return dialThrough(connect, this.#dialTls!, address, secure);
  }

  /**
   * Asks a proxy for a tunnel to `target`, such as `example.org:443`, and resolves with its response, whatever its
   * status: after 2xx `isTunnel` is true, and `takeOver` gives the connection. Rejects as `request` does.
   */
  async connect(
    proxy: string | URL,
    target: string,
    options: HttpClientConnectOptions = {},
  ): Promise<HttpClientResponse> {
    const response = await this.#run(
      this.#pool,
      prepareConnect(proxy, target, options, this.#pool.limits),
    );
    response.url = String(new URL(proxy));
    return response;
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
      if (next?.url.protocol === 'https:' && this.#dialTls === undefined) {
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
    const { limits } = this.#pool;
    const { decompress = this.#decompress } = options;
    const request = prepareRequest(url, { ...options, decompress }, limits, this.#proxy);
    const response = await this.#run(this.#pool, request);
    response.url = String(new URL(url));
    return decompress ? this.#decoded(request, response) : response;
  }

  /** The response with its codings undone, if it has a whole body with codings that are known. */
  #decoded({ method, signal }: OutgoingRequest, response: HttpClientResponse): HttpClientResponse {
    const { status } = response;
    if (method === 'HEAD' || response.contentLength === 0 || status === 205 || status === 206) {
      return response;
    }
    const { limits, stats } = this.#pool;
    const onReject = (code: ResponseRejectCode): void => {
      stats.rejects[code] += 1;
    };
    const codings = readCodings(response.header('content-encoding'));
    if (codings === undefined) {
      response.discard();
      onReject('content-coding');
      throw refused('content-coding');
    }
    return codings.length === 0
      ? response
      : new DecodedBody(response, codings, { limits, signal, onReject }).response;
  }

  #run(pool: Pool, request: OutgoingRequest): Promise<HttpClientResponse> {
    if (request.isSecure && this.#dialTls === undefined) {
      throw new TypeError('For https: give the client dialTls');
    }
    request.signal?.throwIfAborted();
    const exchange = new ClientExchange(request, (aborted) => pool.abort(aborted));
    pool.add(exchange);
    return exchange.promise;
  }

  /** Counters, as they are now. */
  get stats(): HttpClientStats {
    const { stats } = this.#pool;
    const tunnels = stats.tunnels + this.#tunnels.stats.tunnels;
    return { ...stats, tunnels, timeouts: { ...stats.timeouts }, rejects: { ...stats.rejects } };
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
    await Promise.all([this.#pool.close(deadlineMs), this.#tunnels.close(deadlineMs)]);
  }
}
