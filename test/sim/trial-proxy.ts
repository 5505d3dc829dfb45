/**
 * The proxy of a trial: each accepted connection gets one to an echoing server outside, dialed from the same reactor;
 * bytes, ends and closes are passed on both ways, and whoever is fast waits for whoever is slow.
 */

import type { Connection, ConnectionOptions, DialOptions, Handler } from '../../src/api.js';
import { type Entry, entryOf, type Ledger } from './trial-ledger.js';

export function makeProxy(ledger: Ledger, upstream: string, options: ConnectionOptions): Handler {
  const links = new Map<Connection, Connection>();
  const both: Handler = {
    onData: (connection, bytes) => forward(links, connection, bytes),
    onDrain: (connection) => entryOf(connection).alive('drain'),
    onEnd(connection) {
      const entry = entryOf(connection);
      entry.alive('end');
      entry.ended += 1;
      links.get(connection)?.end();
    },
    onClose(connection, reason) {
      entryOf(connection).close(reason);
      const other = links.get(connection);
      links.delete(connection);
      if (other !== undefined) {
        stop(entryOf(other), () => other.close());
      }
    },
  };
  const dialing: DialOptions = {
    ...options,
    connectTimeoutMs: 500,
    handler: { ...both, onOpen: (connection) => void ledger.open(connection, true) },
  };
  return {
    ...both,
    onOpen(connection) {
      const entry = ledger.open(connection);
      connection.pause();
      connection.reactor.dial(upstream, dialing).then(
        (other) => link(links, entry, other),
        () => stop(entry, () => connection.abort()),
      );
    },
  };
}

function link(links: Map<Connection, Connection>, entry: Entry, other: Connection): void {
  const { connection } = entry;
  if (entry.closed > 0 || connection.state === 'closed') {
    stop(entryOf(other), () => other.abort());
    return;
  }
  if (other.state === 'closed') {
    stop(entry, () => connection.abort());
    return;
  }
  links.set(connection, other);
  links.set(other, connection);
  connection.resume();
}

function forward(links: Map<Connection, Connection>, from: Connection, bytes: Buffer): void {
  const entry = entryOf(from);
  entry.take(bytes);
  const to = links.get(from);
  const result = to === undefined ? 'closed' : entryOf(to).wrote(to.write(bytes), bytes.byteLength);
  if (result === 'full' || result === 'closed') {
    stop(entry, () => from.close());
  }
}

function stop(entry: Entry, how: () => void): void {
  entry.isFinished = true;
  how();
}
