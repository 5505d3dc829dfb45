/**
 * What the WebSockets of one handler or client have in common: options, hooks, counts; and on each reactor the lists of
 * their deadlines and the compression contexts that they share.
 */

import type { Reactor } from '../api.js';
import type { WebSocketHooks, WebSocketOptions } from './api.js';
import { Compressions } from './compression.js';
import { type Deadlined, DeadlineList } from './deadline-list.js';
import { InflateQueue } from './inflate-queue.js';
import type { Receiver } from './receiver.js';
import { type Hooks, readHooks, readSettings, type WebSocketSettings } from './settings.js';

/** What has deadlines: an opening handshake, and then a WebSocket. */
export interface Timed extends Deadlined {
  /** Nothing was heard for `pingIntervalMs`. */
  onSilence(): void;
  /** The opening or the close handshake took too long. */
  onHandshakeDue(): void;
}

export class Counts {
  sockets = 0;
  opened = 0;
  handshakesRefused = 0;
  handshakesTimedOut = 0;
  messagesReceived = 0;
  messagesSent = 0;
  messagesRefused = 0;
  violations = 0;
  pongsCoalesced = 0;
  pingTimeouts = 0;
  closeTimeouts = 0;
}

/** An endpoint on one reactor. */
export class Side {
  readonly endpoint: Endpoint;
  /** Open sockets, the longest silent ones first. */
  readonly open: DeadlineList<Timed>;
  readonly closing: DeadlineList<Timed>;
  readonly opening: DeadlineList<Timed>;
  readonly compressions: Compressions | undefined;
  /** Receivers that no connection needs now, for those without compression. */
  readonly receivers: Receiver[] = [];

  constructor(endpoint: Endpoint, reactor: Reactor) {
    this.endpoint = endpoint;
    const { pingIntervalMs, closeTimeoutMs, handshakeTimeoutMs, deflate } = endpoint.settings;
    const onHandshakeDue = (item: Timed) => item.onHandshakeDue();
    this.open = new DeadlineList(reactor, pingIntervalMs, (item: Timed) => item.onSilence());
    this.closing = new DeadlineList(reactor, closeTimeoutMs, onHandshakeDue);
    this.opening = new DeadlineList(reactor, handshakeTimeoutMs, onHandshakeDue);
    this.compressions =
      deflate === undefined ? undefined : new Compressions(deflate, new InflateQueue(reactor));
  }
}

export class Endpoint {
  readonly settings: WebSocketSettings;
  readonly hooks: Hooks;
  readonly counts: Counts = new Counts();
  readonly #sides = new WeakMap<Reactor, Side>();
  #lastReactor: Reactor | undefined;
  #lastSide: Side | undefined;

  constructor(options: WebSocketOptions, hooks: WebSocketHooks<never>, isClient: boolean) {
    this.settings = readSettings(options, isClient);
    this.hooks = readHooks(hooks);
  }

  /** Its part on a reactor, made when first asked for. */
  sideOf(reactor: Reactor): Side {
    if (reactor === this.#lastReactor) {
      return this.#lastSide!;
    }
    let side = this.#sides.get(reactor);
    if (side === undefined) {
      side = new Side(this, reactor);
      this.#sides.set(reactor, side);
    }
    this.#lastReactor = reactor;
    this.#lastSide = side;
    return side;
  }

  /** The reactor has ended: frees what its sockets shared. */
  leave(reactor: Reactor): void {
    this.#sides.get(reactor)?.compressions?.end();
    this.#sides.delete(reactor);
    this.#lastReactor = undefined;
    this.#lastSide = undefined;
  }
}
