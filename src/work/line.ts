/** The tasks of one connection, in their order, and what is known of each. */

import type { ConnectionState, Reactor } from '../api.js';

/** What the queue needs of a connection: a `Connection` or a `FramedConnection` has it. */
export interface WorkConnection {
  readonly state: ConnectionState;
  readonly reactor: Pick<Reactor, 'execute' | 'now' | 'setTimer' | 'clearTimer'>;
  readonly isPaused: boolean;
  pause(): void;
  resume(): void;
  abort(): void;
}

/** What became of a task: its value, or the error of the pool, a timeout or an abort. */
export type Answer<Value> =
  | { readonly error: undefined; readonly value: Value }
  | { readonly error: Error; readonly value?: undefined };

export class Entry<Task, Value> {
  readonly line: Line<Task, Value>;
  readonly onAnswer: (connection: WorkConnection, answer: Answer<Value>) => void;
  /** Until the pool has it. */
  task: Task | undefined;
  state: 'waiting' | 'running' | 'done' = 'waiting';
  answer: Answer<Value> | undefined = undefined;
  timer = -1;
  signal: AbortSignal | undefined = undefined;
  onAbort: (() => void) | undefined = undefined;
  /** Of a task that runs: to have the pool stop it. */
  controller: AbortController | undefined = undefined;

  constructor(
    line: Line<Task, Value>,
    task: Task,
    onAnswer: (connection: WorkConnection, answer: Answer<Value>) => void,
  ) {
    this.line = line;
    this.task = task;
    this.onAnswer = onAnswer;
  }

  /** Notes the answer, and aborts the task if the pool still works on it. */
  finish(answer: Answer<Value>): void {
    this.state = 'done';
    this.answer = answer;
    this.task = undefined;
    if (this.timer >= 0) {
      this.line.connection.reactor.clearTimer(this.timer);
      this.timer = -1;
    }
    if (this.onAbort !== undefined) {
      this.signal?.removeEventListener('abort', this.onAbort);
    }
    if (answer.error !== undefined) {
      this.controller?.abort(answer.error);
    }
    this.controller = undefined;
  }
}

export class Line<Task, Value> {
  readonly connection: WorkConnection;
  readonly entries: Entry<Task, Value>[] = [];
  /** By us. */
  isPaused = false;
  /** Its answers are about to be given. */
  isScheduled = false;

  constructor(connection: WorkConnection) {
    this.connection = connection;
  }

  nextWaiting(): Entry<Task, Value> | undefined {
    return this.entries.find(({ state }) => state === 'waiting');
  }
}
