/**
 * Shutting down in order: the core closes connections as soon as a server is to close, whatever a handler is still
 * working on. HTTP knows better when a connection has nothing under way, and says `Connection: close` before.
 */

import type { Server } from '../api.js';
import { DRAIN_DEFAULT_MS, DRAIN_TASK } from './http-handler.js';

/**
 * Closes a server of `httpHandler`, on all its reactors: what is under way is answered, the last response of each
 * connection says `Connection: close`; what is left after `deadlineMs` (10,000) is cut off.
 */
export async function closeHttp(
  server: Pick<Server, 'executeAll' | 'close'>,
  options: { deadlineMs?: number } = {},
): Promise<void> {
  const { deadlineMs = DRAIN_DEFAULT_MS } = options;
  const elapsed = (await server.executeAll(DRAIN_TASK, { deadlineMs })) as number[];
  await server.close({ deadlineMs: Math.max(deadlineMs - Math.max(...elapsed), 0) });
}

/**
 * Makes `server.close` do that, hence `closeOnSignals` and `await using` too. A second call is the plain one, which
 * hurries the first. Returns the server.
 */
export function drainOnClose<S extends Server>(server: S): S {
  const close = server.close.bind(server);
  const executeAll = server.executeAll.bind(server);
  let closing: Promise<void> | undefined;
  server.close = (options = {}) => {
    if (closing === undefined) {
      closing = closeHttp({ executeAll, close }, options);
      return closing;
    }
    return close(options);
  };
  return server;
}
