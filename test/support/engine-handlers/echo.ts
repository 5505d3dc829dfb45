/** Echoes, and does what its tasks say: all of them for tests of the engine. */

import { readFileSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

import type { Handler, Reactor } from '../../../src/index.js';

/** Linux's own number of the calling thread, to be found below /proc/self/task. */
function nativeThreadId(): number {
  return Number(readFileSync('/proc/thread-self/stat', 'latin1').split(' ')[0]);
}

function fillHeap(): never {
  const kept: unknown[] = [];
  for (;;) {
    kept.push(new Array(1_000).fill(kept.length).map((value: number) => ({ value })));
  }
}

export default function createHandler(): Handler {
  return {
    onData: (connection, bytes) => void connection.write(bytes),
    tasks: {
      index: ({ index }: Reactor) => index,
      threadId: () => threadId,
      nativeThreadId,
      connections: (reactor: Reactor) => [...reactor.connections()].map(({ id }) => id),
      double: (_reactor: Reactor, value: number) => value * 2,
      echo: async (_reactor: Reactor, value: unknown) => value,
      fail(_reactor: Reactor, message: string) {
        throw new TypeError(message);
      },
      reject: async (_reactor: Reactor, message: string) => {
        throw Object.assign(new Error(message), { code: 'ECODE' });
      },
      unclonable: () => () => {},
      exit: (_reactor: Reactor, code: number) => process.exit(code),
      fillHeap,
      block(_reactor: Reactor, milliseconds: number) {
        const end = performance.now() + milliseconds;
        while (performance.now() < end) {
          // On purpose.
        }
      },
    },
  };
}
