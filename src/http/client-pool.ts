/**
 * The connections of a client, by origin, and the requests that wait for one. A connection at rest is used before a new
 * one is opened, the one that rested last first; where a bound is reached, requests wait in order, up to a bound too.
 *
 * Where the bound is that of all origins together, the oldest request is the first to get a new connection, and the
 * connection that has rested for longest makes room for it. An origin that has no connection at all does not have to
 * wait for others to rest: the next one that has answered is closed for it, if its request is older than theirs.
 */

import type { Connection, DialOptions, Handler, Reactor } from '../api.js';
import { ClientConnection } from './client-connection.js';
import { clientClosed, closedTwice, HttpClientError, timedOut } from './client-error.js';
import type { ClientExchange } from './client-exchange.js';
import { CLIENT_HANDLER } from './client-handler.js';
import type { ClientLimits } from './client-limits.js';
import { ClientOrigin, longestResting, oldestWaiting } from './client-origin.js';
import type { ClientPool } from './client-owner.js';
import { emptyClientStats } from './client-stats.js';

/** Connects for an origin. */
export type OriginDial = (origin: ClientOrigin, options: DialOptions) => Promise<Connection>;

export class Pool implements ClientPool {
  readonly limits: ClientLimits;
  readonly stats = emptyClientStats();
  readonly #dial: OriginDial;
  readonly #options: DialOptions;
  readonly #origins = new Map<string, ClientOrigin>();
  /** Where times in the queue are measured: that of the connection that was opened last. */
  #reactor: Reactor | undefined;
  #dialing = 0;
  /** Connections that are closed for us, and not yet for the system. */
  readonly #leaving = new Set<ClientConnection>();
  #order = 0;
  #isClosing = false;
  #onClosed: (() => void)[] = [];

  constructor(limits: ClientLimits, dial: OriginDial, options: DialOptions) {
    this.limits = limits;
    this.#dial = dial;
    this.#options = options;
  }

  add(exchange: ClientExchange): void {
    this.stats.requests += 1;
    if (this.#isClosing) {
      exchange.fail(clientClosed());
      return;
    }
    const { key } = exchange.request;
    let origin = this.#origins.get(key);
    if (origin === undefined) {
      origin = new ClientOrigin(exchange.request);
      this.#origins.set(key, origin);
    }
    this.#order += 1;
    exchange.order ||= this.#order;
    origin.queue.push(exchange);
    this.stats.queued += 1;
    this.#dispatch(origin);
    if (!origin.queue.includes(exchange)) {
      return;
    }
    if (this.stats.queued - this.#dialing > this.limits.queueMax) {
      this.stats.queueFull += 1;
      this.#take(origin, exchange);
      const text = `${this.limits.queueMax} requests wait already`;
      exchange.fail(new HttpClientError('ERR_HTTP_QUEUE_FULL', text));
    } else {
      this.#startQueueTimer(origin, exchange);
    }
  }

  /** The request's signal has fired. */
  abort(exchange: ClientExchange): void {
    this.stats.aborted += 1;
    const { key, signal } = exchange.request;
    this.#giveUp(this.#origins.get(key), exchange, signal?.reason);
  }

  #giveUp(origin: ClientOrigin | undefined, exchange: ClientExchange, error: unknown): void {
    if (origin?.queue.includes(exchange) === true) {
      this.#take(origin, exchange);
      origin.abortNeedlessDial();
      exchange.fail(error);
      return;
    }
    for (const each of origin?.connections ?? []) {
      if (each.abandon(exchange, error)) {
        return;
      }
      if (each.carries(exchange)) {
        each.fail(error);
        return;
      }
    }
    exchange.fail(error);
  }

  onOpen(connection: ClientConnection): void {
    const origin = this.#origins.get(connection.key)!;
    this.#dialing -= origin.dials.delete(connection) ? 1 : 0;
    origin.connections.add(connection);
    this.stats.connects += 1;
    this.#reactor = connection.connection!.reactor;
    if (this.#isClosing) {
      connection.close();
      return;
    }
    for (const exchange of origin.queue) {
      this.#startQueueTimer(origin, exchange);
    }
    this.onRest(connection);
  }

  onRest(connection: ClientConnection): void {
    if (this.#isClosing) {
      connection.close();
      return;
    }
    const origin = this.#origins.get(connection.key)!;
    const exchange = origin.nextFor(connection);
    if (exchange !== undefined && this.#isOlderElsewhere(exchange)) {
      connection.evict();
      return;
    }
    if (exchange !== undefined) {
      this.#take(origin, exchange);
      connection.start(exchange);
      return;
    }
    this.#order += 1;
    connection.restedAt = this.#order;
    origin.resting.push(connection);
    this.stats.idle += 1;
    this.#dispatchAll();
  }

  onRoom(connection: ClientConnection): void {
    const origin = this.#origins.get(connection.key);
    if (origin !== undefined && origin.queue.length > 0 && !this.#isClosing) {
      this.#pipeline(origin);
    }
  }

  onGone(connection: ClientConnection): void {
    const origin = this.#origins.get(connection.key);
    if (origin?.connections.delete(connection) === true) {
      this.#leaving.add(connection);
      this.stats.idle -= origin.forgetResting(connection) ? 1 : 0;
    }
  }

  onClosed(connection: ClientConnection): void {
    this.onGone(connection);
    this.#leaving.delete(connection);
    this.#afterConnection();
  }

  onLeft(connection: ClientConnection): void {
    this.stats.tunnels += 1;
    this.#origins.get(connection.key)?.connections.delete(connection);
    this.#afterConnection();
  }

  sendAgain(exchanges: readonly ClientExchange[], isFailed: boolean): void {
    const again = exchanges.filter((exchange) => this.#maySendAgain(exchange, isFailed));
    const origin = this.#origins.get(again[0]?.request.key ?? '');
    if (this.#isClosing || origin === undefined) {
      for (const exchange of again) {
        this.stats.requests -= 1;
        this.add(exchange);
      }
      return;
    }
    origin.queue.unshift(...again);
    this.stats.queued += again.length;
    for (const exchange of again) {
      this.#startQueueTimer(origin, exchange);
    }
    this.#dispatch(origin);
  }

  /** Once only, but where the server has said that it closes: then it did not do what came after (RFC 9112 9.6). */
  #maySendAgain(exchange: ClientExchange, isFailed: boolean): boolean {
    if (!isFailed) {
      return true;
    }
    if (exchange.isRetried) {
      exchange.fail(closedTwice());
      return false;
    }
    exchange.isRetried = true;
    this.stats.retries += 1;
    return true;
  }

  // The queue.

  #take(origin: ClientOrigin, exchange: ClientExchange): void {
    origin.queue.splice(origin.queue.indexOf(exchange), 1);
    this.stats.queued -= 1;
    if (exchange.queueTimer >= 0) {
      this.#reactor?.clearTimer(exchange.queueTimer);
      exchange.queueTimer = -1;
    }
  }

  #startQueueTimer(origin: ClientOrigin, exchange: ClientExchange): void {
    const reactor = this.#reactor;
    if (reactor === undefined || exchange.queueTimer >= 0) {
      return;
    }
    exchange.queueTimer = reactor.setTimer(exchange.request.timeouts.queueTimeoutMs, () => {
      exchange.queueTimer = -1;
      if (!exchange.isOver && origin.queue.includes(exchange)) {
        this.stats.timeouts.queue += 1;
        this.#giveUp(origin, exchange, timedOut('queue'));
      }
    });
  }

  #dispatchAll(): void {
    if (this.stats.queued > 0) {
      this.#openMore();
      for (const origin of this.#origins.values()) {
        this.#dispatch(origin);
      }
    }
  }

  /** Gives what rests to what waits, and opens connections for the others. */
  #dispatch(origin: ClientOrigin): void {
    while (origin.resting.length > 0) {
      const connection = origin.resting.at(-1)!;
      const exchange = origin.nextFor(connection);
      if (exchange === undefined) {
        break;
      }
      origin.resting.pop();
      this.stats.idle -= 1;
      this.#take(origin, exchange);
      connection.start(exchange);
    }
    this.#openMore();
    this.#pipeline(origin);
  }

  /** Sends what would have to wait behind what is under way, if that is wanted. */
  #pipeline(origin: ClientOrigin): void {
    if (this.limits.pipeliningMax === 1) {
      return;
    }
    while (origin.queue.length > origin.dials.size) {
      // In order: a request that may not be sent so would wait for ever if others went past it.
      const exchange = origin.queue[0]!;
      const connection = origin.leastBusyFor(exchange);
      if (connection === undefined) {
        return;
      }
      this.#take(origin, exchange);
      connection.startBehind(exchange);
    }
  }

  /** Opens connections for those that wait, the oldest first, as far as the bounds allow. */
  #openMore(): void {
    for (;;) {
      const origin = oldestWaiting(this.#origins.values(), (each) => this.#mayOpen(each));
      if (origin === undefined) {
        return;
      }
      if (this.stats.connections >= this.limits.connectionsMax) {
        this.#makeRoom();
        return;
      }
      this.#open(origin);
    }
  }

  #mayOpen(origin: ClientOrigin): boolean {
    const { connectionsPerOrigin } = this.limits;
    if (origin.size >= connectionsPerOrigin) {
      // Only a request that may not go on it is left waiting beside a connection at rest.
      origin.resting[0]?.evict();
    }
    return origin.size < connectionsPerOrigin;
  }

  /** Whether a request of an origin without any connection has waited for longer, and all connections are in use. */
  #isOlderElsewhere({ order }: ClientExchange): boolean {
    if (this.stats.connections < this.limits.connectionsMax || this.#isRoomComing) {
      return false;
    }
    const other = oldestWaiting(this.#origins.values(), (each) => each.size === 0);
    return (other?.uncovered ?? order) < order;
  }

  /** Whether as many connections are about to be closed as there are requests that wait for one. */
  get #isRoomComing(): boolean {
    return this.#leaving.size >= this.stats.queued - this.#dialing;
  }

  /** Closes the connection that has rested for longest. When it has closed, there is room. */
  #makeRoom(): void {
    if (!this.#isRoomComing) {
      longestResting(this.#origins.values())?.evict();
    }
  }

  #open(origin: ClientOrigin): void {
    const connection = new ClientConnection(origin.key, this);
    const controller = new AbortController();
    origin.dials.set(connection, controller);
    this.#dialing += 1;
    this.stats.connections += 1;
    const options: DialOptions = {
      connectTimeoutMs: this.limits.connectTimeoutMs,
      ...this.#options,
      handler: CLIENT_HANDLER as Handler,
      context: connection,
      signal: controller.signal,
    };
    this.#dial(origin, options).catch((error: unknown) => {
      this.#onDialFailure(origin, connection, error);
    });
  }

  #onDialFailure(origin: ClientOrigin, connection: ClientConnection, error: unknown): void {
    const controller = origin.dials.get(connection);
    if (controller === undefined) {
      return;
    }
    origin.dials.delete(connection);
    this.#dialing -= 1;
    const exchange = origin.queue[0];
    if (!controller.signal.aborted) {
      this.stats.connectErrors += 1;
      if (exchange !== undefined) {
        this.#take(origin, exchange);
        const text = `Cannot connect to ${origin.address}`;
        exchange.fail(new HttpClientError('ERR_HTTP_CONNECT', text, { cause: error }));
      }
    }
    this.#afterConnection();
  }

  /** There is one less. */
  #afterConnection(): void {
    this.stats.connections -= 1;
    this.#dispatchAll();
    for (const [key, origin] of this.#origins) {
      if (origin.isEmpty) {
        this.#origins.delete(key);
      }
    }
    if (this.#isClosing && this.stats.connections === 0) {
      for (const resolve of this.#onClosed.splice(0)) {
        resolve();
      }
    }
  }

  /** Resolves when all connections are closed: what is under way by then is cut off at the deadline. */
  close(deadlineMs: number): Promise<void> {
    this.#isClosing = true;
    for (const origin of this.#origins.values()) {
      for (const exchange of [...origin.queue]) {
        this.#take(origin, exchange);
        exchange.fail(clientClosed());
      }
      for (const controller of origin.dials.values()) {
        controller.abort(clientClosed());
      }
      for (const connection of [...origin.resting]) {
        connection.close();
      }
    }
    if (this.stats.connections === 0) {
      return Promise.resolve();
    }
    if (deadlineMs === 0) {
      this.#cutOff();
    } else {
      this.#reactor?.setTimer(deadlineMs, () => this.#cutOff());
    }
    return new Promise((resolve) => this.#onClosed.push(resolve));
  }

  #cutOff(): void {
    for (const origin of this.#origins.values()) {
      for (const connection of [...origin.connections]) {
        connection.fail(clientClosed());
      }
    }
    for (const { connection } of this.#leaving) {
      connection?.abort();
    }
  }
}
