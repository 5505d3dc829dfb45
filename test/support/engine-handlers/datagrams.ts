/**
 * Echoes datagrams, by socket or by session, and TCP beside them. What it has seen is the answer of the task `report`.
 * With `data.asks` a datagram may be a command: `close` ends its session, `throw` throws, `shutdown` ends the server.
 */

import type { DatagramSession, DatagramSocket, Handler } from '../../../src/index.js';

export interface DatagramReport {
  readonly datagrams: number;
  readonly truncated: number;
  readonly opened: string[];
  /** What each session has received, and why it closed. */
  readonly closed: { address: string; code: string; timeout?: string; received: number }[];
  readonly errors: string[];
  readonly sockets: number;
  readonly socketsClosed: number;
}

export interface DatagramData {
  readonly asks?: boolean;
  /** Does not answer. */
  readonly isMute?: boolean;
}

export function handler({ asks = false, isMute = false }: DatagramData = {}): Handler {
  let datagrams = 0;
  let truncated = 0;
  let socketsClosed = 0;
  const opened: string[] = [];
  const closed: DatagramReport['closed'] = [];
  const errors: string[] = [];
  const sockets: DatagramSocket[] = [];
  const sessions: DatagramSession[] = [];
  const obey = (bytes: Buffer): 'close' | 'shutdown' | undefined => {
    const text = asks && bytes.byteLength < 10 ? bytes.toString() : '';
    if (text === 'throw') throw new Error('as asked');
    return text === 'close' || text === 'shutdown' ? text : undefined;
  };
  return {
    onData(connection, bytes) {
      connection.write(bytes);
    },
    onSocketOpen(socket) {
      sockets.push(socket);
    },
    onDatagram(socket, bytes, peer, byteLength) {
      datagrams += 1;
      truncated += byteLength > bytes.byteLength ? 1 : 0;
      if (!isMute) socket.send(bytes, peer);
      return obey(bytes);
    },
    onSessionOpen(session) {
      opened.push(session.remoteAddress);
      sessions.push(session);
      session.context = session.remoteAddress;
    },
    onSessionData(session, bytes) {
      datagrams += 1;
      if (session.context !== session.remoteAddress) errors.push('not its context');
      if (!isMute) session.send(bytes);
      return obey(bytes);
    },
    onSessionClose(session, { code, timeout }) {
      closed.push({
        address: session.remoteAddress,
        code,
        received: session.datagramsReceived,
        ...(timeout === undefined ? {} : { timeout }),
      });
      if (session.isOpen || session.send('late') !== 'closed') errors.push('closed, and open');
    },
    onDatagramError(_socket, error, peer) {
      errors.push(`${(error as NodeJS.ErrnoException).code} ${peer?.address}`);
    },
    onSocketClose() {
      socketsClosed += 1;
    },
    tasks: {
      ...tasksOf(sockets),
      ...idTasksOf(sockets, sessions),
      report: (): DatagramReport => ({
        datagrams,
        truncated,
        opened,
        closed,
        errors,
        sockets: sockets.length,
        socketsClosed,
      }),
    },
  };
}

export interface DatagramIds {
  readonly sessions: { readonly id: number; readonly address: string }[];
  readonly sockets: { readonly id: number; readonly address: string }[];
}

export interface SendOrder {
  readonly id: number;
  readonly text: string;
  readonly to?: string;
}

/** Sessions, those that are closed included, and sockets by id. */
function idTasksOf(
  sockets: readonly DatagramSocket[],
  sessions: readonly DatagramSession[],
): NonNullable<Handler['tasks']> {
  return {
    ids: (): DatagramIds => ({
      sessions: sessions.map(({ id, remoteAddress }) => ({ id, address: remoteAddress })),
      sockets: sockets.map(({ id, localAddress }) => ({ id, address: localAddress })),
    }),
    sendById: (reactor, { id, text, to }: SendOrder) => reactor.send(id, Buffer.from(text), to),
    finds: (reactor, id: number) => reactor.findSession(id)?.isOpen === true,
    closeSession: (reactor, id: number) => reactor.findSession(id)?.close(),
  };
}

/** What a test may ask the first socket of a reactor to do. */
function tasksOf(sockets: readonly DatagramSocket[]): NonNullable<Handler['tasks']> {
  return {
    send: (_reactor, { to, text }: { to: string; text: string }) => sockets[0]!.send(text, to),
    pause: () => sockets[0]!.pause(),
    resume: () => sockets[0]!.resume(),
    /** Ends the thread, as an error that nobody catches does. */
    die: () => {
      setImmediate(() => {
        throw new Error('as asked');
      });
    },
  };
}
