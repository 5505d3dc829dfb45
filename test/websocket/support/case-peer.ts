/**
 * The other side of a case, of bytes alone, in either role: a client of our server, or a server of our client. Ours
 * echoes every message, text as text and binary as binary.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  type AddressInfo,
  connect,
  createServer,
  type Server as NetServer,
  type Socket,
} from 'node:net';

import { dial, type Server, serve } from '../../../src/index.js';
import {
  connectWebSocket,
  type ConnectWebSocketOptions,
  type WebSocket,
  webSocketServer,
} from '../../../src/websocket/index.js';
import { rounds, settled } from '../../support/await-condition.js';
import { frame, type FrameOptions, OP, type ReadFrame, closePayload } from './frames.js';
import { acceptFor, lineOf, requestText } from './raw-web-socket.js';

export type Role = 'server' | 'client';
export const ROLES: readonly Role[] = ['server', 'client'];

/** More pieces than this are not waited for one by one. */
const SLOW_CHOPS_MAX = 300;

/** How ours is set up for the cases: the limits are above what they send. */
const ECHO = {
  messageBytesMax: 32 << 20,
  fragmentsMax: 100_000,
  deflate: { thresholdBytes: 0, ratioMax: 100_000, contexts: 'own' as const },
  onMessage(socket: WebSocket, data: Buffer, isBinary: boolean): void {
    socket.send(data, { isBinary });
  },
};
const CONNECTION = { writeQueueMax: 64 << 20 };

/** Starts what ours runs on, once for a file of cases. */
export class CaseRig {
  readonly #server: Server;
  readonly #listener: NetServer;
  readonly #options: ConnectWebSocketOptions = { ...ECHO, connection: CONNECTION };

  private constructor(server: Server, listener: NetServer) {
    this.#server = server;
    this.#listener = listener;
  }

  static async start(): Promise<CaseRig> {
    const handler = webSocketServer(ECHO);
    const server = await serve({ listen: 'tcp://127.0.0.1:0', handler, ...CONNECTION });
    const listener = createServer({ allowHalfOpen: true });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new CaseRig(server, listener);
  }

  /** The address of ours in the role of a server. */
  get wsUrl(): string {
    return this.#server.addresses[0]!.replace('tcp:', 'ws:');
  }

  /** Connects ours, as a client that echoes, to another server. */
  async connectTo(url: string): Promise<WebSocket> {
    return connectWebSocket(dial, url, this.#options);
  }

  async close(): Promise<void> {
    this.#listener.close();
    await this.#server.close({ deadlineMs: 0 });
  }

  /** The peer of ours in a role, with the opening handshake done. `extensions` is offered, or answered. */
  async open(role: Role, extensions?: string): Promise<CasePeer> {
    const fields = extensions === undefined ? {} : { 'Sec-WebSocket-Extensions': extensions };
    if (role === 'server') {
      const { port } = new URL(this.#server.addresses[0]!);
      const socket = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
      const peer = new CasePeer(socket, role);
      socket.write(requestText(fields));
      peer.response = await peer.head();
      assert.match(peer.response, /^HTTP\/1\.1 101 /);
      return peer;
    }
    const { port } = this.#listener.address() as AddressInfo;
    const accepted = once(this.#listener, 'connection') as Promise<[Socket]>;
    const opened = this.connectTo(`ws://127.0.0.1:${port}/`);
    const [socket] = await accepted;
    const peer = new CasePeer(socket, role);
    const key = /Sec-WebSocket-Key: (.*)\r/.exec(await peer.head())![1]!;
    const more = extensions === undefined ? '' : `Sec-WebSocket-Extensions: ${extensions}\r\n`;
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${acceptFor(key)}\r\n${more}\r\n`,
    );
    await opened;
    return peer;
  }
}

export class CasePeer {
  readonly socket: Socket;
  /** What ours is. */
  readonly role: Role;
  /** Of our server: the head of its answer. */
  response = '';
  readonly #chunks: Buffer[] = [];
  #length = 0;
  #isEnded = false;
  #wake: () => void = () => {};

  constructor(socket: Socket, role: Role) {
    this.socket = socket;
    this.role = role;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      this.#chunks.push(bytes);
      this.#length += bytes.length;
      this.#wake();
    });
    for (const event of ['end', 'close', 'error']) {
      socket.on(event, () => {
        this.#isEnded = true;
        this.#wake();
      });
    }
  }

  /** A frame as this side sends it. */
  frame(opcode: number, payload: Uint8Array | string = '', options: FrameOptions = {}): Buffer {
    const mask = this.role === 'server' ? Uint8Array.of(0x12, 0xfe, 0x5a, 0x03) : undefined;
    return frame(opcode, payload, { mask, ...options });
  }

  /** Sends in pieces of `chop` bytes, each in a turn of its own where they are not too many. */
  async send(bytes: Buffer, chop: number = bytes.length): Promise<void> {
    const isSlow = bytes.length / chop <= SLOW_CHOPS_MAX;
    for (let at = 0; at < bytes.length; at += chop) {
      this.socket.write(bytes.subarray(at, at + chop));
      if (isSlow && chop < bytes.length) await rounds(1);
    }
  }

  /** At least `n` bytes are there, or the stream has ended (false). */
  async #has(n: number): Promise<boolean> {
    while (this.#length < n && !this.#isEnded) {
      const more = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await settled(more, `${n} bytes, of which ${this.#length} came`);
    }
    return this.#length >= n;
  }

  #gather(): Buffer {
    if (this.#chunks.length !== 1) {
      this.#chunks.splice(0, this.#chunks.length, Buffer.concat(this.#chunks));
    }
    return this.#chunks[0]!;
  }

  #take(n: number): Buffer {
    const all = this.#gather();
    this.#chunks[0] = all.subarray(n);
    this.#length -= n;
    return all.subarray(0, n);
  }

  async head(): Promise<string> {
    for (let n = 1; await this.#has(n); n = this.#length + 1) {
      const end = this.#gather().indexOf('\r\n\r\n');
      if (end >= 0) return this.#take(end + 4).toString('latin1');
    }
    throw new Error('The stream ended before the head did');
  }

  /** The next frame of ours; undefined at the end of the stream. */
  async read(): Promise<ReadFrame | undefined> {
    if (!(await this.#has(2))) {
      assert.equal(this.#length, 0, 'the stream ends within a header');
      return undefined;
    }
    const isMasked = this.#gather()[1]! >= 0x80;
    assert.equal(isMasked, this.role === 'client', 'a client masks, a server does not');
    const short = this.#gather()[1]! & 0x7f;
    const size = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (isMasked ? 4 : 0);
    assert.ok(await this.#has(size), 'the stream ends within a header');
    const header = this.#take(size);
    const length =
      short === 126
        ? header.readUInt16BE(2)
        : short === 127
          ? Number(header.readBigUInt64BE(2))
          : short;
    assert.ok(await this.#has(length), 'the stream ends within a frame');
    const payload = Buffer.from(this.#take(length));
    if (isMasked) {
      for (let i = 0; i < length; i += 1) payload[i] ^= header[size - 4 + (i & 3)]!;
    }
    const first = header[0]!;
    return { fin: first >= 0x80, rsv: (first >> 4) & 7, opcode: first & 15, isMasked, payload };
  }

  async line(): Promise<string> {
    return lineOf(await this.read());
  }

  /** Expects frames as lines; one that ends with an asterisk is a beginning. */
  async expect(what: string, lines: readonly string[]): Promise<void> {
    const got: string[] = [];
    for (const line of lines) {
      const next = await this.line();
      got.push(line.endsWith('*') && next.startsWith(line.slice(0, -1)) ? line : next);
    }
    assert.deepEqual(got, lines, `${what}, ours is the ${this.role}`);
  }

  /** Ours has failed the connection with a code: its close frame, and then the end. */
  async expectFailure(what: string, code: number): Promise<void> {
    await this.expect(what, [`close ${code}*`, 'end']);
    this.socket.end();
  }

  /** Ours is well: it answers a close frame, and closes, or lets us close. */
  async finish(what: string): Promise<void> {
    await this.send(this.frame(OP.CLOSE, closePayload(1000)));
    await this.expectEnd(what, 'close 1000');
  }

  /** The close frame of ours, and the end, in the order of its role (section 7.1.1). */
  async expectEnd(what: string, line: string): Promise<void> {
    await this.expect(what, [line]);
    if (this.role === 'client') this.socket.end();
    await this.expect(what, ['end']);
    this.socket.end();
  }
}
