/** Greets with its reactor's index if asked to, echoes, and does what its tasks say: for tests of the engine. */

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

export interface EchoData {
  readonly greets?: boolean;
  /** This reactor's boot fails. */
  readonly failingBoot?: number;
}

export interface Letter {
  readonly text: string;
  readonly from: number;
}

export default function createHandler({ greets, failingBoot }: EchoData = {}): Handler {
  const letters: Letter[] = [];
  return {
    async onBoot({ index }) {
      if (index === failingBoot) {
        await Promise.resolve();
        throw new RangeError(`no boot of ${index}`);
      }
    },
    onOpen(connection) {
      if (greets === true) {
        connection.write(`${connection.reactor.index}`);
      }
    },
    onMessage: (_reactor, bytes, from) => void letters.push({ text: bytes.toString(), from }),
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
      letters: () => letters,
      post: (reactor: Reactor, { to, text }: { to: number; text: string }) =>
        reactor.post(to, Buffer.from(text)),
      broadcast: (reactor: Reactor, text: string) => reactor.broadcast(Buffer.from(text)),
      change(_reactor: Reactor, list: number[]) {
        list.push(0);
        return list;
      },
      never: () => new Promise(() => {}),
      throwLater(_reactor: Reactor, message: string) {
        setTimeout(() => {
          throw new Error(message);
        });
      },
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
