/** One request of a client from the call to the last byte of its response, whatever connections it meets. */

import type { OutgoingRequest } from './client-request.js';
import type { HttpClientResponse } from './client-response.js';

export class ClientExchange {
  readonly request: OutgoingRequest;
  readonly promise: Promise<HttpClientResponse>;
  /** It was sent before, on a connection that was closed: now it gets one of its own. */
  isRetried = false;
  /** The larger, the later it was asked for: the pool's. */
  order = 0;
  /** Of the time in the queue; -1 if there is none. */
  queueTimer = -1;
  isOver = false;
  #response: HttpClientResponse | undefined;
  #resolve: (response: HttpClientResponse) => void = () => {};
  #reject: (error: unknown) => void = () => {};
  readonly #onAbort: () => void;

  /** `onAbort` is called when the request's signal fires before it is over. */
  constructor(request: OutgoingRequest, onAbort: (exchange: ClientExchange) => void) {
    this.request = request;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#onAbort = () => onAbort(this);
    request.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get response(): HttpClientResponse | undefined {
    return this.#response;
  }

  /** The head is there. */
  respond(response: HttpClientResponse): void {
    this.#response = response;
    this.#resolve(response);
  }

  /** All of the response is there. */
  end(): void {
    this.isOver = true;
    this.request.signal?.removeEventListener('abort', this.#onAbort);
  }

  /** Nothing more of it will come. */
  fail(error: unknown): void {
    if (this.isOver) {
      return;
    }
    this.end();
    if (this.#response === undefined) {
      this.#reject(error);
    } else {
      this.#response.onFailure(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
