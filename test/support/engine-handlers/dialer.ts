/** A handler that greets who connects, and whose tasks dial: what came of it is told as plain data. */

import type { Connection, DialOptions, Handler, Reactor } from '../../../src/index.js';

export interface DialOrder {
  readonly url: string;
  readonly options?: Omit<DialOptions, 'handler' | 'signal' | 'context'>;
}

export interface DialOutcome {
  /** Events of the dialed connection in their order: `opened`, `data …`, `resolved`, `rejected`, `closed …`. */
  readonly events: string[];
  readonly reactor: number;
  readonly owner: number | undefined;
  readonly code: string | undefined;
}

/** Dials, waits for the close, and notes everything on the way. */
export async function dialToTheEnd(reactor: Reactor, order: DialOrder): Promise<DialOutcome> {
  const events: string[] = [];
  let onClosed = () => {};
  const closed = new Promise<void>((resolve) => {
    onClosed = resolve;
  });
  const handler: Handler = {
    onOpen: () => void events.push('opened'),
    onData: (_connection, bytes) => void events.push(`data ${bytes}`),
    onClose(_connection, { code }) {
      events.push(`closed ${code}`);
      onClosed();
    },
  };
  let connection: Connection;
  try {
    connection = await reactor.dial(order.url, { ...order.options, handler });
  } catch (error) {
    events.push('rejected');
    const { code } = error as { code?: string };
    return { events, reactor: reactor.index, owner: undefined, code };
  }
  events.push('resolved');
  const owner = connection.reactor.index;
  await closed;
  return { events, reactor: reactor.index, owner, code: undefined };
}

export default function createHandler(): Handler {
  return {
    onOpen(connection) {
      connection.write('hello');
      return 'close';
    },
    tasks: { dial: dialToTheEnd },
  };
}
