/** `millrace demo`: the echo server with the HTTP server beside it, which is what `npm start` shows. */

import { ECHO_LISTEN, ECHO_OPTIONS } from './echo.js';
import { HTTP_LISTEN, httpOptions, tellFigures } from './http.js';
import { readServeArguments } from './serve-flags.js';
import { serveUntilEnd } from './serve-until-end.js';
import type { Terminal } from './terminal.js';

/** Resolves with the exit code when the servers have ended. */
export async function demo(args: readonly string[], terminal: Terminal): Promise<number> {
  const { options, isQuiet, http } = readServeArguments('demo', args, ECHO_LISTEN);
  const { listen: _, ...common } = options;
  const data = { tls: undefined, root: undefined };
  return serveUntilEnd(
    { ...options, ...ECHO_OPTIONS },
    {
      terminal,
      isQuiet,
      beside: { ...common, listen: http ?? HTTP_LISTEN, ...httpOptions(data) },
      onServingBeside: (server) => tellFigures(server),
    },
  );
}
