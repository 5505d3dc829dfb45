/** A server of `httpHandler` on a real socket, and raw clients that read responses as strictly as they can. */

import assert from 'node:assert/strict';
import { after } from 'node:test';

import type { ServeOptions, Server } from '../../src/api.js';
import { serve } from '../../src/engine/serve.js';
import { type HttpHandler, type HttpOptions, httpHandler } from '../../src/http/http-handler.js';
import { RawClient } from '../support/raw-client.js';
import { within } from '../support/until.js';

export interface Answer {
  readonly status: number;
  /** Of repeated fields the last one. */
  readonly fields: ReadonlyMap<string, string>;
  readonly body: string;
  readonly trailers: string;
}

export class HttpRig {
  readonly server: Server;
  readonly handler: HttpHandler;

  constructor(server: Server, handler: HttpHandler) {
    this.server = server;
    this.handler = handler;
  }

  static async open(
    options: HttpOptions,
    serveOptions: Partial<ServeOptions> = {},
  ): Promise<HttpRig> {
    const handler = httpHandler(options);
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      ...serveOptions,
      handler,
    });
    const rig = new HttpRig(server, handler);
    after(() => server.close({ deadlineMs: 0 }));
    return rig;
  }

  get url(): string {
    return this.server.addresses[0]!.replace('tcp:', 'http:');
  }

  async connect(options?: { receiveBufferBytes?: number }): Promise<HttpClient> {
    return new HttpClient(await RawClient.connect(this.server.addresses[0]!, options));
  }

  /** Sends bytes, ends nothing, and answers all that comes until the server ends. */
  async exchange(bytes: Buffer | string): Promise<string> {
    const client = await this.connect();
    await client.send(bytes);
    return client.rest();
  }
}

export class HttpClient {
  readonly raw: RawClient;
  #buffer = Buffer.alloc(0);

  constructor(raw: RawClient) {
    this.raw = raw;
    after(() => raw.close());
  }

  async send(bytes: Buffer | string): Promise<void> {
    await this.raw.send(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** All that is still to come, as latin1. */
  async rest(): Promise<string> {
    const rest = await within('the end of the connection', this.raw.readToEnd());
    const all = Buffer.concat([this.#buffer, rest]);
    this.#buffer = Buffer.alloc(0);
    return all.toString('latin1');
  }

  async #more(): Promise<void> {
    let bytes = this.raw.tryReceive();
    while (typeof bytes === 'number') {
      await within('something to receive', this.raw.readable());
      bytes = this.raw.tryReceive();
      assert.ok(typeof bytes !== 'number' || bytes === -11, `receive failed: ${String(bytes)}`);
    }
    assert.ok(bytes.byteLength > 0, `the connection ended after ${this.#buffer.toString()}`);
    this.#buffer = Buffer.concat([this.#buffer, bytes]);
  }

  async #until(delimiter: string): Promise<string> {
    let at = this.#buffer.indexOf(delimiter);
    while (at < 0) {
      await this.#more();
      at = this.#buffer.indexOf(delimiter);
    }
    return this.#take(at + delimiter.length);
  }

  async #take(n: number): Promise<string> {
    while (this.#buffer.byteLength < n) {
      await this.#more();
    }
    const text = this.#buffer.toString('latin1', 0, n);
    this.#buffer = this.#buffer.subarray(n);
    return text;
  }

  /** The bytes of one head. */
  head(): Promise<string> {
    return this.#until('\r\n\r\n');
  }

  /** One response, interim ones too. `isBodyless`: the answer to HEAD. */
  async answer(isBodyless = false): Promise<Answer> {
    const head = (await this.#until('\r\n\r\n')).slice(0, -4).split('\r\n');
    const match = /^HTTP\/1\.1 (\d{3}) [\w '-]*$/.exec(head[0]!);
    assert.ok(match !== null, `a status line, not ${JSON.stringify(head[0])}`);
    const status = Number(match[1]);
    const fields = new Map<string, string>();
    for (const line of head.slice(1)) {
      const field = /^([\w-]+): ([^\r\n]*)$/.exec(line);
      assert.ok(field !== null, `a field, not ${JSON.stringify(line)}`);
      fields.set(field[1]!.toLowerCase(), field[2]!);
    }
    let body = '';
    let trailers = '';
    if (isBodyless || status < 200 || status === 204 || status === 304) {
      // None.
    } else if (fields.has('transfer-encoding')) {
      assert.equal(fields.get('transfer-encoding'), 'chunked');
      assert.ok(!fields.has('content-length'));
      [body, trailers] = await this.#chunks();
    } else if (fields.has('content-length')) {
      body = await this.#take(Number(fields.get('content-length')));
    } else {
      body = await this.rest();
    }
    return { status, fields, body, trailers };
  }

  async #chunks(): Promise<[body: string, trailers: string]> {
    let body = '';
    for (;;) {
      const size = Number.parseInt(await this.#until('\r\n'), 16);
      assert.ok(Number.isInteger(size));
      if (size === 0) {
        let trailers = '';
        for (
          let line = await this.#until('\r\n');
          line !== '\r\n';
          line = await this.#until('\r\n')
        ) {
          trailers += line;
        }
        return [body, trailers];
      }
      body += await this.#take(size);
      assert.equal(await this.#take(2), '\r\n');
    }
  }
}

/** `GET path` with Host and more fields. */
export function get(path: string, ...fields: string[]): string {
  return `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
}

/** `POST path` with a length. */
export function post(path: string, body: string, ...fields: string[]): string {
  const length = Buffer.byteLength(body, 'latin1');
  return `${get(path, `Content-Length: ${length}`, ...fields).replace('GET', 'POST')}${body}`;
}
