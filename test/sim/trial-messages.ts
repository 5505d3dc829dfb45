/**
 * Talk between the reactors of a trial's engine: each connection that opens makes its reactor post to others, who check
 * what they get and write nothing to that connection by its id, wherever it is by then.
 */

import type { Handler } from '../../src/api.js';
import type { Random } from './random.js';
import { checkStream, streamBytes } from './trial-ledger.js';

/** The id of a connection, as a double, before the bytes to check. */
const HEADER_BYTES = 8;
const BYTES_MAX = 300;

/** The same handler with messages on top. It must have onOpen and no onMessage. */
export function addMessages(handler: Handler, random: Random, reactors: number): Handler {
  return {
    ...handler,
    onOpen(connection) {
      const { reactor } = connection;
      const message = makeMessage(connection.id, random);
      if (random.chance(0.2)) {
        reactor.broadcast(message);
      } else {
        reactor.post(random.below(reactors), message);
      }
      return handler.onOpen!(connection);
    },
    onMessage(reactor, bytes) {
      const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const id = message.readDoubleLE(0);
      checkStream(id >>> 0, 0, message.subarray(HEADER_BYTES), 'a message');
      reactor.write(id, new Uint8Array(0));
    },
  };
}

function makeMessage(id: number, random: Random): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeDoubleLE(id);
  return Buffer.concat([header, streamBytes(id >>> 0, 0, random.between(0, BYTES_MAX))]);
}
