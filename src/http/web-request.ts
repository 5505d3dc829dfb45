/**
 * A web standard Request that is made of one of ours as it is asked for: a handler that reads `url` and `text()` pays
 * for these, and not for Node's Request, which takes longer than the rest of the request together. It is an instance of
 * Request, and where only Node's own will do (formData, blob, clone), that one is made.
 *
 * Node's `fetch(request)` and `new Request(request)` look inside of their own objects: give them
 * `new Request(request.url, request)`.
 */

import type { HttpRequest } from './request.js';
import type { HttpResponse } from './response.js';

export class WebRequest {
  readonly #request: HttpRequest;
  readonly #response: HttpResponse;
  readonly #scheme: string;
  readonly #wholeBytesMax: number;
  #url: string | undefined;
  #headers: Headers | undefined;
  #body: ReadableStream<Uint8Array> | null | undefined;
  #isUsed = false;
  #controller: AbortController | undefined;
  #real: Request | undefined;

  constructor(request: HttpRequest, response: HttpResponse, scheme: string, wholeBytesMax: number) {
    this.#request = request;
    this.#response = response;
    this.#scheme = scheme;
    this.#wholeBytesMax = wholeBytesMax;
  }

  get method(): string {
    return this.#request.method;
  }

  /** Absolute: of Host and target, as the client sent them. */
  get url(): string {
    this.#url ??= this.#makeUrl();
    return this.#url;
  }

  #makeUrl(): string {
    const { target } = this.#request;
    if (target.charCodeAt(0) !== 0x2f && target !== '*') {
      return target;
    }
    const { localAddress } = this.#request.connection;
    // HTTP/1.0 knows no Host, and a Unix socket has no name that a URL could have.
    const own = localAddress.startsWith('tcp://')
      ? localAddress.slice('tcp://'.length)
      : 'localhost';
    const authority = this.#request.header('host') || own;
    return `${this.#scheme}://${authority}${target === '*' ? '/' : target}`;
  }

  get headers(): Headers {
    if (this.#headers === undefined) {
      this.#headers = new Headers();
      for (const [name, value] of this.#request.rawHeaders()) {
        this.#headers.append(name, value);
      }
    }
    return this.#headers;
  }

  get body(): ReadableStream<Uint8Array> | null {
    if (this.#body === undefined) {
      this.#body = this.#request.hasBody ? this.#stream() : null;
    }
    return this.#body;
  }

  /** Piece by piece as its consumer asks: a slow one slows the client down. */
  #stream(): ReadableStream<Uint8Array> {
    const pieces = this.#request[Symbol.asyncIterator]();
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          this.#isUsed = true;
          const { done, value } = await pieces.next();
          if (done === true) {
            controller.close();
          } else {
            controller.enqueue(new Uint8Array(value));
          }
        },
        cancel: async () => {
          await pieces.return?.();
        },
      },
      { highWaterMark: 0 },
    );
  }

  get bodyUsed(): boolean {
    return this.#real?.bodyUsed ?? this.#isUsed;
  }

  /** Aborted when the client goes before it has its response. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      if (this.#response.isCut) {
        controller.abort();
      } else {
        this.#response.onClose(() => controller.abort());
      }
    }
    return this.#controller.signal;
  }

  /** The whole body, if nobody took the stream or a part of it before. */
  async #bytes(): Promise<Buffer> {
    if (this.#isUsed && this.#real === undefined) {
      throw new TypeError('Cannot read the body: it has been read already');
    }
    if (this.#body != null || this.#real !== undefined) {
      return Buffer.from(await this.#node().arrayBuffer());
    }
    this.#isUsed = true;
    return this.#request.hasBody ? this.#request.bytes(this.#wholeBytesMax) : Buffer.alloc(0);
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await this.#bytes();
    const copy = new ArrayBuffer(bytes.length);
    new Uint8Array(copy).set(bytes);
    return copy;
  }

  async bytes(): Promise<Uint8Array> {
    return new Uint8Array(await this.arrayBuffer());
  }

  async text(): Promise<string> {
    return new TextDecoder().decode(await this.#bytes());
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  async blob(): Promise<Blob> {
    return this.#node().blob();
  }

  async formData(): Promise<FormData> {
    return this.#node().formData();
  }

  clone(): Request {
    return this.#node().clone();
  }

  /** Node's own Request, which then has the body. */
  #node(): Request {
    if (this.#real === undefined) {
      const init: RequestInit & { duplex: 'half' } = {
        method: this.method,
        headers: this.headers,
        body: this.body,
        signal: this.signal,
        duplex: 'half',
      };
      this.#real = new Request(this.url, init);
    }
    return this.#real;
  }

  // What a server has nothing to say about, with the values that a new Request has.

  get cache(): string {
    return 'default';
  }

  get credentials(): string {
    return 'same-origin';
  }

  get destination(): string {
    return '';
  }

  get duplex(): string {
    return 'half';
  }

  get integrity(): string {
    return '';
  }

  get keepalive(): boolean {
    return false;
  }

  get mode(): string {
    return 'cors';
  }

  get redirect(): string {
    return 'follow';
  }

  get referrer(): string {
    return 'about:client';
  }

  get referrerPolicy(): string {
    return '';
  }
}

Object.setPrototypeOf(WebRequest.prototype, Request.prototype);
