/**
 * A TLS server around a handler, with what tests want to know of it, and clients for it. After each test everything is
 * closed, and nothing of OpenSSL's may be left.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach } from 'node:test';
import tls from 'node:tls';

import { census } from '../../src/base/openssl.js';
import type { CloseReason, Connection, Handler, ServeOptions, Server } from '../../src/index.js';
import { serve } from '../../src/index.js';
import {
  type SecureConnection,
  type TlsError,
  type TlsHandler,
  type TlsOptions,
  tlsHandler,
} from '../../src/tls/index.js';
import { awaitCondition, settled } from './await-condition.js';
import type { TestCertificates } from './test-certificates.js';

export interface Seen {
  readonly connection: SecureConnection;
  data: Buffer;
  ends: number;
  drains: number;
  reason: CloseReason | undefined;
}

export interface TlsRig {
  readonly server: Server;
  readonly handler: TlsHandler;
  readonly url: string;
  readonly port: number;
  /** Connections whose `onOpen` was called, in order. */
  readonly seen: Seen[];
  readonly handshakeErrors: TlsError[];
}

export const ECHO: Handler = {
  onData(connection, bytes) {
    connection.write(bytes);
  },
};

const cleanups: (() => Promise<unknown> | unknown)[] = [];

/** Something to be closed after the test, before the servers are. */
export function cleanUp(what: () => Promise<unknown> | unknown): void {
  cleanups.push(what);
}

/** To be called once in each file: closes what its tests opened. */
export function checkLeaks(): void {
  afterEach(async () => {
    for (const each of cleanups.splice(0).reverse()) {
      await each();
    }
    // A client's connection is closed when its reactor gets to it.
    await awaitCondition(() => census.ssl <= 0, 'connections to be freed', 5_000).catch(() => {});
    const { ssl, contexts, regions } = census;
    assert.deepEqual({ ssl, contexts, regions }, { ssl: 0, contexts: 0, regions: 0 });
  });
}

export async function startTls(
  certificates: TestCertificates,
  inner: Handler = ECHO,
  options: Partial<TlsOptions> = {},
  serveOptions: Partial<ServeOptions> = {},
): Promise<TlsRig> {
  const seen: Seen[] = [];
  const handshakeErrors: TlsError[] = [];
  const handler = tlsHandler(
    {
      cert: certificates.server.cert,
      key: certificates.server.key,
      ...options,
      onHandshakeError: (error) => handshakeErrors.push(error),
    },
    observed(inner, seen),
  );
  const server = await serve({ listen: 'tcp://127.0.0.1:0', ...serveOptions, handler });
  cleanUp(() => server.close({ deadlineMs: 0 }));
  const url = server.addresses[0]!;
  return { server, handler, url, port: Number(url.split(':').at(-1)), seen, handshakeErrors };
}

/** The handler, and what it was told. */
function observed(inner: Handler, seen: Seen[]): Handler {
  const entries = new Map<Connection, Seen>();
  const both: Handler = {
    ...inner,
    onOpen(connection) {
      const entry: Seen = {
        connection: connection as SecureConnection,
        data: Buffer.alloc(0),
        ends: 0,
        drains: 0,
        reason: undefined,
      };
      entries.set(connection, entry);
      seen.push(entry);
      return inner.onOpen?.(connection);
    },
    onDrain(connection) {
      entries.get(connection)!.drains += 1;
      return inner.onDrain?.(connection);
    },
    onEnd(connection) {
      entries.get(connection)!.ends += 1;
      return inner.onEnd?.(connection);
    },
    onClose(connection, reason) {
      const entry = entries.get(connection)!;
      assert.equal(entry.reason, undefined, 'onClose is called once');
      entry.reason = reason;
      return inner.onClose?.(connection, reason);
    },
  };
  if (inner.onData !== undefined) {
    both.onData = (connection, bytes) => {
      const entry = entries.get(connection)!;
      entry.data = Buffer.concat([entry.data, bytes]);
      return inner.onData!(connection, bytes);
    };
  }
  return both;
}

/** A client of node:tls that collects what it receives. */
export class NodeClient {
  readonly socket: tls.TLSSocket;
  #chunks: Buffer[] = [];
  receivedBytes = 0;
  error: NodeJS.ErrnoException | undefined;
  hasEnded = false;
  isClosed = false;

  constructor(socket: tls.TLSSocket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.#chunks.push(bytes);
      this.receivedBytes += bytes.length;
    });
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('end', () => {
      this.hasEnded = true;
    });
    socket.on('close', () => {
      this.isClosed = true;
    });
    cleanUp(() => socket.destroy());
  }

  static start(port: number, options: tls.ConnectionOptions): NodeClient {
    return new NodeClient(tls.connect({ port, host: '127.0.0.1', ...options }));
  }

  /** Resolves after the handshake. */
  static async connect(port: number, options: tls.ConnectionOptions): Promise<NodeClient> {
    const client = NodeClient.start(port, options);
    await settled(once(client.socket, 'secureConnect'), 'the handshake');
    return client;
  }

  async read(byteLength: number): Promise<Buffer> {
    await awaitCondition(
      () => this.receivedBytes >= byteLength || this.isClosed,
      `${byteLength} bytes`,
    );
    const all = Buffer.concat(this.#chunks);
    const bytes = all.subarray(0, byteLength);
    assert.equal(bytes.length, byteLength, `the connection ended early: ${this.error?.message}`);
    this.#chunks = [all.subarray(byteLength)];
    this.receivedBytes -= byteLength;
    return bytes;
  }

  async assertEchoes(text = 'ping'): Promise<void> {
    this.socket.write(text);
    assert.equal((await this.read(Buffer.byteLength(text))).toString(), text);
  }

  async closed(): Promise<void> {
    await awaitCondition(() => this.isClosed, 'the close');
  }
}

export interface Ran {
  readonly code: number | null;
  readonly output: string;
}

/** What to write once a pattern was printed after what was written before. */
export type Dialogue = readonly (readonly [RegExp, string])[];

/**
 * Runs a program with a text as its input, and gives all it printed. Its input ends when `pattern` was printed; or a
 * dialogue is led, and then it ends.
 */
export async function run(
  program: string,
  args: readonly string[],
  input?: string | Dialogue,
  pattern?: RegExp,
): Promise<Ran> {
  // Not under AddressSanitizer, if we are: it is ours that it is to look at.
  const { LD_PRELOAD: _preload, ...env } = process.env;
  const child = spawn(program, args, { stdio: 'pipe', env });
  cleanUp(() => child.kill('SIGKILL'));
  const steps = Array.isArray(input) ? [...(input as Dialogue)] : [];
  let output = '';
  let from = 0;
  const collect = (bytes: Buffer) => {
    output += bytes.toString('latin1');
    if (pattern?.test(output) === true) {
      child.stdin.end();
    }
    const [step] = steps;
    if (step?.[0].test(output.slice(from)) === true) {
      steps.shift();
      from = output.length;
      child.stdin.write(step[1]);
    }
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  child.stdin.on('error', () => {});
  if (typeof input === 'string') {
    child.stdin.write(input);
  }
  if (pattern === undefined && steps.length === 0) {
    child.stdin.end();
  }
  const [code] = (await settled(once(child, 'close'), `the end of ${program}`)) as [number | null];
  return { code, output };
}
