/** `millrace push`: a push server, which sends a line a second to every client. */

import { readServeArguments } from './serve-flags.js';
import { serveUntilEnd } from './serve-until-end.js';
import type { Terminal } from './terminal.js';

const LISTEN_DEFAULT = ['tcp://127.0.0.1:9000'];

/** Resolves with the exit code when the server has ended. */
export async function push(args: readonly string[], terminal: Terminal): Promise<number> {
  const { options, isQuiet } = readServeArguments('push', args, LISTEN_DEFAULT);
  return serveUntilEnd(
    { ...options, handler: new URL('./push-handler.js', import.meta.url) },
    { terminal, isQuiet },
  );
}
