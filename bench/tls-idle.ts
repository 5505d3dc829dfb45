/**
 * What a TLS connection costs that has shaken hands, echoed once and is silent: memory of the process for each, after a
 * warm-up. millrace's server also says how much of it lies in its JavaScript heap and in its own tables: the rest is
 * OpenSSL's objects, which are what they are.
 */

import { nativePath } from './build-native.js';
import { type Client, startClient } from './client-process.js';
import { type ServerCommand, startServer } from './server-process.js';

const TIMEOUT_MS = 60_000;
const WARM_UP_CONNECTIONS = 300;

export interface TlsIdle {
  readonly server: string;
  readonly connections: number;
  readonly bytesPerConnection: number;
  /** Of malloc, in use; and what is left of the gain in heap and array buffers. Undefined for node:tls. */
  readonly openSslBytes: number | undefined;
  readonly ownBytes: number | undefined;
}

/** What the server's `memory` command prints. */
interface Memory {
  readonly mallocBytes: number;
  readonly heapBytes: number;
}

export async function measureTlsIdle(
  command: ServerCommand,
  connections: number,
  serverCore: number,
  clientCore: number,
): Promise<TlsIdle> {
  const isOwn = command.name === 'millrace';
  const argv = isOwn ? withGc(command.argv) : command.argv;
  const server = await startServer({ ...command, argv }, serverCore);
  const clients: Client<unknown>[] = [];
  const open = async (count: number): Promise<void> => {
    const address = ['--address', `tcp://127.0.0.1:${server.port}`];
    const program = [nativePath('tls-load'), ...address, '--connections', String(count)];
    const client = await startClient<unknown>('the idle clients', program, clientCore);
    clients.push(client);
    await client.command('run 0.2', TIMEOUT_MS);
  };
  const memory = async (): Promise<Memory> =>
    isOwn
      ? (JSON.parse(await server.ask('memory', TIMEOUT_MS)) as Memory)
      : { mallocBytes: 0, heapBytes: 0 };
  try {
    await open(WARM_UP_CONNECTIONS);
    const own = await memory();
    const before = server.memory();
    await open(connections);
    const ownAfter = await memory();
    const after = server.memory();
    const each = (bytes: number) => Math.round(bytes / connections);
    return {
      server: command.name,
      connections,
      bytesPerConnection: each(after.anonymousBytes - before.anonymousBytes),
      openSslBytes: isOwn ? each(ownAfter.mallocBytes - own.mallocBytes) : undefined,
      ownBytes: isOwn ? each(ownAfter.heapBytes - own.heapBytes) : undefined,
    };
  } finally {
    for (const client of clients) await client.stop();
    await server.stop();
  }
}

function withGc([node = '', ...rest]: readonly string[]): string[] {
  return [node, '--expose-gc', ...rest];
}
