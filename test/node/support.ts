/** What the tests of `millrace/node` have in common: servers that end with their test. */

import { once } from 'node:events';
import type net from 'node:net';
import type { TestContext } from 'node:test';

import { type Handler, type ServeOptions, type Server, serve } from '../../src/index.js';

/** Starts a server on a free port; it is closed with the test, and must have warned of nothing. */
export async function startServer(
  t: TestContext,
  handler: Handler,
  options: Partial<ServeOptions> = {},
): Promise<{ server: Server; url: string; port: number }> {
  const warnings: Error[] = [];
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    lingerTimeoutMs: 60_000,
    onWarning: (warning) => warnings.push(warning),
    ...options,
    handler,
  });
  t.after(async () => {
    await server.close({ deadlineMs: 0 });
    if (warnings.length > 0) {
      throw new Error(`The server warned: ${String(warnings[0])}`);
    }
  });
  const [url] = server.addresses;
  return { server, url: url!, port: Number(url!.slice(url!.lastIndexOf(':') + 1)) };
}

/** A server of Node that listens on a free port. */
export async function listening<Kind extends net.Server>(
  t: TestContext,
  server: Kind,
): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as net.AddressInfo).port;
}

/** All that a stream of Node gives. */
export async function textOf(stream: AsyncIterable<Buffer | string>): Promise<string> {
  let text = '';
  for await (const chunk of stream) {
    text += chunk.toString();
  }
  return text;
}
