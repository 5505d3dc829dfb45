/** A WebSocket client made of bytes, which may misbehave in any way: over node:net, with nothing of the library. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import { awaitCondition } from '../../support/await-condition.js';
import { NetClient } from '../../support/net-client.js';
import {
  closePayload,
  type FrameOptions,
  masked,
  OP,
  type ReadFrame,
  readFrame,
} from './frames.js';

type Scope = Parameters<typeof NetClient.connect>[0];

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

export function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** A request that is in order; fields may be replaced, or left out with undefined. */
export function requestText(
  fields: Readonly<Record<string, string | readonly string[] | undefined>> = {},
  requestLine = 'GET / HTTP/1.1',
): string {
  const all = {
    Host: 'localhost',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': KEY,
    'Sec-WebSocket-Version': '13',
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}\r\n`),
  );
  return `${requestLine}\r\n${lines.join('')}\r\n`;
}

export class RawWebSocket {
  readonly client: NetClient;
  /** The response's head. */
  head = '';
  #taken = 0;

  private constructor(client: NetClient) {
    this.client = client;
  }

  /** Connects and sends nothing. */
  static async connect(
    scope: Scope,
    url: string,
    options: { readonly isPaused?: boolean } = {},
  ): Promise<RawWebSocket> {
    const client = await NetClient.connect(scope, url, options);
    client.socket.setNoDelay(true);
    return new RawWebSocket(client);
  }

  /** With the opening handshake done. */
  static async open(
    scope: Scope,
    url: string,
    fields: Parameters<typeof requestText>[0] = {},
    requestLine?: string,
  ): Promise<RawWebSocket> {
    const socket = await RawWebSocket.connect(scope, url);
    socket.write(requestText(fields, requestLine));
    await socket.readHead();
    assert.match(socket.head, /^HTTP\/1\.1 101 /, socket.head);
    assert.ok(socket.head.includes(`\r\nSec-WebSocket-Accept: ${acceptFor(KEY)}\r\n`));
    return socket;
  }

  async readHead(): Promise<string> {
    const { client } = this;
    await awaitCondition(
      () => client.text.includes('\r\n\r\n') || client.isClosed || client.isEnded,
      'the head of a response',
    );
    const end = client.received.indexOf('\r\n\r\n');
    assert.ok(end >= 0, `no head in ${JSON.stringify(client.text)}`);
    this.#taken = end + 4;
    this.head = client.received.toString('latin1', 0, end + 2);
    return this.head;
  }

  /** Everything after the head, up to the end of the stream. */
  async rest(): Promise<string> {
    await this.client.ends();
    return this.client.received.toString('utf8', this.#taken);
  }

  write(bytes: string | Uint8Array): void {
    this.client.write(bytes);
  }

  send(opcode: number, payload: Uint8Array | string = '', options: FrameOptions = {}): void {
    this.write(masked(opcode, payload, options));
  }

  /** The next frame; undefined if the stream ends before it. */
  async frame(): Promise<ReadFrame | undefined> {
    const { client } = this;
    for (;;) {
      const next = readFrame(client.received.subarray(this.#taken));
      if (next !== undefined) {
        this.#taken += next.size;
        assert.equal(next.frame.isMasked, false, 'a server does not mask');
        return next.frame;
      }
      if (client.isEnded || client.isClosed) {
        assert.equal(client.received.length, this.#taken, 'the stream ends within a frame');
        return undefined;
      }
      const { length } = client.received;
      await awaitCondition(
        () => client.received.length > length || client.isEnded || client.isClosed,
        'a frame',
      );
    }
  }

  /** The next frame as a line such as `text hello`, `close 1000 bye` or `end`. */
  async line(): Promise<string> {
    return lineOf(await this.frame());
  }

  async lines(count: number): Promise<string[]> {
    const lines: string[] = [];
    while (lines.length < count) lines.push(await this.line());
    return lines;
  }

  /** The close handshake, started here; the server closes the connection then. */
  async close(code = 1000): Promise<void> {
    this.send(OP.CLOSE, closePayload(code));
    assert.equal(await this.line(), `close ${code}`);
    assert.equal(await this.line(), 'end');
    this.client.socket.end();
  }
}

const NAMES = new Map<number, string>([
  [OP.CONTINUATION, 'continuation'],
  [OP.TEXT, 'text'],
  [OP.BINARY, 'binary'],
  [OP.CLOSE, 'close'],
  [OP.PING, 'ping'],
  [OP.PONG, 'pong'],
]);

export function lineOf(frame: ReadFrame | undefined): string {
  if (frame === undefined) return 'end';
  const { opcode, payload, fin, rsv } = frame;
  const name = `${NAMES.get(opcode)}${fin ? '' : '+'}${rsv === 0 ? '' : ` rsv${rsv}`}`;
  const isClose = opcode === OP.CLOSE && payload.length >= 2;
  const text = isClose
    ? `${payload.readUInt16BE(0)} ${payload.toString('utf8', 2)}`
    : payload.length > 200
      ? `${payload.length} B`
      : payload.toString();
  return `${name} ${text}`.trim();
}
