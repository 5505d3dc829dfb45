/**
 * The connections of a client, by origin, and the requests that wait for one. A connection at rest is used before a new
 * one is opened, the one that rested last first; where a bound is reached, requests wait in order, up to a bound too.
 */

import type { Connection, DialOptions, Handler, Reactor } from '../api.js';
import { ClientConnection, type ClientPool } from './client-connection.js';
import { HttpClientError, timedOut } from './client-error.js';
import type { ClientExchange } from './client-exchange.js';
import type { ClientLimits } from './client-limits.js';
import { ClientOrigin } from './client-origin.js';
import { emptyClientStats } from './client-stats.js';

/** Connects for an origin. */
export type OriginDial = (origin: ClientOrigin, options: DialOptions) => Promise<Connection>;

const HANDLER: Handler<ClientConnection> = {
  onOpen(connection) {
    connection.context.open(connection);
  },
  onData(connection, bytes) {
    connection.context.receive(bytes);
  },
  onEnd(connection) {
    connection.context.onPeerEnd();
  },
  onClose(connection, reason) {
    connection.context.onClose(reason.error);
  },
  onServerClose(connection) {
    connection.context.goAway();
  },
};

export class Pool implements ClientPool {
  readonly limits: ClientLimits;
  readonly stats = emptyClientStats();
  readonly #dial: OriginDial;
  readonly #options: DialOptions;
  readonly #origins = new Map<string, ClientOrigin>();
  /** Where times in the queue are measured: that of the connection that was opened last. */
  #reactor: Reactor | undefined;
  #dialing = 0;
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
      exchange.fail(closed());
      return;
    }
    const { key } = exchange.request;
    let origin = this.#origins.get(key);
    if (origin === undefined) {
      origin = new ClientOrigin(exchange.request);
      this.#origins.set(key, origin);
    }
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
      if (each.carries(exchange)) {
        each.fail(error);
        return;
      }
    }
    exchange.fail(error);
  }

  // Connections.

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
    if (exchange !== undefined) {
      this.#take(origin, exchange);
      connection.start(exchange);
      return;
    }
    origin.resting.push(connection);
    this.stats.idle += 1;
    this.#dispatchAll();
  }

  onGone(connection: ClientConnection): void {
    const origin = this.#origins.get(connection.key);
    if (origin?.connections.delete(connection) === true) {
      this.stats.idle -= origin.forgetResting(connection) ? 1 : 0;
    }
  }

  onClosed(connection: ClientConnection): void {
    this.onGone(connection);
    this.#afterConnection();
  }

  sendAgain(exchange: ClientExchange): void {
    exchange.isRetried = true;
    this.stats.retries += 1;
    const origin = this.#origins.get(exchange.request.key);
    if (this.#isClosing || origin === undefined) {
      this.stats.requests -= 1;
      this.add(exchange);
      return;
    }
    origin.queue.unshift(exchange);
    this.stats.queued += 1;
    this.#startQueueTimer(origin, exchange);
    this.#dispatch(origin);
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
    while (origin.queue.length > origin.dials.size && this.#hasRoom(origin)) {
      this.#open(origin);
    }
  }

  /** Whether one more connection may be opened; one at rest makes room for it. */
  #hasRoom(origin: ClientOrigin): boolean {
    if (origin.connections.size + origin.dials.size >= this.limits.connectionsPerOrigin) {
      // Only a request that may not go on it is left waiting beside a connection at rest.
      origin.resting[0]?.close();
      if (origin.connections.size + origin.dials.size >= this.limits.connectionsPerOrigin) {
        return false;
      }
    }
    if (this.stats.connections < this.limits.connectionsMax) {
      return true;
    }
    for (const other of this.#origins.values()) {
      if (other.resting.length > 0) {
        // When it has closed, there is room.
        other.resting[0]!.close();
        return false;
      }
    }
    return false;
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
      allowHalfOpen: true,
      handler: HANDLER as Handler,
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
        exchange.fail(closed());
      }
      for (const controller of origin.dials.values()) {
        controller.abort(closed());
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
        connection.fail(closed());
      }
    }
  }
}

function closed(): HttpClientError {
  return new HttpClientError('ERR_HTTP_CLIENT_CLOSED', 'The client is closed');
}
