/** `serve`: the way in. Chooses the shape of the server and starts it. */

import type { Handler, ServeOptions, Server } from '../api.js';
import { events } from '../connection/diagnostics.js';
import { chooseDriver, type DriverName } from '../connection/drivers/choose.js';
import { isMainFile, loadHandler, moduleUrl } from './load-handler.js';
import { LocalServer } from './local-server.js';
import { resolveListen } from './resolve-listen.js';
import { isModule, readSettings } from './settings.js';
import { threadKernel } from './thread-kernel.js';
import { ThreadedServer } from './threaded-server.js';

/**
 * Starts a server. Resolves when it listens; `server.addresses` has the real ports.
 *
 * A handler object runs in the calling thread. A handler module (a URL or a path) runs in `reactors` threads, or, with
 * one reactor, in the calling thread too, unless it is the program's main file.
 *
 * @throws TypeError, RangeError for options that make no sense; SystemError when the system refuses, such as
 *   EADDRINUSE; MillraceError ERR_PLATFORM where there is no driver, ERR_HANDLER_MODULE for a bad module.
 */
export async function serve(options: ServeOptions): Promise<Server> {
  options.signal?.throwIfAborted();
  const kernel = threadKernel();
  const settings = readSettings(options, kernel.descriptorLimit(), (wanted, wantsDirect) =>
    chooseDriver(
      kernel,
      // Who wants direct descriptors has decided for io_uring.
      wanted === 'auto' && !wantsDirect ? driverOfEnvironment() : wanted,
      wantsDirect,
    ),
  );
  const addresses = await resolveListen(settings.addresses);
  const server =
    settings.reactors > 1 || isMainModule(options)
      ? new ThreadedServer(options, settings)
      : new LocalServer(await handlerOf(options), settings);
  await server.start(addresses);
  if (options.signal !== undefined) {
    await obey(options.signal, server);
  }
  events.listening.publish({ server });
  return server;
}

/** Closes the server when the signal is aborted. Throws its reason if that has happened while the server started. */
async function obey(signal: AbortSignal, server: Server): Promise<void> {
  if (signal.aborted) {
    await server.close({ deadlineMs: 0 });
    throw signal.reason;
  }
  const onAbort = () => void server.close();
  signal.addEventListener('abort', onAbort, { once: true });
  void server.closed.then(() => signal.removeEventListener('abort', onAbort));
}

/** What `auto` means where the operator has decided: MILLRACE_DRIVER. */
function driverOfEnvironment(): DriverName | 'auto' {
  const { MILLRACE_DRIVER: name } = process.env;
  if (name === undefined || name === '' || name === 'auto') {
    return 'auto';
  }
  if (name !== 'epoll' && name !== 'uring') {
    throw new TypeError(`Expected MILLRACE_DRIVER to be auto, epoll or uring, got ${name}`);
  }
  return name;
}

function isMainModule({ handler }: ServeOptions): boolean {
  return isModule(handler) && isMainFile(moduleUrl(handler));
}

async function handlerOf(options: ServeOptions): Promise<Handler> {
  const { handler } = options;
  return isModule(handler) ? loadHandler(moduleUrl(handler), options.data) : handler;
}
