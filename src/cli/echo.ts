/** `millrace echo`: an echo server, to try the library and to measure with. */

import type { ServeOptions } from '../api.js';
import { readServeArguments } from './serve-flags.js';
import { serveUntilEnd } from './serve-until-end.js';
import type { Terminal } from './terminal.js';

export const ECHO_LISTEN = ['tcp://127.0.0.1:9000', 'unix:///tmp/millrace-echo.sock'];

/** What an echo server needs beside its addresses. */
export const ECHO_OPTIONS = {
  handler: new URL('./echo-handler.js', import.meta.url),
  // A client may send FIN and then take its time to read: only one that takes nothing for long is cut off.
  allowHalfOpen: true,
  halfOpenTimeoutMs: 0,
  whenFull: 'pause-source',
} as const satisfies Partial<ServeOptions>;

/** Resolves with the exit code when the server has ended. */
export async function echo(args: readonly string[], terminal: Terminal): Promise<number> {
  const { options, isQuiet } = readServeArguments('echo', args, ECHO_LISTEN);
  return serveUntilEnd({ ...options, ...ECHO_OPTIONS }, { terminal, isQuiet });
}
