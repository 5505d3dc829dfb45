/** Servers with datagram sockets under test, on any driver and number of reactors, and peers of node:dgram. */

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';

import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { probeUring } from '../../src/connection/drivers/uring-setup.js';
import { type ServeOptions, type Server, serve } from '../../src/index.js';
import { awaitCondition } from './await-condition.js';
import { type DatagramData, type DatagramReport, handler } from './engine-handlers/datagrams.js';

const MODULE = new URL('./engine-handlers/datagrams.js', import.meta.url);

const hasUring = typeof probeUring(new LinuxKernel()) !== 'number';
const addresses = Object.values(networkInterfaces()).flat();
export const hasIpv6 = addresses.some((one) => one?.address === '::1');

export interface DatagramShape {
  readonly name: string;
  readonly driver: 'epoll' | 'uring';
  readonly reactors: number;
  readonly skip: boolean;
}

export const DATAGRAM_SHAPES: readonly DatagramShape[] = (['epoll', 'uring'] as const).flatMap(
  (driver) =>
    [1, 3].map((reactors) => ({
      name: `${driver}, ${reactors} reactor${reactors === 1 ? '' : 's'}`,
      driver,
      reactors,
      skip: driver === 'uring' && !hasUring,
    })),
);

/** A peer that keeps what it gets. */
export interface UdpPeer {
  readonly socket: Socket;
  readonly port: number;
  readonly received: Buffer[];
  /** Sends to a URL; resolves when the kernel has it. */
  send(bytes: Uint8Array | string, url: string): Promise<void>;
  /** The first `count` datagrams. */
  read(count: number): Promise<Buffer[]>;
}

/** What a test opens, closed after it. */
export class DatagramStage implements AsyncDisposable {
  readonly warnings: Error[] = [];
  readonly #servers: Server[] = [];
  readonly #sockets: Socket[] = [];

  async serve(
    { driver, reactors }: Pick<DatagramShape, 'driver' | 'reactors'>,
    options: Partial<ServeOptions> = {},
    data: DatagramData = {},
  ): Promise<Server> {
    const server = await serve({
      listen: 'udp://127.0.0.1:0',
      driver,
      reactors,
      blockedAfterMs: 0,
      onWarning: (warning) => this.warnings.push(warning),
      ...(reactors > 1 ? { handler: MODULE, data } : { handler: handler(data) }),
      ...options,
    });
    this.#servers.push(server);
    return server;
  }

  async peer(host = '127.0.0.1'): Promise<UdpPeer> {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    this.#sockets.push(socket);
    const received: Buffer[] = [];
    socket.on('message', (bytes) => received.push(bytes));
    socket.on('error', () => {});
    socket.bind(0, host);
    await once(socket, 'listening');
    return {
      socket,
      received,
      port: socket.address().port,
      send: (bytes, url) =>
        new Promise((resolve, reject) => {
          const { hostname, port } = new URL(url.replace(/^udp[46]?/, 'http'));
          const to = hostname.replace(/[[\]]/g, '');
          socket.send(bytes, Number(port), to, (error) => {
            if (error === null) resolve();
            else reject(error);
          });
        }),
      async read(count) {
        await awaitCondition(() => received.length >= count, `${count} datagrams`);
        return received.slice(0, count);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.close();
    await Promise.all(this.#servers.map((server) => server.close({ deadlineMs: 1_000 })));
  }
}

/** Runs a test with a stage. */
export async function staged(run: (stage: DatagramStage) => Promise<void>): Promise<void> {
  const stage = new DatagramStage();
  try {
    await run(stage);
  } finally {
    await stage[Symbol.asyncDispose]();
  }
}

/** What all reactors have seen. */
export async function report(server: Server): Promise<DatagramReport> {
  const reports = (await server.executeAll('report')) as DatagramReport[];
  const sum = (value: (one: DatagramReport) => number) =>
    reports.reduce((total, one) => total + value(one), 0);
  return {
    datagrams: sum((one) => one.datagrams),
    truncated: sum((one) => one.truncated),
    opened: reports.flatMap((one) => one.opened),
    closed: reports.flatMap((one) => one.closed),
    errors: reports.flatMap((one) => one.errors),
    sockets: sum((one) => one.sockets),
    socketsClosed: sum((one) => one.socketsClosed),
  };
}

/** Waits until the server has counted so much. */
export async function counted(
  server: Server,
  counter: keyof Server['stats']['totals'],
  least: number,
): Promise<void> {
  await awaitCondition(
    () => Number(server.stats.totals[counter]) >= least,
    `${counter} of ${least}`,
  );
}
