/**
 * Closes one connection in the hook of another, as ordered; and can be held, so that more than one descriptor is ready
 * when it goes on. Echoes are preceded by the id of the connection that they come from.
 */

import type { Handler } from '../../../src/index.js';
import { hello, observed } from '../observed.js';
import { DEEDS, Gate, ORDER_BYTES } from './batch-order.js';

export interface BatchData {
  /** GATE_BYTES, if the hook that closes another connection is to wait for the test before it returns. */
  readonly gate?: SharedArrayBuffer;
}

/** A thread must not be lost to a test that failed. */
const WAIT_MS = 5_000;

export function handler({ gate }: BatchData): Handler {
  const words = gate === undefined ? undefined : new Int32Array(gate);
  /** Deeds that found their target. */
  let done = 0;
  return observed({
    onOpen(connection) {
      connection.write(hello(connection));
    },
    onData(connection, bytes) {
      const deed = DEEDS[bytes[0]!];
      if (deed === 'abort' || deed === 'close') {
        const target = connection.reactor.find(bytes.readDoubleBE(1));
        done += target === undefined ? 0 : 1;
        target?.[deed]();
        if (words !== undefined) {
          raise(words, Gate.done);
          Atomics.wait(words, Gate.mayReturn, 0, WAIT_MS);
        }
      } else {
        connection.write(hello(connection));
        connection.write(bytes.subarray(ORDER_BYTES));
      }
    },
    tasks: {
      hold: () => {
        raise(words!, Gate.held);
        Atomics.wait(words!, Gate.letGo, 0, WAIT_MS);
      },
      done: () => done,
      find: (reactor, ids: number[]) => ids.map((id) => reactor.find(id)?.id),
    },
  });
}

function raise(words: Int32Array, word: number): void {
  Atomics.store(words, word, 1);
  Atomics.notify(words, word);
}
