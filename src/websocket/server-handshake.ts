/**
 * The opening handshake on the server's side of a connection: gathers the request, has it decided on, answers. Bounded
 * in bytes (http-head.ts) and in time. Then the WebSocket takes its place as the connection's stage.
 */

import type { CloseReason, Connection } from '../api.js';
import type { Side, Timed } from './endpoint.js';
import { checkField, HeadReader } from './http-head.js';
import type { Agreement } from './permessage-deflate.js';
import { describeRequest, readRequest, type UpgradeRequest } from './request.js';
import type { Stage } from './stage.js';
import {
  accept,
  checkUpgrade,
  chooseProtocol,
  isRefusal,
  type Opening,
  type Refusal,
  refusalResponse,
  refuse,
  type UpgradeRules,
} from './upgrade.js';
import { WebSocketConnection } from './web-socket.js';

/** What `onUpgrade` returns: nothing to accept, a status of 400 and more to refuse, or how to accept. */
export type UpgradeDecision = void | UpgradeRefusal | UpgradeAcceptance;

export interface UpgradeRefusal {
  readonly status: number;
  readonly message?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface UpgradeAcceptance {
  /** One that the client offered, or empty for none. By default the first that `protocols` has. */
  readonly protocol?: string;
  /** Fields of the response beside those of the protocol, such as Set-Cookie. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Becomes the WebSocket's `context`. */
  readonly context?: unknown;
}

export interface OpeningRules extends UpgradeRules {
  readonly decide:
    | ((
        request: UpgradeRequest,
        connection: Connection,
      ) => UpgradeDecision | Promise<UpgradeDecision>)
    | undefined;
}

const NOTHING = Buffer.alloc(0);

export class ServerHandshake implements Stage, Timed {
  readonly #side: Side;
  readonly #connection: Connection;
  readonly #rules: OpeningRules;
  readonly #reader = new HeadReader();
  #opening: Opening | undefined = undefined;
  /** Received after the request while it is being decided on. */
  #rest: Buffer = NOTHING;
  /** Of an asynchronous hook, once it is there. */
  #outcome: { decision: UpgradeDecision } | { error: unknown } | undefined = undefined;
  #isDone = false;
  previous: Timed | undefined = undefined;
  next: Timed | undefined = undefined;
  deadline = 0;

  constructor(side: Side, connection: Connection, rules: OpeningRules) {
    this.#side = side;
    this.#connection = connection;
    this.#rules = rules;
    side.opening.add(this);
  }

  receive(memory: Buffer, start: number, end: number): void {
    const bytes = memory.subarray(start, end);
    if (this.#isDone) {
      return;
    }
    if (this.#opening !== undefined) {
      this.#rest = bytes.length === 0 ? this.#rest : Buffer.concat([this.#rest, bytes]);
      this.#conclude();
      return;
    }
    const headEnd = this.#reader.push(bytes);
    if (typeof headEnd === 'number') {
      this.#judge(bytes.subarray(headEnd));
    } else if (headEnd !== undefined) {
      this.#refuseHead(headEnd);
    }
  }

  #judge(rest: Buffer): void {
    const head = this.#reader.read();
    if (typeof head === 'string') {
      this.#refuseHead(head);
      return;
    }
    const values = readRequest(head);
    if (isRefusal(values)) {
      this.#refuse(values);
      return;
    }
    const opening = checkUpgrade(values, this.#rules);
    if (isRefusal(opening)) {
      this.#refuse(opening);
      return;
    }
    this.#opening = opening;
    const request = describeRequest(head, values.target, opening.offeredProtocols);
    const decision = this.#rules.decide?.(request, this.#connection);
    if (isPromise(decision)) {
      this.#rest = Buffer.from(rest);
      this.#wait(decision);
    } else {
      this.#finish(opening, decision, rest);
    }
  }

  /** Nothing is read until it is decided. The outcome is worked off in a hook, where what throws is caught. */
  #wait(decision: Promise<UpgradeDecision>): void {
    this.#connection.pause();
    const conclude = (outcome: { decision: UpgradeDecision } | { error: unknown }) => {
      this.#outcome = outcome;
      this.#connection.resume();
      this.#connection.wake();
    };
    decision.then(
      (value) => conclude({ decision: value }),
      (error: unknown) => conclude({ error }),
    );
  }

  #conclude(): void {
    const outcome = this.#outcome;
    if (outcome === undefined) {
      return;
    }
    if ('error' in outcome) {
      throw outcome.error;
    }
    this.#finish(this.#opening!, outcome.decision, this.#rest);
  }

  #finish(opening: Opening, decision: UpgradeDecision, rest: Buffer): void {
    if (decision !== undefined && 'status' in decision) {
      const { status, message = 'Refused', headers = {} } = decision;
      checkRefusal(status, headers);
      this.#refuse(refuse(status, message, headers));
      return;
    }
    const side = this.#side;
    const rules = this.#rules;
    const { protocol, headers } = readAcceptance(decision ?? {}, opening, rules);
    const { response, agreement } = accept(opening, protocol, rules, side.compressions, headers);
    this.#leave();
    this.#connection.write(response);
    const context = decision?.context;
    const socket = startSocket(side, this.#connection, protocol, agreement, context);
    if (rest.length > 0) {
      socket.receive(rest, 0, rest.length);
    }
  }

  #refuseHead(error: 'malformed' | 'too-large'): void {
    const isLarge = error === 'too-large';
    const message = isLarge ? 'The head of the request is too large' : 'The request is malformed';
    this.#refuse(refuse(isLarge ? 431 : 400, message));
  }

  #refuse(refusal: Refusal): void {
    this.#leave();
    this.#side.endpoint.counts.handshakesRefused += 1;
    this.#connection.write(refusalResponse(refusal));
    this.#connection.close();
  }

  #leave(): void {
    this.#isDone = true;
    this.#side.opening.remove(this);
  }

  drained(): void {}

  peerEnded(): void {
    this.#connection.end();
  }

  ended(_reason: CloseReason): void {
    this.#leave();
  }

  close(): void {
    this.#connection.close();
  }

  onSilence(): void {}

  onHandshakeDue(): void {
    this.#side.endpoint.counts.handshakesTimedOut += 1;
    this.#isDone = true;
    this.#connection.abort();
  }
}

function isPromise<Value>(value: Value | Promise<Value>): value is Promise<Value> {
  return typeof (value as Promise<Value> | undefined)?.then === 'function';
}

/** The connection speaks WebSocket from here on. Calls `onOpen`. */
export function startSocket(
  side: Side,
  connection: Connection,
  protocol: string,
  agreement: Agreement | undefined,
  context: unknown,
): WebSocketConnection {
  const compression = agreement && side.compressions?.for(agreement);
  const socket = new WebSocketConnection(side, connection, protocol, compression);
  socket.context = context;
  connection.context = socket;
  socket.open();
  return socket;
}

/** How a handshake is accepted; throws TypeError for what cannot be sent. */
export function readAcceptance(
  acceptance: UpgradeAcceptance,
  opening: Opening,
  rules: OpeningRules,
): { protocol: string; headers: Readonly<Record<string, string>> } {
  const { protocol = chooseProtocol(opening, rules), headers = {} } = acceptance;
  if (protocol !== '' && !opening.offeredProtocols.includes(protocol)) {
    throw new TypeError(`Cannot agree on the protocol ${protocol}: the client did not offer it`);
  }
  checkHeaders(headers);
  return { protocol, headers };
}

/** The fields that the handshake itself sets. */
const OWN_FIELDS = new Set(['upgrade', 'connection', 'content-length', 'transfer-encoding']);

function checkHeaders(headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    checkField(name, value);
    if (OWN_FIELDS.has(name.toLowerCase()) || name.toLowerCase().startsWith('sec-websocket-')) {
      throw new TypeError(`Cannot set ${name}: the handshake does`);
    }
  }
}

function checkRefusal(status: number, headers: Readonly<Record<string, string>>): void {
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    throw new RangeError(`Expected a status of 400 to 599 to refuse with, got ${String(status)}`);
  }
  checkHeaders(headers);
}
