/**
 * How many connections each reactor has, as the main reactor counts them: exactly, since with
 * `whenConnectionsMax: 'wait'` one descriptor too many for a reactor is a client that is turned away.
 *
 * The gauge `connections` of a reactor cannot say it: between the moments at which a reactor takes a descriptor out of
 * its mailbox and counts the connection, it is neither on its way nor there. So the main reactor counts what it handed
 * over itself, and takes off what the reactor says is over: totals that only grow, each of which is counted after what
 * it ends. At worst a reader sees an end late, and waits.
 */

import { Counter, type ReactorStats } from '../connection/stats.js';

export class ReactorLoads {
  readonly #stats: readonly ReactorStats[];
  readonly #handed: number[];

  constructor(stats: readonly ReactorStats[]) {
    this.#stats = stats;
    this.#handed = stats.map(() => 0);
  }

  /** A descriptor is on its way to this reactor. */
  hand(index: number): void {
    this.#handed[index] += 1;
  }

  /** Open connections of a reactor, its own dials and what is on its way to it included. */
  of(index: number): number {
    const stats = this.#stats[index];
    // Ends before beginnings: a dialed connection that ends in between counts too much, never too little.
    const over = stats.get(Counter.closed) + stats.get(Counter.refusedConnectionsMax);
    return this.#handed[index] + stats.get(Counter.dialed) - over;
  }

  /** A reactor died with all it had, and with what was on its way. */
  forget(index: number): void {
    this.#handed[index] -= this.of(index);
  }
}
