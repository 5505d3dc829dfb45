/**
 * What all commands that serve have in common: serves, says where, shows what happens, ends on Ctrl-C or SIGTERM with
 * a summary. A signal starts the graceful shutdown of the library; a second one ends the process.
 */

import { constants } from 'node:os';

import { threadKernel } from '../engine/thread-kernel.js';
import { closeOnSignals, type ServeOptions, type Server, serve } from '../index.js';
import { formatNoun } from './figures.js';
import { describeHints } from './hints.js';
import { StatusLine } from './status-line.js';
import { describeSummary } from './summary.js';
import type { Terminal } from './terminal.js';
import { Warnings } from './warnings.js';

export interface ServeView {
  readonly terminal: Terminal;
  /** Only the line with the addresses. */
  readonly isQuiet: boolean;
  /** What else is to be done while it serves. Returns what ends that. */
  readonly onServing?: (server: Server) => () => void;
  /** Served beside the first, until that ends. */
  readonly beside?: ServeOptions;
  readonly onServingBeside?: (server: Server) => () => void;
}

/** Resolves with the exit code when the server has ended; rejects as `serve` does when it cannot start. */
export async function serveUntilEnd(options: ServeOptions, view: ServeView): Promise<number> {
  const { terminal, isQuiet } = view;
  const kernel = threadKernel();
  const warnings = new Warnings(
    (line) => terminal.complain(line),
    process.env.MILLRACE_DEBUG === '1',
  );
  const onWarning = (warning: Error) => warnings.add(warning);
  const server = await serve({ ...options, onWarning });
  const beside = view.beside && (await serveBeside(server, { ...view.beside, onWarning }));
  const startedAt = kernel.now();
  const status =
    isQuiet || !terminal.isInteractive ? undefined : new StatusLine(server, terminal, kernel);
  const summarize = () => {
    status?.stop();
    if (!isQuiet) {
      terminal.print(describeSummary(server.stats.totals, kernel.now() - startedAt));
    }
  };
  closeOnSignals(server, {
    onSignal: () => {
      status?.stop();
      announceEnd(server, view);
      void beside?.close();
    },
    onHurry: (signal) => {
      summarize();
      process.exit(128 + constants.signals[signal]);
    },
  });
  terminal.print(describeListening(server));
  if (beside !== undefined) {
    terminal.print(describeListening(beside));
  }
  if (process.env.MILLRACE_HINTS === '1' && !isQuiet) {
    const page = beside?.addresses[0]?.replace(/^tcp/, 'http');
    terminal.print(describeHints(server.addresses, page));
  }
  status?.start();
  const stop = view.onServing?.(server);
  const stopBeside = beside && view.onServingBeside?.(beside);
  try {
    await server.closed;
  } finally {
    stop?.();
    stopBeside?.();
    await beside?.close();
  }
  summarize();
  return 0;
}

/** The second server; without it, the first one ends, too. */
async function serveBeside(server: Server, options: ServeOptions): Promise<Server> {
  try {
    return await serve(options);
  } catch (error) {
    await server.close({ deadlineMs: 0 });
    throw error;
  }
}

/** `millrace: listening on tcp://127.0.0.1:9000 (epoll, 1 reactor, pid 123)`. */
function describeListening(server: Server): string {
  const { addresses, driver, reactorCount } = server;
  const how = `${driver}, ${formatNoun(reactorCount, 'reactor')}, pid ${process.pid}`;
  return `millrace: listening on ${addresses.join(', ')} (${how})`;
}

/** Peers may take their time to agree to the end: tell who is waited for, and the way out. */
function announceEnd(server: Server, { terminal, isQuiet }: ServeView): void {
  const { connections } = server.stats.totals;
  if (!isQuiet && connections > 0) {
    const open = formatNoun(connections, 'open connection');
    terminal.print(`millrace: ending, ${open} (Ctrl-C again ends at once)`);
  }
}
