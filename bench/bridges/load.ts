/**
 * The clients of `bench -- bridges`: closed loops, of this process, as only the servers' CPU time counts. Each load
 * runs until it is told to stop, and counts what was answered.
 */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { WebSocket } from 'ws';

/** Asks once and resolves with the answer. */
type Ask = () => Promise<void>;

export interface Load {
  /** Asks on all connections, again and again, until `seconds` have passed; resolves with the number of answers. */
  run(seconds: number): Promise<number>;
  close(): void;
}

const MESSAGE = Buffer.alloc(512, 'm');
const GET = Buffer.from('GET / HTTP/1.1\r\nHost: bench\r\n\r\n');

export async function openLoad(kind: string, port: number, connections: number): Promise<Load> {
  const closers: (() => void)[] = [];
  const asks: Ask[] = [];
  for (let i = 0; i < connections; i += 1) {
    asks.push(await openers[kind]!(port, closers));
  }
  return {
    async run(seconds) {
      const end = performance.now() + seconds * 1_000;
      let answers = 0;
      const loop = async (ask: Ask) => {
        while (performance.now() < end) {
          await ask();
          answers += 1;
        }
      };
      await Promise.all(asks.map(loop));
      return answers;
    },
    close() {
      for (const close of closers) close();
    },
  };
}

/** Asks over a socket; the answer is known by its length, that of the first. */
async function openPlain(
  port: number,
  closers: (() => void)[],
  request: Buffer,
  answerBytes: number | undefined,
  isSecure = false,
): Promise<Ask> {
  const target = { port, host: '127.0.0.1', noDelay: true };
  const socket = isSecure
    ? tls.connect({ ...target, rejectUnauthorized: false })
    : net.connect(target);
  await once(socket, isSecure ? 'secureConnect' : 'connect');
  closers.push(() => socket.destroy());
  let expected = answerBytes;
  let missing = 0;
  let resolve: () => void = () => {};
  socket.on('data', (bytes: Buffer) => {
    expected ??= bytes.byteLength;
    missing = (missing === 0 ? expected : missing) - bytes.byteLength;
    if (missing === 0) resolve();
  });
  return () =>
    new Promise((told) => {
      resolve = told;
      socket.write(request);
    });
}

async function openWebSocket(port: number, closers: (() => void)[]): Promise<Ask> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
  await once(socket, 'open');
  closers.push(() => socket.terminate());
  let resolve: () => void = () => {};
  socket.on('message', () => resolve());
  return () =>
    new Promise((told) => {
      resolve = told;
      socket.send(MESSAGE);
    });
}

const identity = (bytes: Buffer) => bytes;

async function openGrpc(port: number, closers: (() => void)[]): Promise<Ask> {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  closers.push(() => client.close());
  return () =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest('/bench.Echo/Echo', identity, identity, MESSAGE, (error) =>
        error ? reject(error) : resolve(),
      );
    });
}

const openers: Record<string, (port: number, closers: (() => void)[]) => Promise<Ask>> = {
  echo: (port, closers) => openPlain(port, closers, MESSAGE, MESSAGE.byteLength),
  tls: (port, closers) => openPlain(port, closers, MESSAGE, MESSAGE.byteLength, true),
  http: (port, closers) => openPlain(port, closers, GET, undefined),
  ws: openWebSocket,
  grpc: openGrpc,
};
