/**
 * The opening handshake on the client's side of a connection (RFC 6455 section 4.1): sends the request, judges the
 * response. Bounded in bytes and time. Then the WebSocket takes its place as the connection's stage.
 */

import type { CloseReason, Connection } from '../api.js';
import { MillraceError } from '../errors.js';
import { acceptOf, makeKey } from './accept-key.js';
import type { DeflateSettings } from './deflate-options.js';
import type { Endpoint, Side, Timed } from './endpoint.js';
import { parseExtensions } from './extension-list.js';
import { HeadReader, type HttpHead, hasToken } from './http-head.js';
import { type Agreement, makeOffer, readAnswer } from './permessage-deflate.js';
import { joined, single } from './request.js';
import { startSocket } from './server-handshake.js';
import type { Stage } from './stage.js';
import type { WebSocketConnection } from './web-socket.js';

export interface ClientRequest {
  readonly scheme: 'ws' | 'wss';
  /** `host:port` as in the URL. */
  readonly host: string;
  /** Path and query. */
  readonly target: string;
  readonly protocols: readonly string[];
  /** Checked. */
  readonly headers: Readonly<Record<string, string>>;
  readonly context: unknown;
}

export class ClientHandshake implements Stage, Timed {
  readonly #endpoint: Endpoint;
  readonly #request: ClientRequest;
  readonly #key = makeKey();
  readonly #reader = new HeadReader();
  readonly #settle: (outcome: WebSocketConnection | Error) => void;
  #connection: Connection | undefined = undefined;
  #side: Side | undefined = undefined;
  #isDone = false;
  previous: Timed | undefined = undefined;
  next: Timed | undefined = undefined;
  deadline = 0;

  /** `settle` is called once: with the WebSocket, or with why there is none. */
  constructor(
    endpoint: Endpoint,
    request: ClientRequest,
    settle: (outcome: WebSocketConnection | Error) => void,
  ) {
    this.#endpoint = endpoint;
    this.#request = request;
    this.#settle = settle;
  }

  connected(connection: Connection): void {
    this.#connection = connection;
    this.#side = this.#endpoint.sideOf(connection.reactor);
    this.#side.opening.add(this);
    connection.write(this.#requestText());
  }

  #requestText(): string {
    const { host, target, protocols, headers } = this.#request;
    const { deflate } = this.#endpoint.settings;
    let text =
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${this.#key}\r\nSec-WebSocket-Version: 13\r\n`;
    if (protocols.length > 0) {
      text += `Sec-WebSocket-Protocol: ${protocols.join(', ')}\r\n`;
    }
    if (deflate !== undefined) {
      text += `Sec-WebSocket-Extensions: ${makeOffer(deflate)}\r\n`;
    }
    for (const [name, value] of Object.entries(headers)) {
      text += `${name}: ${value}\r\n`;
    }
    return `${text}\r\n`;
  }

  receive(memory: Buffer, start: number, end: number): void {
    const bytes = memory.subarray(start, end);
    if (this.#isDone) {
      return;
    }
    const headEnd = this.#reader.push(bytes);
    if (headEnd === undefined) {
      return;
    }
    if (typeof headEnd !== 'number') {
      this.#fail(`the response is ${headEnd}`);
      return;
    }
    const head = this.#reader.read();
    if (typeof head === 'string') {
      this.#fail(`the response is ${head}`);
    } else {
      this.#judge(head, bytes.subarray(headEnd));
    }
  }

  #judge(head: HttpHead, rest: Buffer): void {
    const status = statusOf(head.startLine);
    if (status === undefined) {
      this.#fail('the response is malformed');
    } else if (status !== 101) {
      this.#fail(`the server answered ${status}`);
    } else if (
      !hasToken(head.fields.get('upgrade'), 'websocket') ||
      !hasToken(head.fields.get('connection'), 'upgrade')
    ) {
      this.#fail('the response does not upgrade to websocket');
    } else if (single(head, 'sec-websocket-accept') !== acceptOf(this.#key)) {
      this.#fail('Sec-WebSocket-Accept is wrong');
    } else {
      this.#accept(head, rest);
    }
  }

  #accept(head: HttpHead, rest: Buffer): void {
    const protocol = joined(head, 'sec-websocket-protocol');
    if (protocol !== undefined && !this.#request.protocols.includes(protocol)) {
      this.#fail('the server chose a protocol that was not offered');
      return;
    }
    const extensions = joined(head, 'sec-websocket-extensions');
    const agreement = agreementOf(extensions, this.#endpoint.settings.deflate);
    if (agreement === 'wrong') {
      this.#fail('the server chose extensions that were not offered so');
      return;
    }
    this.#leave();
    const { context } = this.#request;
    const side = this.#side!;
    const socket = startSocket(side, this.#connection!, protocol ?? '', agreement, context);
    this.#settle(socket);
    if (rest.length > 0) {
      socket.receive(rest, 0, rest.length);
    }
  }

  #fail(why: string, cause?: unknown): void {
    this.#leave();
    this.#endpoint.counts.handshakesRefused += 1;
    const { scheme, host, target } = this.#request;
    const message = `Cannot open ${scheme}://${host}${target}: ${why}`;
    this.#settle(new MillraceError('ERR_WEBSOCKET_HANDSHAKE', message, { cause }));
    this.#connection?.abort();
  }

  #leave(): void {
    this.#isDone = true;
    this.#side?.opening.remove(this);
  }

  drained(): void {}

  peerEnded(): void {
    if (!this.#isDone) {
      this.#fail('the server closed the connection');
    }
  }

  ended(reason: CloseReason): void {
    if (!this.#isDone) {
      this.#fail(`the connection ended: ${reason.code}`, reason.error);
    }
  }

  close(): void {
    if (!this.#isDone) {
      this.#fail('the reactor is being closed');
    }
  }

  onSilence(): void {}

  onHandshakeDue(): void {
    this.#endpoint.counts.handshakesTimedOut += 1;
    this.#fail('the server takes too long');
  }
}

/** The status of a response's first line; undefined if it is none. */
function statusOf(startLine: string): number | undefined {
  const isLine = /^HTTP\/1\.1 [1-5]\d\d(?: |$)/.test(startLine);
  return isLine ? Number(startLine.slice(9, 12)) : undefined;
}

function agreementOf(
  header: string | undefined,
  deflate: DeflateSettings | undefined,
): Agreement | 'wrong' | undefined {
  if (header === undefined) {
    return undefined;
  }
  const answers = parseExtensions(header);
  if (answers === undefined || answers.length !== 1 || deflate === undefined) {
    return answers?.length === 0 ? undefined : 'wrong';
  }
  return readAnswer(answers[0], deflate) ?? 'wrong';
}
