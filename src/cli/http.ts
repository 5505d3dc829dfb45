/** `millrace http`: an HTTP and WebSocket server, to try the library and to measure with. */

import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';

import type { ServeOptions, Server } from '../api.js';
import { threadKernel } from '../engine/thread-kernel.js';
import { CommandError, UsageError } from './failure.js';
import { FIGURES_TASK, type HttpData } from './http-handler.js';
import { readServeArguments, type ServeArguments } from './serve-flags.js';
import { serveUntilEnd } from './serve-until-end.js';
import type { Terminal } from './terminal.js';

export const HTTP_LISTEN = ['tcp://127.0.0.1:8080'];
const INTERVAL_MS = 1_000;

/** Resolves with the exit code when the server has ended. */
export async function http(args: readonly string[], terminal: Terminal): Promise<number> {
  const found = readServeArguments('http', args, HTTP_LISTEN);
  const data: HttpData = { tls: readTls(found), root: readRoot(found.root) };
  return serveUntilEnd(
    { ...found.options, ...httpOptions(data) },
    {
      terminal,
      isQuiet: found.isQuiet,
      onServing: (server) => tellFigures(server),
    },
  );
}

/** What an HTTP server needs beside its addresses. */
export function httpOptions(data: HttpData): Omit<ServeOptions, 'listen'> {
  return {
    handler: new URL('./http-handler.js', import.meta.url),
    data,
  };
}

/** Tells the figures of all reactors to those who watch, once a second. Returns what ends it. */
export function tellFigures(server: Server): () => void {
  const alarm = threadKernel().alarm(() => {
    server.execute(0, FIGURES_TASK, JSON.stringify(figuresOf(server))).catch(() => {
      // It is being closed, or its reactor was just replaced: the next figures come in a second.
    });
    alarm.set(INTERVAL_MS);
  });
  alarm.set(INTERVAL_MS);
  return () => alarm.clear();
}

function figuresOf(server: Server): Readonly<Record<string, number | string>> {
  const { connections, opened, receives, bytesReceived, bytesSent } = server.stats.totals;
  return {
    driver: server.driver,
    reactors: server.reactorCount,
    connections,
    opened,
    receives,
    bytesReceived,
    bytesSent,
    residentBytes: process.memoryUsage.rss(),
  };
}

function readTls({ tlsCert, tlsKey }: ServeArguments): HttpData['tls'] {
  if (tlsCert === undefined && tlsKey === undefined) {
    return undefined;
  }
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new UsageError('--tls-cert and --tls-key belong together', 'http');
  }
  return { cert: readText('--tls-cert', tlsCert), key: readText('--tls-key', tlsKey) };
}

function readText(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CommandError(
      `cannot read ${flag} ${path} (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}

function readRoot(path: string | undefined): string | undefined {
  if (path === undefined) {
    return undefined;
  }
  const root = resolve(path);
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new CommandError(`--root ${path} is not a folder`);
  }
  return root;
}
