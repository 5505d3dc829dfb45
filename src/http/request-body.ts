/**
 * The ways to read the body of a request, or of a client's response: a sink that gets each piece, the whole of it, or
 * an iterator. Made only for messages whose body somebody asks for. Nothing is kept here but what the consumer has
 * asked for.
 */

import { MillraceError } from '../errors.js';
import { BODY_DISCARDED, BODY_DONE, BODY_FLOWING, BODY_WAITING } from './body-state.js';

export const GONE_CODE = 'ERR_HTTP_GONE';
export const BODY_LENGTH_CODE = 'ERR_HTTP_BODY_LENGTH';

/** Gets the pieces of a body in order. */
export interface BodySink {
  /** `bytes` is borrowed until the call returns. */
  onData(bytes: Buffer): void;
  /** The body is complete. */
  onEnd?(): void;
  /** It will not be: the client went or broke the rules, or the response ended before. */
  onError?(error: Error): void;
}

/** The message that a body is of. */
export interface BodyOwner {
  /** One of BODY_…. */
  bodyState: number;
  readonly contentLength: number | undefined;
  pause(): void;
  resume(): void;
  discard(): void;
}

/** Where it comes from. */
export interface BodyOrigin {
  /** The body is wanted. */
  startBody(owner: BodyOwner): void;
  /** It is wanted again, or not at all any more. */
  goOn(): void;
}

export class RequestBody {
  readonly #request: BodyOwner;
  readonly #http: BodyOrigin;
  #sink: BodySink | undefined;

  constructor(request: BodyOwner, http: BodyOrigin) {
    this.#request = request;
    this.#http = http;
  }

  receive(sink: BodySink): void {
    if (typeof sink?.onData !== 'function') {
      throw new TypeError('Expected a sink with onData');
    }
    const request = this.#request;
    if (this.#sink !== undefined) {
      throw new Error('The body can be read only once');
    }
    this.#sink = sink;
    if (request.bodyState === BODY_WAITING) {
      request.bodyState = BODY_FLOWING;
      this.#http.startBody(request);
    } else if (request.bodyState === BODY_DONE) {
      // There was none.
      queueMicrotask(() => sink.onEnd?.());
    } else if (request.bodyState === BODY_DISCARDED) {
      queueMicrotask(() => sink.onError?.(gone()));
    }
  }

  onData(bytes: Buffer): void {
    this.#sink?.onData(bytes);
  }

  onEnd(): void {
    this.#sink?.onEnd?.();
  }

  onError(error: Error): void {
    this.#sink?.onError?.(error);
  }

  bytes(max: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const pieces: Buffer[] = [];
      let length = 0;
      if ((this.#request.contentLength ?? 0) > max) {
        reject(tooLarge(max));
        return;
      }
      this.receive({
        onData: (bytes) => {
          length += bytes.length;
          if (length > max) {
            pieces.length = 0;
            reject(tooLarge(max));
            this.#request.discard();
          } else {
            pieces.push(Buffer.from(bytes));
          }
        },
        onEnd: () => resolve(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, length)),
        onError: reject,
      });
    });
  }

  iterate(): AsyncIterableIterator<Buffer> {
    return new BodyIterator(this.#request, this);
  }
}

/** Pauses the peer while a piece waits for the consumer. */
class BodyIterator implements AsyncIterableIterator<Buffer> {
  readonly #request: BodyOwner;
  readonly #body: Pick<RequestBody, 'receive'>;
  readonly #pieces: Buffer[] = [];
  #waiting: { resolve(result: IteratorResult<Buffer>): void; reject(error: Error): void }[] = [];
  #isStarted = false;
  #isEnded = false;
  #error: Error | undefined;

  constructor(request: BodyOwner, body: Pick<RequestBody, 'receive'>) {
    this.#request = request;
    this.#body = body;
  }

  next(): Promise<IteratorResult<Buffer>> {
    if (!this.#isStarted) {
      this.#isStarted = true;
      this.#start();
    }
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      return Promise.resolve({ done: false, value: piece });
    }
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      this.#isEnded = true;
      return Promise.reject(error);
    }
    if (this.#isEnded) {
      return Promise.resolve({ done: true, value: undefined });
    }
    const promise = new Promise<IteratorResult<Buffer>>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
    this.#request.resume();
    return promise;
  }

  return(): Promise<IteratorResult<Buffer>> {
    this.#isEnded = true;
    this.#pieces.length = 0;
    this.#request.discard();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #start(): void {
    this.#body.receive({
      onData: (bytes) => {
        const piece = Buffer.from(bytes);
        const waiter = this.#waiting.shift();
        if (waiter === undefined) {
          this.#pieces.push(piece);
        } else {
          waiter.resolve({ done: false, value: piece });
        }
        if (this.#waiting.length === 0) {
          this.#request.pause();
        }
      },
      onEnd: () => {
        this.#isEnded = true;
        for (const { resolve } of this.#waiting.splice(0)) {
          resolve({ done: true, value: undefined });
        }
      },
      onError: (error) => {
        if (this.#isEnded) {
          return;
        }
        const waiters = this.#waiting.splice(0);
        if (waiters.length === 0) {
          this.#error = error;
        } else {
          this.#isEnded = true;
        }
        for (const { reject } of waiters) {
          reject(error);
        }
      },
    });
  }
}

/** The client went before the body was complete, or the body is no longer read. */
export function gone(): MillraceError {
  return new MillraceError(GONE_CODE, 'The rest of the body will not come');
}

function tooLarge(max: number): MillraceError {
  return new MillraceError(BODY_LENGTH_CODE, `The body is longer than ${max} bytes`);
}
