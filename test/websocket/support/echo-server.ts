/** A WebSocket server in this thread that echoes, and notes what its hooks are told. */

import { type ServeOptions, type Server, serve } from '../../../src/index.js';
import {
  type WebSocketClose,
  type WebSocket,
  type WebSocketServer,
  type WebSocketServerOptions,
  webSocketServer,
} from '../../../src/websocket/index.js';

export interface TestServer {
  readonly server: Server;
  readonly handler: WebSocketServer;
  readonly url: string;
  /** The same for WebSocket clients. */
  readonly wsUrl: string;
  readonly closes: WebSocketClose[];
  readonly warnings: Error[];
  /** Sockets in the order in which they were opened. */
  readonly sockets: WebSocket[];
}

export async function startServer(
  scope: { after(callback: () => Promise<void>): void },
  options: WebSocketServerOptions = {},
  serveOptions: Partial<ServeOptions> = {},
): Promise<TestServer> {
  const closes: WebSocketClose[] = [];
  const sockets: WebSocket[] = [];
  const warnings: Error[] = [];
  const handler = webSocketServer({
    onMessage(socket, data, isBinary) {
      socket.send(data, { isBinary });
    },
    ...options,
    onOpen(socket) {
      sockets.push(socket);
      options.onOpen?.(socket);
    },
    onClose(socket, close) {
      closes.push(close);
      options.onClose?.(socket, close);
    },
  });
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    onWarning: (warning) => warnings.push(warning),
    ...serveOptions,
    handler,
  });
  scope.after(() => server.close({ deadlineMs: 0 }));
  const url = server.addresses[0]!;
  const wsUrl = url.replace('tcp://', 'ws://');
  return { server, handler, url, wsUrl, closes, warnings, sockets };
}
