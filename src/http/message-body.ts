/**
 * What a request and a client's response have in common: a body that is read from the socket when the program asks for
 * it, so that one that is slow, or does not care, holds the other side back.
 */

import {
  BODY_DISCARDED,
  BODY_DONE,
  BODY_FLOWING,
  BODY_PAUSED,
  BODY_WAITING,
} from './body-state.js';
import { type BodyOrigin, type BodySink, gone, RequestBody } from './request-body.js';

export abstract class MessageBody {
  /** Internal: one of BODY_…. */
  bodyState: number = BODY_WAITING;
  protected body: RequestBody | undefined;

  /** Where the body comes from. */
  protected abstract get origin(): BodyOrigin;
  /** Bytes of the body; undefined if only the other side knows. */
  abstract get contentLength(): number | undefined;

  protected bodyOf(): RequestBody {
    this.body ??= new RequestBody(this, this.origin);
    return this.body;
  }

  /** Whether all of the message has been received, and was not discarded before. */
  get isComplete(): boolean {
    return this.bodyState === BODY_DONE;
  }

  /**
   * Asks for the body, piece by piece, each borrowed until the sink returns. Until something asks, the body is not read
   * from the socket. A server sends `100 Continue` now if the client waits for that.
   */
  receive(sink: BodySink): void {
    this.bodyOf().receive(sink);
  }

  /** Stops the pieces, and with them the other side. */
  pause(): void {
    if (this.bodyState === BODY_FLOWING) {
      this.bodyState = BODY_PAUSED;
    }
  }

  resume(): void {
    if (this.bodyState === BODY_PAUSED) {
      this.bodyState = BODY_FLOWING;
      this.origin.goOn();
    }
  }

  /**
   * Nobody wants the rest: it is read and dropped within `drainBytesMax`, or the connection is closed. Whoever was
   * reading it is told that it will not come.
   */
  discard(): void {
    if (this.bodyState !== BODY_DONE && this.bodyState !== BODY_DISCARDED) {
      this.bodyState = BODY_DISCARDED;
      const { body } = this;
      this.body = undefined;
      body?.onError(gone());
      this.origin.goOn();
    }
  }

  /**
   * The whole body. Rejects with MillraceError `ERR_HTTP_BODY_LENGTH` if it is longer than `max` bytes (1 MiB), and if
   * it does not come.
   */
  bytes(max = 1_048_576): Promise<Buffer> {
    return this.bodyOf().bytes(max);
  }

  /** The whole body as UTF-8. */
  async text(max?: number): Promise<string> {
    return (await this.bytes(max)).toString('utf8');
  }

  /** The whole body as JSON. Rejects with SyntaxError if it is none. */
  async json(max?: number): Promise<unknown> {
    return JSON.parse(await this.text(max));
  }

  /** The pieces of the body, each a copy that the consumer owns; a slow consumer slows the other side down. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    return this.bodyOf().iterate();
  }

  // For the connection.

  onBody(bytes: Buffer): void {
    this.body?.onData(bytes);
  }
}
