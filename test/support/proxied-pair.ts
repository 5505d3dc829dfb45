/** examples/proxy.mjs between a client and a target of the test's, both on Node's own sockets. */

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

import { awaitCondition } from './await-condition.js';
import { NetClient } from './net-client.js';
import { type SpawnedProgram, startExample } from './spawned-program.js';

export interface Scope {
  after(callback: () => void): void;
}

/** Where the proxy passes connections on to. They are paused until somebody reads. */
export class Target {
  readonly url: string;
  readonly sockets: Socket[] = [];

  private constructor(url: string) {
    this.url = url;
  }

  static async listen(scope: Scope): Promise<Target> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const target = new Target(`tcp://127.0.0.1:${(server.address() as { port: number }).port}`);
    server.on('connection', (socket) => target.sockets.push(socket));
    scope.after(() => {
      server.close();
      for (const socket of target.sockets) socket.destroy();
    });
    return target;
  }

  async socket(index: number): Promise<Socket> {
    await awaitCondition(() => this.sockets.length > index, `connection ${index} at the target`);
    return this.sockets[index]!;
  }
}

export async function startProxy(
  scope: Scope,
  target: string,
): Promise<{ proxy: SpawnedProgram; url: string }> {
  const proxy = startExample(scope, 'proxy', ['tcp://127.0.0.1:0', target]);
  const [url] = await proxy.addresses();
  return { proxy, url: url! };
}

/** A client and the target's end of its connection. */
export async function connectThrough(scope: Scope, target: Target, url: string, index: number) {
  const client = await NetClient.connect(scope, url);
  const socket = await target.socket(index);
  return { client, socket };
}

/** Everything that comes, until the FIN. The other direction stays open, unlike with an async iterator. */
export async function readToEnd(socket: Socket): Promise<string> {
  const pieces: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => pieces.push(bytes));
  socket.resume();
  await once(socket, 'end');
  return Buffer.concat(pieces).toString();
}
