/**
 * Who takes a connection's bytes in place of its handler: `for await (const chunk of connection)`, see chunk-queue.ts,
 * and other consumers. Costs nothing unless used.
 */

import { ChunkQueue } from './chunk-queue.js';
import type { SocketConnection } from './connection.js';
import { CLOSING, DESTROYED, END_OWED, HAS_READER, RECEIVE_ENDED } from './connection-table.js';
import { type ChunkConsumer, extrasOf } from './extras.js';

/** Starts to consume; one iterator for each connection. */
export function iterate(connection: SocketConnection): AsyncIterableIterator<Buffer> {
  const { highWaterMark, lowWaterMark } = connection.profile;
  const iterator = new ChunkQueue(connection, highWaterMark, lowWaterMark);
  consume(connection, iterator);
  return iterator;
}

/** Gives the consumer what is unread, and everything that follows. */
export function consume(connection: SocketConnection, consumer: ChunkConsumer): void {
  const { owner, slot } = connection;
  if (slot < 0 || (owner.table.flags[slot] & (CLOSING | DESTROYED)) !== 0) {
    consumer.close({ code: 'closed', unsentBytes: 0 });
    return;
  }
  const extras = extrasOf(owner, slot);
  if (extras.consumer !== undefined) {
    throw new TypeError('Cannot iterate over a connection twice');
  }
  extras.consumer = consumer;
  const flags = owner.table.flags[slot];
  if ((flags & HAS_READER) !== 0) {
    const reader = owner.readers.get(slot)!;
    if (reader.length > 0) {
      consumer.push(reader.readCopy(reader.length)!);
    }
  }
  if ((flags & RECEIVE_ENDED) !== 0 && (flags & END_OWED) === 0) {
    consumer.end();
  }
}
