/**
 * Results on their way to the one who asks for them, in batches. Whatever completes until the batch is handed over is
 * part of it: that is at the end of the turn, or of the user's own code when a call of his completes at once.
 *
 * Who asks again and again for results that completed at once would never let the loop go on: after some batches
 * without a turn one waits for the loop.
 */

import { MillraceError } from '../errors.js';
import type { Operation } from './operation.js';
import type { SharedMemory } from './shared-memory.js';

/** Batches without a turn of the loop between them. */
const AT_ONCE_MAX = 8;

export type Batch = Operation[] | undefined;

export interface ResultsOptions {
  readonly resultsMax: number;
  readonly memory: SharedMemory;
  /** Calls back in another turn of the loop. */
  readonly defer: (callback: () => void) => void;
  /** There is room again: results may be pushed inside. */
  readonly onRoom: () => void;
}

export class Results {
  readonly #options: ResultsOptions;
  readonly #deliver: () => void;
  readonly #onTurn: () => void;
  #results: Operation[] = [];
  #waiter: ((batch: Batch) => void) | undefined;
  #isDelivering = false;
  /** Batches since a connection had something to report. */
  #sinceTurn = 0;
  #isTurnAwaited = false;
  #isClosed = false;
  batches = 0;

  constructor(options: ResultsOptions) {
    this.#options = options;
    this.#deliver = () => {
      this.#isDelivering = false;
      this.#resolve();
    };
    this.#onTurn = () => {
      this.#isTurnAwaited = false;
      this.#sinceTurn = 0;
      this.#resolve();
    };
  }

  get count(): number {
    return this.#results.length;
  }

  /** Whether reads may complete. */
  get hasRoom(): boolean {
    return this.#results.length < this.#options.resultsMax;
  }

  push(operation: Operation): void {
    this.#results.push(operation);
    if (this.#waiter === undefined || this.#isDelivering) {
      return;
    }
    if (this.#sinceTurn < AT_ONCE_MAX) {
      this.#isDelivering = true;
      queueMicrotask(this.#deliver);
    } else {
      this.#awaitTurn();
    }
  }

  /** The loop goes on. */
  noteTurn(): void {
    this.#sinceTurn = 0;
  }

  /** The next batch, of at least one; undefined once all is closed and taken. */
  wait(): Promise<Batch> {
    if (this.#waiter !== undefined) {
      const message = 'Cannot wait for results twice at a time: a watcher has one consumer';
      return Promise.reject(new MillraceError('ERR_WAITING', message));
    }
    if (this.#results.length > 0) {
      if (this.#sinceTurn < AT_ONCE_MAX) {
        return Promise.resolve(this.#take());
      }
      this.#awaitTurn();
    } else if (this.#isClosed) {
      return Promise.resolve(undefined);
    }
    return new Promise((resolve) => {
      this.#waiter = resolve;
    });
  }

  /** No results will come but those that are there. */
  close(): void {
    this.#isClosed = true;
    this.#resolve();
  }

  #awaitTurn(): void {
    if (!this.#isTurnAwaited) {
      this.#isTurnAwaited = true;
      this.#options.defer(this.#onTurn);
    }
  }

  #resolve(): void {
    const waiter = this.#waiter;
    if (waiter !== undefined && (this.#results.length > 0 || this.#isClosed)) {
      this.#waiter = undefined;
      waiter(this.#take());
    }
  }

  #take(): Batch {
    const batch = this.#results;
    if (batch.length === 0) {
      return undefined;
    }
    this.#results = [];
    this.batches += 1;
    this.#sinceTurn += 1;
    this.#options.memory.turn();
    this.#options.onRoom();
    return batch;
  }
}
