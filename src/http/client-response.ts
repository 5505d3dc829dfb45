/**
 * What a program sees of a response. The head is a copy and stays readable; the body is read from the socket when it is
 * asked for, so that a program that is slow, or does not care, holds the server back.
 */

import type { Connection, Handler } from '../api.js';
import { BODY_DISCARDED, BODY_DONE } from './body-state.js';
import type { ContentCoding } from './content-coding.js';
import { MessageBody } from './message-body.js';
import { type BodyOrigin, type BodySink, gone } from './request-body.js';
import { BODY_NONE, BODY_OF_LENGTH, BODY_TUNNEL, BODY_UNTIL_CLOSE } from './response-framing.js';
import type { ResponseHead } from './response-head.js';
import { checkSuccessor } from './switching.js';

/** The connection of a response after which HTTP is over. */
export interface Tunnel {
  /** Gives it away; undefined if it is gone. */
  leave(handler: Handler): Connection | undefined;
  /** Nobody wants it. */
  fail(error: Error): void;
}

const NO_FIELDS: ReadonlyMap<string, string> = new Map();

export class HttpClientResponse extends MessageBody {
  readonly #origin: BodyOrigin;
  readonly #head: ResponseHead;
  /** 200 to 999. */
  readonly status: number;
  /** Of the request that this answers: another one than was asked for after redirects, which it counts. */
  url = '';
  redirects = 0;
  /**
   * Bytes of the body; undefined if only the server knows, or codings are undone. 0 without a body, whatever
   * Content-Length says then.
   */
  readonly contentLength: number | undefined;
  /** Content codings that were undone, the last first; the fields are still those that the server sent. */
  decodedFrom: readonly ContentCoding[] = [];
  #trailers: ReadonlyMap<string, string> = NO_FIELDS;
  #error: Error | undefined;
  /** Whether the connection is the program's now, not HTTP any more: after 101, and a CONNECT that succeeded. */
  readonly isTunnel: boolean;
  #tunnel: Tunnel | undefined;

  /** Made by the client. */
  constructor(origin: BodyOrigin, head: ResponseHead, bodyKind: number, declaredLength: number) {
    super();
    this.#origin = origin;
    this.#head = head;
    this.status = head.status;
    this.contentLength =
      bodyKind === BODY_NONE ? 0 : bodyKind === BODY_OF_LENGTH ? declaredLength : undefined;
    this.isTunnel = bodyKind === BODY_TUNNEL;
    if (this.isTunnel) {
      this.contentLength = 0;
      this.bodyState = BODY_DONE;
    }
  }

  /**
   * After `isTunnel`: gives the connection to a handler, push or pull, with what came after the response; see
   * Connection.handOver. Without one, iterate over it at once. From then on it is none of the client's. Undefined if it
   * was closed meanwhile: until this is called the server waits, for `unreadTimeoutMs` at most.
   */
  takeOver(handler: Handler = {}): Connection | undefined {
    if (!this.isTunnel) {
      throw new Error(
        `Cannot take over the connection: the response is ${this.status}, see isTunnel`,
      );
    }
    checkSuccessor(handler);
    const tunnel = this.#tunnel;
    this.#tunnel = undefined;
    return tunnel?.leave(handler);
  }

  /** Nobody wants the rest, or the tunnel. */
  override discard(): void {
    const tunnel = this.#tunnel;
    this.#tunnel = undefined;
    tunnel?.fail(gone());
    super.discard();
  }

  protected get origin(): BodyOrigin {
    return this.#origin;
  }

  /** The reason phrase as latin1: whatever the server wrote. */
  get reason(): string {
    return this.#head.reason;
  }

  get httpVersion(): '1.0' | '1.1' {
    return this.#head.minorVersion === 1 ? '1.1' : '1.0';
  }

  /** Whether the status is 200 to 299. */
  get isSuccess(): boolean {
    return this.status < 300;
  }

  /**
   * A field's value as latin1 text, several of one name joined by `, ` (RFC 9110 5.3): for Set-Cookie see
   * `rawHeaders`. `name` in lower case.
   */
  header(name: string): string | undefined {
    return this.#head.value(name);
  }

  /** All fields, by name in lower case. Made anew at each call. */
  get headers(): Map<string, string> {
    return this.#head.toMap();
  }

  /** The fields one by one, as they were sent. */
  *rawHeaders(): IterableIterator<readonly [name: string, value: string]> {
    for (let i = 0; i < this.#head.count; i += 1) {
      yield [this.#head.nameAt(i), this.#head.valueAt(i)];
    }
  }

  /**
   * Fields that followed a chunked body, by name in lower case; empty before its end. Those that would change what came
   * before (RFC 9110 6.5.1) are left out.
   */
  get trailers(): ReadonlyMap<string, string> {
    return this.#trailers;
  }

  /** Asks for the body, piece by piece, each borrowed until the sink returns. */
  override receive(sink: BodySink): void {
    const error = this.#error;
    if (error !== undefined && this.body === undefined) {
      queueMicrotask(() => sink.onError?.(error));
      return;
    }
    super.receive(sink);
  }

  /**
   * The whole body.
   *
   * @throws MillraceError `ERR_HTTP_BODY_LENGTH` if it is longer than `max` bytes (1 MiB); HttpClientError if it does
   * not come; the signal's reason.
   */
  override bytes(max = 1_048_576): Promise<Buffer> {
    if (this.#error !== undefined && this.body === undefined) {
      return Promise.reject(this.#error);
    }
    const bytes = super.bytes(max);
    if ((this.contentLength ?? 0) > max) {
      this.discard();
    }
    return bytes;
  }

  /** The pieces of the body, each a copy that the consumer owns; a slow consumer slows the server down. */
  override [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    const error = this.#error;
    if (error !== undefined && this.body === undefined) {
      return failing(error);
    }
    return super[Symbol.asyncIterator]();
  }

  // For the client.

  /** The same head, with a body that comes from elsewhere. */
  withBody(origin: BodyOrigin, codings: readonly ContentCoding[]): HttpClientResponse {
    const response = new HttpClientResponse(origin, this.#head, BODY_UNTIL_CLOSE, -1);
    response.decodedFrom = codings;
    response.url = this.url;
    return response;
  }

  openTunnel(tunnel: Tunnel): void {
    this.#tunnel = tunnel;
  }

  onEnd(trailers: ReadonlyMap<string, string>): void {
    this.#trailers = trailers;
    if (this.bodyState !== BODY_DISCARDED) {
      this.bodyState = BODY_DONE;
      this.body?.onEnd();
    }
  }

  /** What is missing of the body will not come. */
  onFailure(error: Error): void {
    if (this.bodyState !== BODY_DONE) {
      this.bodyState = BODY_DISCARDED;
      this.#error = error;
      this.body?.onError(error);
    }
  }
}

async function* failing(error: Error): AsyncGenerator<Buffer> {
  yield* [];
  throw error;
}
