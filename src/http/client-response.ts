/**
 * What a program sees of a response. The head is a copy and stays readable; the body is read from the socket when it is
 * asked for, so that a program that is slow, or does not care, holds the server back.
 */

import {
  BODY_DISCARDED,
  BODY_DONE,
  BODY_FLOWING,
  BODY_PAUSED,
  BODY_WAITING,
} from './body-state.js';
import { type BodyOrigin, type BodySink, gone, RequestBody } from './request-body.js';
import { BODY_NONE, BODY_OF_LENGTH } from './response-framing.js';
import type { ResponseHead } from './response-head.js';

/** What it needs of its connection. */
export interface ResponseOrigin extends BodyOrigin<HttpClientResponse> {
  goOn(): void;
}

const NO_FIELDS: ReadonlyMap<string, string> = new Map();

export class HttpClientResponse {
  readonly #origin: ResponseOrigin;
  readonly #head: ResponseHead;
  /** 200 to 999. */
  readonly status: number;
  /** Of the request that this answers: another one than was asked for after redirects, which it counts. */
  url = '';
  redirects = 0;
  /** Bytes of the body; undefined if only the server knows. 0 without a body, whatever Content-Length says then. */
  readonly contentLength: number | undefined;
  /** Internal: one of BODY_…. */
  bodyState: number = BODY_WAITING;
  #body: RequestBody<HttpClientResponse> | undefined;
  #trailers: ReadonlyMap<string, string> = NO_FIELDS;
  #error: Error | undefined;

  /** Made by the client. */
  constructor(
    origin: ResponseOrigin,
    head: ResponseHead,
    bodyKind: number,
    declaredLength: number,
  ) {
    this.#origin = origin;
    this.#head = head;
    this.status = head.status;
    this.contentLength =
      bodyKind === BODY_NONE ? 0 : bodyKind === BODY_OF_LENGTH ? declaredLength : undefined;
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

  /** Whether all of the response has been received, and was not discarded. */
  get isComplete(): boolean {
    return this.bodyState === BODY_DONE;
  }

  /** Asks for the body, piece by piece, each borrowed until the sink returns. */
  receive(sink: BodySink): void {
    const error = this.#error;
    if (error !== undefined && this.#body === undefined) {
      queueMicrotask(() => sink.onError?.(error));
      return;
    }
    this.#bodyOf().receive(sink);
  }

  /** Stops the pieces, and with them the server. */
  pause(): void {
    if (this.bodyState === BODY_FLOWING) {
      this.bodyState = BODY_PAUSED;
    }
  }

  resume(): void {
    if (this.bodyState === BODY_PAUSED) {
      this.bodyState = BODY_FLOWING;
      this.#origin.goOn();
    }
  }

  /** Nobody wants the rest: it is read and dropped within `drainBytesMax`, or the connection is closed. */
  discard(): void {
    if (this.bodyState !== BODY_DONE && this.bodyState !== BODY_DISCARDED) {
      this.bodyState = BODY_DISCARDED;
      const body = this.#body;
      this.#body = undefined;
      body?.onError(gone());
      this.#origin.goOn();
    }
  }

  /**
   * The whole body.
   *
   * @throws MillraceError `ERR_HTTP_BODY_LENGTH` if it is longer than `max` bytes (1 MiB); HttpClientError if it does
   * not come; the signal's reason.
   */
  bytes(max = 1_048_576): Promise<Buffer> {
    if (this.#error !== undefined && this.#body === undefined) {
      return Promise.reject(this.#error);
    }
    const bytes = this.#bodyOf().bytes(max);
    if ((this.contentLength ?? 0) > max) {
      this.discard();
    }
    return bytes;
  }

  /** The whole body as UTF-8. */
  async text(max?: number): Promise<string> {
    return (await this.bytes(max)).toString('utf8');
  }

  /** The whole body as JSON. Rejects with SyntaxError if it is none. */
  async json(max?: number): Promise<unknown> {
    return JSON.parse(await this.text(max));
  }

  /** The pieces of the body, each a copy that the consumer owns; a slow consumer slows the server down. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    const error = this.#error;
    if (error !== undefined && this.#body === undefined) {
      return failing(error);
    }
    return this.#bodyOf().iterate();
  }

  #bodyOf(): RequestBody<HttpClientResponse> {
    this.#body ??= new RequestBody<HttpClientResponse>(this, this.#origin);
    return this.#body;
  }

  // For the client.

  onBody(bytes: Buffer): void {
    this.#body?.onData(bytes);
  }

  onEnd(trailers: ReadonlyMap<string, string>): void {
    this.#trailers = trailers;
    if (this.bodyState !== BODY_DISCARDED) {
      this.bodyState = BODY_DONE;
      this.#body?.onEnd();
    }
  }

  /** What is missing of the body will not come. */
  onFailure(error: Error): void {
    if (this.bodyState !== BODY_DONE) {
      this.bodyState = BODY_DISCARDED;
      this.#error = error;
      this.#body?.onError(error);
    }
  }
}

async function* failing(error: Error): AsyncGenerator<Buffer> {
  yield* [];
  throw error;
}
