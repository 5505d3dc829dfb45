/** Echoes, keeps account of the messages it gets, and as a task floods another reactor with messages itself. */

import type { Handler, Reactor } from '../../../src/index.js';
import { FloodAccount } from '../flood.js';

export interface FloodTask {
  readonly target: number;
  readonly sender: number;
  readonly count: number;
}

export interface FloodReport {
  readonly received: number;
  readonly disorders: number;
  readonly next: number[];
  /** Indices of the reactors that messages came from, and -1 for threads that are none. */
  readonly from: number[];
  readonly refused: number;
}

export default function createHandler(): Handler {
  const account = new FloodAccount();
  const from = new Set<number>();
  let refused = 0;
  /** Posts as many as fit, the rest in a later turn. */
  const pour = (reactor: Reactor, task: FloodTask, first: number, done: () => void) => {
    for (let i = first; i < task.count; i += 1) {
      const message = Buffer.alloc(8);
      message.writeUInt32LE(task.sender, 0);
      message.writeUInt32LE(i, 4);
      if (!reactor.post(task.target, message)) {
        refused += 1;
        reactor.execute(() => pour(reactor, task, i, done));
        return;
      }
    }
    done();
  };
  return {
    onData: (connection, bytes) => void connection.write(bytes),
    onMessage(_reactor, bytes, sender) {
      account.note(bytes);
      from.add(sender);
    },
    tasks: {
      /** Stands still until word 0 of the gate is set; sets word 1 first. */
      stand: (_reactor: Reactor, gate: Int32Array) => {
        Atomics.store(gate, 1, 1);
        Atomics.wait(gate, 0, 0);
      },
      flood: (reactor: Reactor, task: FloodTask) =>
        new Promise<void>((resolve) => pour(reactor, task, 0, resolve)),
      report: (): FloodReport => ({
        received: account.received,
        disorders: account.disorders,
        next: account.next,
        from: [...from].sort(),
        refused,
      }),
    },
  };
}
