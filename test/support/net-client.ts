/** A client on Node's own sockets: nothing of the library is on this side. */

import { connect, type Socket } from 'node:net';

import { awaitCondition, settled } from './await-condition.js';

const GUARD_MS = 60_000;

export class NetClient {
  readonly socket: Socket;
  /** Why it closed, such as `ECONNRESET`; empty while it is open, and after an end without an error. */
  errorCode = '';
  isEnded = false;
  isClosed = false;
  #chunks: Buffer[] = [];
  #received: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('end', () => {
      this.isEnded = true;
    });
    socket.on('close', () => {
      this.isClosed = true;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.errorCode = error.code ?? error.message;
    });
  }

  /** Connects to tcp://HOST:PORT or unix://PATH, and keeps what it receives unless `isPaused`. */
  static async connect(
    scope: { after(callback: () => void): void },
    url: string,
    options: { readonly isPaused?: boolean } = {},
  ): Promise<NetClient> {
    const client = new NetClient(connect({ ...targetOf(url), allowHalfOpen: true }));
    scope.after(() => client.socket.destroy());
    const connected = new Promise<void>((resolve, reject) => {
      client.socket.once('connect', resolve);
      client.socket.once('error', reject);
    });
    await settled(connected, `a connection to ${url}`, GUARD_MS);
    if (options.isPaused !== true) {
      client.keep();
    }
    return client;
  }

  /** Starts to read, and keeps all of it. */
  keep(): void {
    this.socket.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
  }

  /** Everything received so far. */
  get received(): Buffer {
    if (this.#chunks.length > 0) {
      this.#received = Buffer.concat([this.#received, ...this.#chunks]);
      this.#chunks = [];
    }
    return this.#received;
  }

  get text(): string {
    return this.received.toString();
  }

  write(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  async receives(text: string): Promise<void> {
    await awaitCondition(
      () => this.text.includes(text) || this.isClosed,
      `${JSON.stringify(text)} to be received`,
      GUARD_MS,
    );
    if (!this.text.includes(text)) {
      throw new Error(`Expected ${JSON.stringify(text)}, got ${JSON.stringify(this.text)}`);
    }
  }

  /** Resolves when the peer's FIN has come. */
  async ends(): Promise<void> {
    await awaitCondition(() => this.isEnded || this.isClosed, 'the end of the stream', GUARD_MS);
  }

  async closes(): Promise<void> {
    await awaitCondition(() => this.isClosed, 'the close of a socket', GUARD_MS);
  }
}

/** What net.connect needs for an address of the library. */
export function targetOf(url: string): { path: string } | { host: string; port: number } {
  if (url.startsWith('unix://')) {
    return { path: url.slice('unix://'.length) };
  }
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}
