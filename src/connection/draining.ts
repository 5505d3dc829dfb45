/**
 * The closing of a reactor, up to the deadline, which is the engine's. All connections are told at once. Those that are
 * still busy (a gateway in the midst of a request) may go on dialing; what they dialed is told, and dialing is over,
 * when none of the earlier connections is left.
 *
 *     open ──begin──> earlier connections are ending, dials go on ──the last is gone──> final: no more dials
 */

import { MillraceError } from '../errors.js';
import type { SocketConnection } from './connection.js';
import type { ReactorState } from './reactor-state.js';

/** A dial, or the adoption of a socket, that is under way. */
export interface Race {
  /** Whether it may be for a connection that ends in good order: an adoption is of a new one. */
  readonly isDial: boolean;
  fail(error: Error): void;
}

const OPEN = 0;
const ENDING = 1;
const FINAL = 2;

export class Draining {
  readonly races = new Set<Race>();
  readonly #state: ReactorState;
  readonly #announce: (connection: SocketConnection) => void;
  #phase = OPEN;
  /** Dialed since `begin`; those that have closed meanwhile are taken out when it matters. */
  readonly #late = new Set<SocketConnection>();

  constructor(state: ReactorState, announce: (connection: SocketConnection) => void) {
    this.#state = state;
    this.#announce = announce;
  }

  get isOn(): boolean {
    return this.#phase !== OPEN;
  }

  get mayDial(): boolean {
    return this.#phase === OPEN || (this.#phase === ENDING && this.#state.connectionCount > 0);
  }

  begin(connections: Iterable<SocketConnection>): void {
    if (this.#phase === OPEN) {
      this.#phase = ENDING;
    }
    for (const race of this.races) {
      if (!race.isDial) {
        race.fail(closing());
      }
    }
    for (const connection of connections) {
      this.#announce(connection);
    }
    this.check();
  }

  /** A dial has become a connection. */
  onDialed(connection: SocketConnection): void {
    if (this.#phase === ENDING) {
      this.#late.add(connection);
    } else if (this.#phase === FINAL) {
      this.#announce(connection);
    }
  }

  /** At the end of each turn: whether it is time for what was dialed late. */
  check(): void {
    if (this.#phase === ENDING && this.#areEarlierGone()) {
      this.finish();
    }
  }

  #areEarlierGone(): boolean {
    const { connectionCount } = this.#state;
    if (connectionCount <= this.#late.size) {
      for (const connection of this.#late) {
        if (connection.slot < 0) {
          this.#late.delete(connection);
        }
      }
    }
    return connectionCount <= this.#late.size;
  }

  /** Dials no more: also at the deadline. */
  finish(): void {
    this.#phase = FINAL;
    for (const race of this.races) {
      race.fail(closing());
    }
    for (const connection of this.#late) {
      if (connection.slot >= 0) {
        this.#announce(connection);
      }
    }
    this.#late.clear();
  }
}

function closing(): MillraceError {
  return new MillraceError('ERR_CLOSED', 'The reactor is being closed');
}
