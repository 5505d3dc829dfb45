/**
 * What the HTTP connections of one reactor share: limits, counters, the scratch for responses, the Date, and one timer.
 *
 * The timer serves all of them. Connections on which something is under way are in `active` and looked at every second;
 * the idle ones wait in a list in the order in which they became idle, and only its head is looked at. No timer runs
 * while there is no connection.
 */

import type { Connection, Handler, Reactor } from '../api.js';
import type { WallClock } from '../base/wall-clock.js';
import { Conversation } from './conversation.js';
import { HeadTexts } from './head-texts.js';
import type { HttpConnection } from './http-connection.js';
import { formatHttpDate } from './http-date.js';
import type { Limits } from './limits.js';
import { Output } from './output.js';
import { REJECT_CODES, type RejectCode } from './rejects.js';
import type { HttpRequest } from './request.js';
import type { HttpResponse } from './response.js';
import type { ResponseOutput } from './response-output.js';

export const SWEEP_MS = 1_000;
/** Conversations kept for reuse. */
const SPARE_MAX = 64;

export type OnRequest = (request: HttpRequest, response: HttpResponse) => unknown;
export type OnUpgrade = (
  request: HttpRequest,
  connection: Connection,
  head: Buffer,
) => Handler | undefined | void;
export type OnError = (error: unknown, request: HttpRequest) => void;

/** Counters since the reactor's start. */
export interface HttpStats {
  connections: number;
  requests: number;
  /** Requests refused before a handler saw them, by reason. */
  readonly rejects: Record<RejectCode, number>;
  /** Handlers that threw or rejected. */
  handlerErrors: number;
  upgrades: number;
  /** Connections cut off: a response that its peer was too slow to take, or a body nobody wanted without an end. */
  slowReaders: number;
  undrained: number;
  idleTimeouts: number;
}

export function emptyStats(): HttpStats {
  const rejects = Object.fromEntries(REJECT_CODES.map((code) => [code, 0]));
  return {
    connections: 0,
    requests: 0,
    rejects: rejects as Record<RejectCode, number>,
    handlerErrors: 0,
    upgrades: 0,
    slowReaders: 0,
    undrained: 0,
    idleTimeouts: 0,
  };
}

export interface ServiceOptions {
  readonly limits: Limits;
  readonly onRequest: OnRequest;
  readonly onUpgrade: OnUpgrade | undefined;
  readonly onConnect: OnRequest | undefined;
  readonly onError: OnError;
  readonly serverName: string;
  readonly wallClock: WallClock;
}

export class Service {
  readonly reactor: Reactor;
  readonly options: ServiceOptions;
  readonly limits: Limits;
  readonly stats = emptyStats();
  readonly output = new Output();
  readonly headTexts = new HeadTexts();
  /** Whose responses are in `output`. */
  owner: ResponseOutput | undefined;
  /** Whole milliseconds of the reactor's clock, as of the last batch. */
  now = 0;
  readonly active = new Set<Conversation>();
  /** Connections that were handed to another handler. */
  readonly delegates = new Map<Connection, Handler>();
  isDraining = false;
  /** What handlers keep for this reactor. */
  readonly #shared = new Map<object, { close(): void }>();
  #commonFields = '';
  #noDateFields: string;
  #dateUntil = -1;
  #timer = -1;
  #timerAt = 0;
  #first: HttpConnection | undefined;
  #last: HttpConnection | undefined;
  readonly #spare: Conversation[] = [];

  constructor(reactor: Reactor, options: ServiceOptions) {
    this.reactor = reactor;
    this.options = options;
    this.limits = options.limits;
    this.#noDateFields = options.serverName === '' ? '' : `Server: ${options.serverName}\r\n`;
  }

  /** Notes the time of a batch. */
  beginBatch(): void {
    const now = Math.floor(this.reactor.now);
    this.now = now;
    if (now >= this.#dateUntil) {
      const wall = this.options.wallClock();
      // The field has whole seconds: it is right until the next one begins.
      this.#dateUntil = now + 1_000 - (Math.floor(wall) % 1_000);
      this.#commonFields = `Date: ${formatHttpDate(wall)}\r\n${this.#noDateFields}`;
    }
  }

  /** Fields that each response has: Date, unless it has one, and Server, if wanted. */
  commonFields(hasDate: boolean): string {
    return hasDate ? this.#noDateFields : this.#commonFields;
  }

  /** See HttpRequest.shared. */
  shared<Value extends { close(): void }>(key: object, make: (reactor: Reactor) => Value): Value {
    let value = this.#shared.get(key) as Value | undefined;
    if (value === undefined) {
      value = make(this.reactor);
      this.#shared.set(key, value);
    }
    return value;
  }

  /** The reactor ends, after its last connection. */
  end(): void {
    for (const value of this.#shared.values()) {
      value.close();
    }
    this.#shared.clear();
  }

  takeConversation(http: HttpConnection): Conversation {
    const conversation = this.#spare.pop() ?? new Conversation(this);
    conversation.open(http);
    return conversation;
  }

  /** The conversation is over, and its connection idle or gone. */
  retire(conversation: Conversation, http: HttpConnection, isInUse: boolean): void {
    if (this.active.size > 0) {
      this.active.delete(conversation);
    }
    this.touch(http);
    conversation.reader.restart();
    if (!isInUse && this.#spare.length < SPARE_MAX) {
      this.#spare.push(conversation);
    }
  }

  // Connections.

  add(http: HttpConnection): void {
    this.beginBatch();
    http.stamp = this.now;
    this.stats.connections += 1;
    this.#append(http);
    this.#schedule();
  }

  remove(http: HttpConnection): void {
    this.stats.connections -= 1;
    this.#unlink(http);
    if (this.stats.connections === 0) {
      this.#clearTimer();
    }
  }

  #append(http: HttpConnection): void {
    http.previous = this.#last;
    http.next = undefined;
    if (this.#last === undefined) {
      this.#first = http;
    } else {
      this.#last.next = http;
    }
    this.#last = http;
  }

  #unlink(http: HttpConnection): void {
    if (http.previous === undefined) {
      this.#first = http.next;
    } else {
      http.previous.next = http.next;
    }
    if (http.next === undefined) {
      this.#last = http.previous;
    } else {
      http.next.previous = http.previous;
    }
    http.previous = undefined;
    http.next = undefined;
  }

  /** From now on the conversation is looked at every second. */
  activate(conversation: Conversation): void {
    if (!this.active.has(conversation)) {
      this.active.add(conversation);
      conversation.pace.begin(this.now);
      if (this.#timer < 0 || this.#timerAt > this.now + SWEEP_MS) {
        this.#clearTimer();
        this.#schedule();
      }
    }
  }

  // The timer.

  #schedule(): void {
    if (this.#timer >= 0 || this.#first === undefined) {
      return;
    }
    const due = this.active.size > 0 ? 0 : this.#first.stamp + this.limits.idleTimeoutMs - this.now;
    const delay = Math.max(due, SWEEP_MS);
    this.#timerAt = this.now + delay;
    this.#timer = this.reactor.setTimer(delay, () => this.#sweep());
  }

  #clearTimer(): void {
    if (this.#timer >= 0) {
      this.reactor.clearTimer(this.#timer);
      this.#timer = -1;
    }
  }

  #sweep(): void {
    this.#timer = -1;
    this.beginBatch();
    try {
      for (const conversation of this.active) {
        this.#check(conversation);
      }
      this.#expireIdle();
    } finally {
      // Whatever a hook of the user's threw: the others' deadlines stand.
      this.#schedule();
    }
  }

  #check(conversation: Conversation): void {
    const verdict = conversation.pace.check(conversation, this.now);
    switch (verdict) {
      case undefined:
        return;
      case 'slow-reader':
        this.stats.slowReaders += 1;
        conversation.connection.abort();
        return;
      case 'undrained':
        this.stats.undrained += conversation.isFinishing ? 0 : 1;
        conversation.connection.close();
        return;
      default:
        conversation.reject(verdict);
    }
  }

  /** The connection has become idle: it is the last to expire. */
  touch(http: HttpConnection): void {
    http.stamp = this.now;
    if (this.#last !== http) {
      this.#unlink(http);
      this.#append(http);
    }
  }

  #expireIdle(): void {
    const since = this.now - this.limits.idleTimeoutMs;
    for (let left = this.stats.connections; left > 0; left -= 1) {
      const http = this.#first;
      if (http === undefined || http.stamp > since) {
        return;
      }
      // Also if it is to be closed: it stays in the list until it is.
      this.touch(http);
      if (http.isIdle) {
        this.stats.idleTimeouts += 1;
        http.connection.close();
      }
    }
  }

  /** The server closes: an idle connection does so now, and each other one after what it has under way. */
  beginDrain(http: HttpConnection): void {
    this.isDraining = true;
    if (http.isIdle) {
      http.connection.close();
    }
  }
}
