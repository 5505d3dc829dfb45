/**
 * A server that ends in one of several ways, when it is told to by a message or by itself. Its first message is its
 * address; what it prints and its exit code are what the test looks at.
 */

import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { closeOnSignals, dial, type Server, serve } from '../../../src/index.js';

export interface ExitOrder {
  readonly way:
    | 'exit'
    | 'exit in a hook'
    | 'terminate'
    | 'signals'
    | 'unref'
    | 'close'
    | 'dial'
    | 'uncaught'
    | 'none';
  readonly reactors: number;
}

/** The code of `process.exit`, so that it is no other. */
export const EXIT_CODE = 23;

function start(reactors: number): Promise<Server> {
  return serve({
    listen: 'tcp://127.0.0.1:0',
    handler: new URL('../engine-handlers/echo.js', import.meta.url),
    reactors,
    // Nothing ends by it.
    lingerTimeoutMs: 3_600_000,
  });
}

/** Resolves when the test says so. */
async function told(): Promise<void> {
  await once(process, 'message');
  // From here on the channel alone does not keep the process.
  process.channel?.unref();
}

async function terminate(reactors: number): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { reactors } });
  const [address] = await once(worker, 'message');
  process.send!(address);
  await told();
  await worker.terminate();
  process.exitCode = EXIT_CODE;
  process.disconnect();
}

async function run({ way, reactors }: ExitOrder): Promise<void> {
  if (way === 'terminate') {
    return terminate(reactors);
  }
  if (way === 'exit in a hook') {
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: { onData: () => process.exit(EXIT_CODE) },
    });
    process.send!(server.addresses[0]);
    return undefined;
  }
  const server = await start(reactors);
  const [address] = server.addresses;
  if (way === 'signals') {
    closeOnSignals(server, {
      deadlineMs: 3_600_000,
      onSignal: (signal) => console.log(`got ${signal}`),
    });
    process.channel?.unref();
  }
  process.send!(address);
  if (way === 'unref') {
    server.unref();
  }
  if (way === 'signals' || way === 'none') {
    return undefined;
  }
  await told();
  if (way === 'exit') {
    process.exit(EXIT_CODE);
  } else if (way === 'uncaught') {
    setImmediate(() => {
      throw new Error('uncaught as told');
    });
  } else if (way === 'close') {
    await server.close({ deadlineMs: 0 });
    console.log('closed');
  } else if (way === 'dial') {
    const connection = await dial(address!);
    connection.write('ping');
    for await (const chunk of connection) {
      console.log(`got ${chunk}`);
      break;
    }
    await server.close();
    console.log('closed');
  }
  return undefined;
}

if (isMainThread) {
  await run(JSON.parse(process.argv[2]!) as ExitOrder);
} else {
  const { reactors } = workerData as { reactors: number };
  const server = await start(reactors);
  parentPort!.postMessage(server.addresses[0]);
}
