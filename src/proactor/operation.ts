/** Operations, which become their own results, and the queues in which they wait: first in, first out. */

import type { OperationError, Result, Watchable } from './api.js';

const NO_BYTES = new Uint8Array(0);

export const READ = 0;
export const READ_FULL = 1;
export const WRITE = 2;
export type Kind = typeof READ | typeof READ_FULL | typeof WRITE;

export const NO_DEADLINE = Number.POSITIVE_INFINITY;

export class Operation implements Result<Watchable> {
  readonly operation: 'read' | 'write';
  readonly connection: Watchable;
  readonly context: unknown;
  buffer: Uint8Array;
  isShared = false;
  size = 0;
  error: OperationError | undefined = undefined;

  readonly kind: Kind;
  /** On the clock of the connection's reactor. */
  readonly deadline: number;
  /** Of a write: where its first byte is among all that its connection was handed. `size` counts from there. */
  start = 0;
  next: Operation | undefined = undefined;

  constructor(
    kind: Kind,
    connection: Watchable,
    buffer: Uint8Array | undefined,
    context: unknown,
    deadline: number,
  ) {
    this.operation = kind === WRITE ? 'write' : 'read';
    this.connection = connection;
    this.context = context;
    this.buffer = buffer ?? NO_BYTES;
    this.isShared = buffer === undefined;
    this.kind = kind;
    this.deadline = deadline;
  }
}

/** The operations of one direction of a connection. */
export class OperationQueue {
  head: Operation | undefined = undefined;
  #tail: Operation | undefined = undefined;

  push(operation: Operation): void {
    if (this.#tail === undefined) {
      this.head = operation;
    } else {
      this.#tail.next = operation;
    }
    this.#tail = operation;
  }

  /** Takes the first one. */
  shift(): Operation | undefined {
    const operation = this.head;
    if (operation !== undefined) {
      this.head = operation.next;
      operation.next = undefined;
      if (this.head === undefined) {
        this.#tail = undefined;
      }
    }
    return operation;
  }

  /** Takes out those that `test` names, in order. */
  extract(test: (operation: Operation) => boolean): Operation[] {
    const taken: Operation[] = [];
    let operation = this.head;
    this.head = undefined;
    this.#tail = undefined;
    while (operation !== undefined) {
      const { next }: Operation = operation;
      operation.next = undefined;
      if (test(operation)) {
        taken.push(operation);
      } else {
        this.push(operation);
      }
      operation = next;
    }
    return taken;
  }
}
