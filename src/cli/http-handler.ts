/**
 * The handler of `millrace http`, as a module, so that it can run in the threads of several reactors: a function that
 * makes it from what the command read. Plain text, JSON and an echo to measure with, a WebSocket echo, a page that
 * shows what the server does, and the files of a folder.
 */

import type { Handler } from '../api.js';
import {
  type HttpRequest,
  type HttpResponse,
  httpHandler,
  prepareFields,
  Router,
  staticFiles,
} from '../http/index.js';
import { tlsHandler } from '../tls/index.js';
import { upgradeHook, WebSocketHub, webSocketServer } from '../websocket/index.js';
import { PAGE } from './http-page.js';

/** What the command gives to its reactors; cloneable. */
export interface HttpData {
  /** Certificate chain and key in PEM: then all is served over TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  /** The folder whose files are served. */
  readonly root: string | undefined;
}

/** The task by which the command tells the figures of all reactors once a second, as a text. */
export const FIGURES_TASK = 'figures';
/** The longest message that `/ws` sends back, and the largest body of `/echo`. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
const FIGURES = 'figures';

const TEXT = prepareFields({ 'Content-Type': 'text/plain; charset=utf-8' });
const JSON_TEXT = prepareFields({ 'Content-Type': 'application/json' });
const HTML = prepareFields({
  'Content-Type': 'text/html; charset=utf-8',
  'Cache-Control': 'no-cache',
});
const BYTES = prepareFields({ 'Content-Type': 'application/octet-stream' });

export async function handler({ tls, root }: HttpData): Promise<Handler> {
  const echo = webSocketServer({
    messageBytesMax: MESSAGE_BYTES_MAX,
    deflate: true,
    onMessage(socket, data, isBinary) {
      if (socket.send(data, { isBinary }) === 'full') {
        socket.close(1013, 'read what comes back');
      }
    },
  });
  // Figures that are late are of no use.
  const hub = new WebSocketHub({ whenSlow: 'drop-new' });
  const watchers = webSocketServer({
    hub,
    messageBytesMax: 1_024,
    onOpen: (socket) => hub.subscribe(socket, FIGURES),
  });
  const files =
    root === undefined
      ? undefined
      : await staticFiles(root, { precompressed: ['br', 'zstd', 'gzip'] });
  const router = new Router()
    .get('/plaintext', (_, response) => response.fields(TEXT).end('Hello, World!'))
    .get('/json', (_, response) => response.fields(JSON_TEXT).end('{"message":"Hello, World!"}'))
    .post('/echo', sendBack);
  if (files === undefined) {
    router.get('/', (_, response) => response.fields(HTML).end(PAGE));
  } else {
    router.otherwise((request, response) => files(request, response));
  }
  const toEcho = upgradeHook(echo, '/ws');
  const toFigures = upgradeHook(watchers, '/figures');
  const plain = httpHandler({
    onRequest: router.onRequest,
    onUpgrade: (request, connection) =>
      toEcho(request, connection) ?? toFigures(request, connection),
    async onBoot(reactor) {
      await echo.onBoot?.(reactor);
      await watchers.onBoot?.(reactor);
    },
    async onShutdown(reactor) {
      await echo.onShutdown?.(reactor);
      await watchers.onShutdown?.(reactor);
    },
    onMessage: (reactor, bytes, from) => watchers.onMessage?.(reactor, bytes, from),
    tasks: {
      [FIGURES_TASK]: (_reactor, text: string) => hub.publish(FIGURES, text),
    },
  });
  return tls === undefined ? plain : tlsHandler({ ...tls, alpn: ['http/1.1'] }, plain);
}

async function sendBack(request: HttpRequest, response: HttpResponse): Promise<void> {
  response.fields(BYTES);
  for await (const piece of request) {
    await response.writeAll(piece);
  }
  response.end();
}
