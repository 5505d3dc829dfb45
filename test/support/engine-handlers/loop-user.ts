/**
 * A handler that uses Node's event loop while a connection streams: each message of the stream is an occasion to see
 * how soon promises, nextTick, timers and immediates of Node's come, counted in messages of the stream and in turns.
 */

import { AsyncLocalStorage } from 'node:async_hooks';

import type { Connection, Handler, Reactor } from '../../../src/index.js';

export interface LoopReport {
  /** Messages of the stream that came between the start and the end of each kind of work, the most of all. */
  readonly worst: Record<string, number>;
  readonly done: Record<string, number>;
  readonly messages: number;
}

const ASKING = 0x3f;

async function chain(length: number): Promise<void> {
  for (let i = 0; i < length; i += 1) {
    await undefined;
  }
}

export default function createHandler(): Handler {
  const report = { worst: {} as Record<string, number>, done: {} as Record<string, number> };
  const storage = new AsyncLocalStorage<number>();
  let messages = 0;
  /** Gives the function to call when the work is done. */
  const begin = (kind: string) => {
    const start = messages;
    return () => {
      report.worst[kind] = Math.max(report.worst[kind] ?? 0, messages - start);
      report.done[kind] = (report.done[kind] ?? 0) + 1;
    };
  };
  const work = () => {
    process.nextTick(begin('nextTick'));
    queueMicrotask(begin('microtask'));
    void chain(100).then(begin('100 awaits'));
    setImmediate(begin('immediate'));
    setTimeout(begin('timer'), 1);
  };
  const answerLater = async (connection: Connection) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    await chain(10);
    connection.write(`after ${storage.getStore()} await`);
  };
  return {
    onData(connection, bytes) {
      if (bytes[0] === ASKING) {
        storage.run(bytes.byteLength, () => void answerLater(connection));
        return;
      }
      messages += 1;
      work();
    },
    tasks: {
      report: (): LoopReport => ({ ...report, messages }),
      resources: (_reactor: Reactor) => process.getActiveResourcesInfo(),
    },
  };
}
