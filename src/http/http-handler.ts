/**
 * The handler that makes HTTP out of connections: `serve({ handler: httpHandler({ onRequest }) })`, or the export of a
 * handler module for several reactors. One such object may serve several reactors of its thread; each has its service.
 */

import type { Action, CloseReason, Connection, Handler, Reactor } from '../api.js';
import { type WallClock, wallClock } from '../base/wall-clock.js';
import { dataAtOf, type OnDataAt, setDataAt } from '../hooks.js';
import { isFieldValue } from './grammar.js';
import { endDelegate, HttpConnection } from './http-connection.js';
import { type HttpLimits, readLimits } from './limits.js';
import {
  emptyStats,
  type HttpStats,
  type OnError,
  type OnRequest,
  type OnUpgrade,
  Service,
  type ServiceOptions,
} from './service.js';

/** Options of `httpHandler`: its hooks, its limits, and hooks of Handler that are about the reactor. */
export interface HttpOptions
  extends HttpLimits,
    Pick<Handler, 'onBoot' | 'onShutdown' | 'onTick' | 'onMessage' | 'tasks'> {
  /**
   * Answers a request, now or later. It is called when the head is there; a promise that it returns is only watched for
   * its rejection. One request of a connection at a time.
   */
  onRequest: OnRequest;
  /**
   * Asked first about requests that want another protocol. The handler that it returns, push or pull, gets the
   * connection (onOpen, then `head`, what the client has sent already); it has to have written the response, such as
   * 101, itself. Nothing returned: the request goes to `onRequest`.
   */
  onUpgrade?: OnUpgrade;
  /**
   * Answers CONNECT, by `response.tunnel` or with an error; `request.target` is `host:port`. Which targets a proxy
   * connects to is to be checked here. Without it CONNECT is refused with 501.
   */
  onConnect?: OnRequest;
  /** A handler threw or rejected; its client got 500. process.emitWarning, once a second at most, else. */
  onError?: OnError;
  /** The Server field. None by default. */
  serverName?: string;
  /** For tests: the clock of the Date field, in milliseconds since 1970. */
  wallClock?: WallClock;
}

/** A handler, with the counters of its thread. */
export interface HttpHandler extends Handler {
  /** Sums over the reactors that this object serves. */
  readonly httpStats: HttpStats;
}

const ERROR_INTERVAL_MS = 1_000;

export function httpHandler(options: HttpOptions): HttpHandler {
  return new HttpServerHandler(options);
}

class HttpServerHandler implements HttpHandler {
  readonly #options: ServiceOptions;
  readonly #services = new Map<Reactor, Service>();
  /** The last one asked for: mostly there is only one. */
  #service: Service | undefined;
  #lastError = Number.NEGATIVE_INFINITY;
  /** A client may end its side after its request, and still gets its answer. */
  readonly defaults = { allowHalfOpen: true };
  readonly tasks?: NonNullable<Handler['tasks']>;
  readonly onBoot?: NonNullable<Handler['onBoot']>;
  readonly onTick?: NonNullable<Handler['onTick']>;
  readonly onMessage?: NonNullable<Handler['onMessage']>;
  readonly onShutdown: (reactor: Reactor) => void | Promise<void>;

  constructor(options: HttpOptions) {
    checkOptions(options);
    this.#options = {
      limits: { ...readLimits(options), allowsConnect: options.onConnect !== undefined },
      onRequest: options.onRequest,
      onUpgrade: options.onUpgrade,
      onConnect: options.onConnect,
      onError: options.onError ?? ((error) => this.#warn(error)),
      serverName: options.serverName ?? '',
      wallClock: options.wallClock ?? wallClock,
    };
    if (options.tasks !== undefined) {
      this.tasks = options.tasks;
    }
    for (const name of ['onBoot', 'onTick', 'onMessage'] as const) {
      if (options[name] !== undefined) {
        const hook = options[name] as (...values: never[]) => unknown;
        Object.assign(this, { [name]: hook.bind(options) });
      }
    }
    this.onShutdown = (reactor) => {
      this.#services.get(reactor)?.end();
      this.#services.delete(reactor);
      this.#service = undefined;
      return options.onShutdown?.(reactor);
    };
  }

  #serviceOf(reactor: Reactor): Service {
    if (this.#service?.reactor === reactor) {
      return this.#service;
    }
    let service = this.#services.get(reactor);
    if (service === undefined) {
      service = new Service(reactor, this.#options);
      this.#services.set(reactor, service);
    }
    this.#service = service;
    return service;
  }

  onOpen(connection: Connection): void {
    const service = this.#serviceOf(connection.reactor);
    const http = new HttpConnection(connection, service);
    connection.context = http;
    service.add(http);
  }

  onData(connection: Connection, bytes: Buffer): Action | void {
    const http = this.#httpOf(connection);
    if (http === undefined) {
      return this.#delegateOf(connection)?.onData?.(connection, bytes);
    }
    http.receive(bytes, 0, bytes.length);
  }

  /** The same: see hooks.ts. */
  onDataAt(connection: Connection, memory: Buffer, start: number, end: number): Action | void {
    const http = this.#httpOf(connection);
    if (http !== undefined) {
      http.receive(memory, start, end);
      return;
    }
    const delegate = this.#delegateOf(connection);
    const onDataAt = dataAtOf(delegate?.onData);
    return onDataAt === undefined
      ? delegate?.onData?.(connection, memory.subarray(start, end))
      : onDataAt.call(delegate, connection, memory, start, end);
  }

  static {
    const { onData, onDataAt } = HttpServerHandler.prototype;
    setDataAt(onData, onDataAt as OnDataAt);
  }

  onDrain(connection: Connection): Action | void {
    const http = this.#httpOf(connection);
    if (http === undefined) {
      return this.#delegateOf(connection)?.onDrain?.(connection);
    }
    http.conversation?.onDrain();
  }

  onEnd(connection: Connection): Action | void {
    const http = this.#httpOf(connection);
    if (http === undefined) {
      const delegate = this.#delegateOf(connection);
      return delegate === undefined ? undefined : endDelegate(connection, delegate);
    }
    if (http.conversation === undefined) {
      connection.close();
    } else {
      http.conversation.onPeerEnd();
    }
  }

  onClose(connection: Connection, reason: CloseReason): Action | void {
    const http = this.#httpOf(connection);
    if (http === undefined) {
      const delegate = this.#delegateOf(connection);
      this.#serviceOf(connection.reactor).delegates.delete(connection);
      return delegate?.onClose?.(connection, reason);
    }
    try {
      http.conversation?.onClose();
    } finally {
      http.service.remove(http);
    }
  }

  /** Answers what is under way, and says so in the last response. */
  onServerClose(connection: Connection): Action | void {
    const http = this.#httpOf(connection);
    if (http !== undefined) {
      http.service.beginDrain(http);
      return;
    }
    const delegate = this.#delegateOf(connection);
    return delegate?.onServerClose === undefined ? 'close' : delegate.onServerClose(connection);
  }

  /** Undefined once the connection was handed over: its context is that handler's. */
  #httpOf(connection: Connection): HttpConnection | undefined {
    const { context } = connection;
    // The service is asked for, since a handler that took over may itself be one for HTTP.
    return context instanceof HttpConnection && context.service.options === this.#options
      ? context
      : undefined;
  }

  #delegateOf(connection: Connection): Handler | undefined {
    return this.#serviceOf(connection.reactor).delegates.get(connection);
  }

  get httpStats(): HttpStats {
    const sum = emptyStats();
    for (const { stats } of this.#services.values()) {
      addStats(sum, stats);
    }
    return sum;
  }

  #warn(error: unknown): void {
    const now = this.#service?.now ?? 0;
    if (now - this.#lastError >= ERROR_INTERVAL_MS) {
      this.#lastError = now;
      process.emitWarning(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

function addStats(sum: HttpStats, stats: HttpStats): void {
  sum.connections += stats.connections;
  sum.requests += stats.requests;
  sum.handlerErrors += stats.handlerErrors;
  sum.upgrades += stats.upgrades;
  sum.slowReaders += stats.slowReaders;
  sum.undrained += stats.undrained;
  sum.idleTimeouts += stats.idleTimeouts;
  for (const code of Object.keys(stats.rejects) as (keyof HttpStats['rejects'])[]) {
    sum.rejects[code] += stats.rejects[code];
  }
}

function checkOptions(options: HttpOptions): void {
  if (typeof options?.onRequest !== 'function') {
    throw new TypeError(`Expected onRequest to be a function, got ${typeof options?.onRequest}`);
  }
  for (const name of ['onUpgrade', 'onConnect', 'onError', 'wallClock'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'function') {
      throw new TypeError(`Expected ${name} to be a function, got ${typeof options[name]}`);
    }
  }
  const { serverName = '' } = options;
  if (typeof serverName !== 'string' || !isFieldValue(serverName)) {
    throw new TypeError('Expected serverName to be latin1 text without control characters');
  }
}
