/**
 * Shutting down in order: the core closes connections as soon as a server is to close, whatever a handler is still
 * working on. HTTP knows better when a connection has nothing under way, and says `Connection: close` before.
 */

import type { CloseOptions, Server } from '../api.js';
import { DRAIN_DEFAULT_MS, DRAIN_TASK } from './http-handler.js';

/**
 * Closes a server of `httpHandler`, on all its reactors: what is under way is answered, the last response of each
 * connection says `Connection: close`; what is left after `deadlineMs` (10,000), or when `signal` is aborted, is cut
 * off.
 */
export async function closeHttp(
  server: Pick<Server, 'executeAll' | 'close'>,
  options: CloseOptions = {},
): Promise<void> {
  const { deadlineMs = DRAIN_DEFAULT_MS, signal } = options;
  if (signal?.aborted === true) {
    return server.close({ deadlineMs: 0 });
  }
  let cutOff: (() => void) | undefined;
  const draining = server.executeAll(DRAIN_TASK, { deadlineMs }) as Promise<number[]>;
  const aborted = new Promise<number[]>((resolve) => {
    cutOff = () => resolve([deadlineMs]);
    signal?.addEventListener('abort', cutOff, { once: true });
  });
  try {
    const elapsed = await Promise.race([draining, aborted]);
    await server.close({
      deadlineMs: Math.max(deadlineMs - Math.max(...elapsed), 0),
      ...(signal === undefined ? {} : { signal }),
    });
  } finally {
    signal?.removeEventListener('abort', cutOff!);
    // After an abort the reactors may be gone before they answer.
    draining.catch(() => {});
  }
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
