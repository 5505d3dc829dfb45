/** `millrace echo`: an echo server, to try the library and to measure with. */

import { readServeArguments } from './serve-flags.js';
import { serveUntilEnd } from './serve-until-end.js';
import type { Terminal } from './terminal.js';

const LISTEN_DEFAULT = ['tcp://127.0.0.1:9000', 'unix:///tmp/millrace-echo.sock'];

/** Resolves with the exit code when the server has ended. */
export async function echo(args: readonly string[], terminal: Terminal): Promise<number> {
  const { options, isQuiet } = readServeArguments('echo', args, LISTEN_DEFAULT);
  return serveUntilEnd(
    {
      ...options,
      handler: new URL('./echo-handler.js', import.meta.url),
      // A client may send FIN and then take its time to read: only one that takes nothing for long is cut off.
      allowHalfOpen: true,
      halfOpenTimeoutMs: 0,
      whenFull: 'pause-source',
    },
    { terminal, isQuiet },
  );
}
