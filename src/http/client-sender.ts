/**
 * Sends one request over a connection, as fast as the server takes it: at most one piece of a body is in hand, and the
 * next is asked for when the connection's queue has drained. A small request goes out in one call, without a promise.
 */

import type { Connection, WriteResult } from '../api.js';
import { type BodyInput, checkBody } from './body-input.js';
import { HttpClientError } from './client-error.js';
import { type OutgoingRequest, trailerText } from './client-request.js';

const PIECE_BYTES = 65_536;
const CRLF = Buffer.from('\r\n');
const LAST_CHUNK = '0\r\n';

export interface SenderOwner {
  /** All of the request is handed to the system. */
  onSent(): void;
  /** It will not be complete: the body's source failed. */
  onSendFailure(error: HttpClientError): void;
}

type Pieces = AsyncIterator<BodyInput> | Iterator<BodyInput>;

export class RequestSender {
  readonly #connection: Connection;
  readonly #request: OutgoingRequest;
  readonly #owner: SenderOwner;
  #isStopped = false;
  #pieces: Pieces | undefined;
  isDone = false;
  /** The head is out, and the body waits for 100. */
  isWaiting = false;

  constructor(connection: Connection, request: OutgoingRequest, owner: SenderOwner) {
    this.#connection = connection;
    this.#request = request;
    this.#owner = owner;
  }

  start(): void {
    const { head, body, stream, expectsContinue } = this.#request;
    if (expectsContinue) {
      this.isWaiting = true;
      if (this.#connection.write(head) === 'full') {
        this.#fail(noRoom());
      }
      return;
    }
    if (stream === undefined && (body?.length ?? 0) <= PIECE_BYTES) {
      const result =
        body === undefined ? this.#connection.write(head) : this.#connection.writev([head, body]);
      if (result === 'sent') {
        this.#finish();
        return;
      }
      if (result === 'queued') {
        void this.#drain();
        return;
      }
    }
    void this.#run(true);
  }

  /** The body may go: 100 came, or nothing did for long enough. */
  proceed(): void {
    if (this.isWaiting && !this.#isStopped) {
      this.isWaiting = false;
      void this.#run(false);
    }
  }

  /** Nothing more is sent, and the body's source is told so. */
  stop(): void {
    this.#isStopped = true;
    const pieces = this.#pieces;
    this.#pieces = undefined;
    if (pieces !== undefined) {
      void endPieces(pieces);
    }
  }

  async #run(withHead: boolean): Promise<void> {
    const { head, body, stream } = this.#request;
    try {
      if (withHead && !(await this.#put([head]))) {
        return;
      }
      const isWhole =
        stream === undefined ? await this.#putAll(body!, false) : await this.#putStream(stream);
      if (isWhole) {
        await this.#drain();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  async #drain(): Promise<void> {
    if ((await this.#connection.drained()) && !this.#isStopped) {
      this.#finish();
    }
  }

  #finish(): void {
    this.isDone = true;
    this.#owner.onSent();
  }

  #fail(error: unknown): void {
    if (this.#isStopped) {
      return;
    }
    this.stop();
    this.#owner.onSendFailure(
      error instanceof HttpClientError
        ? error
        : new HttpClientError('ERR_HTTP_REQUEST_BODY', 'The body of the request failed', {
            cause: error,
          }),
    );
  }

  /** False if the connection closed, or nobody wants it any more. */
  async #putStream(stream: NonNullable<OutgoingRequest['stream']>): Promise<boolean> {
    const { length, trailers } = this.#request;
    const pieces: Pieces =
      Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]();
    this.#pieces = pieces;
    let sent = 0;
    for (;;) {
      const { done, value } = await pieces.next();
      if (this.#isStopped) {
        return false;
      }
      if (done === true) {
        break;
      }
      checkBody(value);
      const bytes = typeof value === 'string' ? Buffer.from(value) : value;
      sent += bytes.length;
      if (length >= 0 && sent > length) {
        throw wrongLength(length);
      }
      if (!(await this.#putAll(bytes, length < 0))) {
        return false;
      }
    }
    this.#pieces = undefined;
    if (length >= 0) {
      if (sent !== length) {
        throw wrongLength(length);
      }
      return true;
    }
    return this.#put([Buffer.from(LAST_CHUNK + trailerText(trailers), 'latin1')]);
  }

  async #putAll(bytes: Uint8Array, isChunked: boolean): Promise<boolean> {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      const size = isChunked ? Buffer.from(`${piece.length.toString(16)}\r\n`) : undefined;
      if (!(await this.#put(size === undefined ? [piece] : [size, piece, CRLF]))) {
        return false;
      }
    }
    return true;
  }

  /** All of it, when there is room. */
  async #put(pieces: readonly Uint8Array[]): Promise<boolean> {
    for (;;) {
      if (this.#isStopped) {
        return false;
      }
      const result: WriteResult = this.#connection.writev(pieces);
      if (result === 'sent') {
        return true;
      }
      if (result === 'closed') {
        return false;
      }
      if (result === 'full' && this.#connection.queuedBytes === 0) {
        throw noRoom();
      }
      if (!(await this.#connection.drained())) {
        return false;
      }
      if (result === 'queued') {
        return true;
      }
    }
  }
}

async function endPieces(pieces: Pieces): Promise<void> {
  try {
    await pieces.return?.();
  } catch {
    // Nobody is interested in it any more.
  }
}

function wrongLength(length: number): HttpClientError {
  return new HttpClientError(
    'ERR_HTTP_REQUEST_BODY',
    `The body is not of ${length} bytes, as contentLength says`,
  );
}

function noRoom(): RangeError {
  return new RangeError('writeQueueMax of the connection is too small for a request');
}
