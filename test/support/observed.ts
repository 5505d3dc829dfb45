/**
 * A handler whose hooks are watched: each connection is opened once, ended at most once and closed once; nothing comes
 * before the open, after the close, or, of data, after the end or a close of ours. What was seen, and everything that
 * was wrong, is the answer of the task `report`; how one connection closed is that of `closeOf`.
 */

import type { Action, CloseReason, Connection, Handler, Reactor } from '../../src/index.js';

/** How a connection closed, cloneable. */
export interface CloseRecord {
  readonly id: number;
  readonly code: CloseReason['code'];
  readonly timeout: CloseReason['timeout'];
  /** The code of the system's error. */
  readonly error: string | undefined;
  readonly unsentBytes: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly wasEnded: boolean;
}

export interface Report {
  readonly opened: number;
  readonly closed: number;
  readonly ended: number;
  /** How many connections closed for each reason. */
  readonly codes: Record<string, number>;
  readonly violations: string[];
}

type Phase = 'open' | 'ended' | 'closed';

/** Only the last so many closes are remembered, and the first so many violations. */
const RECORDS_MAX = 8_192;
const VIOLATIONS_MAX = 20;

class Observer {
  readonly #phases = new Map<Connection, Phase>();
  readonly #ids = new Set<number>();
  readonly #records = new Map<number, CloseRecord>();
  readonly #codes: Record<string, number> = {};
  readonly #violations: string[] = [];
  #opened = 0;
  #closed = 0;
  #ended = 0;

  open(connection: Connection): void {
    this.#opened += 1;
    this.expect(!this.#phases.has(connection), 'onOpen came twice', connection);
    this.expect(!this.#ids.has(connection.id), 'the id was used before', connection);
    this.#ids.add(connection.id);
    this.#phases.set(connection, 'open');
  }

  data(connection: Connection, hook: string): void {
    const phase = this.#phases.get(connection);
    this.expect(phase === 'open', `${hook} came when ${String(phase)}`, connection);
    const { state } = connection;
    this.expect(
      state !== 'closing' && state !== 'closed',
      `${hook} came when ${state}`,
      connection,
    );
  }

  drain(connection: Connection): void {
    const phase = this.#phases.get(connection);
    this.expect(
      phase === 'open' || phase === 'ended',
      `onDrain came when ${String(phase)}`,
      connection,
    );
  }

  end(connection: Connection): void {
    const phase = this.#phases.get(connection);
    this.#ended += 1;
    this.expect(phase === 'open', `onEnd came when ${String(phase)}`, connection);
    this.#phases.set(connection, 'ended');
  }

  close(connection: Connection, reason: CloseReason): void {
    const phase = this.#phases.get(connection);
    this.#closed += 1;
    this.expect(
      phase === 'open' || phase === 'ended',
      `onClose came when ${String(phase)}`,
      connection,
    );
    // Kept as closed only by its absence: a hook that comes now finds no phase.
    this.#phases.delete(connection);
    this.#codes[reason.code] = (this.#codes[reason.code] ?? 0) + 1;
    if (this.#records.size >= RECORDS_MAX) {
      this.#records.clear();
    }
    this.#records.set(connection.id, {
      id: connection.id,
      code: reason.code,
      timeout: reason.timeout,
      error: (reason.error as { code?: string } | undefined)?.code,
      unsentBytes: reason.unsentBytes,
      bytesReceived: connection.bytesReceived,
      bytesSent: connection.bytesSent,
      wasEnded: phase === 'ended',
    });
  }

  expect(isRight: boolean, violation: string, connection: Connection): void {
    if (!isRight && this.#violations.length < VIOLATIONS_MAX) {
      this.#violations.push(`${violation} (connection ${connection.id})`);
    }
  }

  recordOf(id: number): CloseRecord | undefined {
    return this.#records.get(id);
  }

  report(): Report {
    return {
      opened: this.#opened,
      closed: this.#closed,
      ended: this.#ended,
      codes: this.#codes,
      violations: this.#violations,
    };
  }
}

/** The same handler, watched. Adds the tasks `report` and `closeOf` to its own. */
export function observed(handler: Handler): Handler {
  const observer = new Observer();
  const { onOpen, onData, onReadable, onDrain, onEnd, onClose } = handler;
  const watched: Handler = {
    ...handler,
    onOpen(connection): Action | void {
      observer.open(connection);
      return onOpen?.(connection);
    },
    onEnd(connection): Action | void {
      observer.end(connection);
      return onEnd?.(connection);
    },
    onClose(connection, reason): Action | void {
      observer.close(connection, reason);
      return onClose?.(connection, reason);
    },
    tasks: {
      ...handler.tasks,
      report: () => observer.report(),
      closeOf: (_reactor: Reactor, id: number) => observer.recordOf(id),
    },
  };
  if (onData !== undefined) {
    watched.onData = (connection, bytes) => {
      observer.data(connection, 'onData');
      return onData(connection, bytes);
    };
  }
  if (onReadable !== undefined) {
    watched.onReadable = (connection) => {
      observer.data(connection, 'onReadable');
      return onReadable(connection);
    };
  }
  if (onDrain !== undefined) {
    watched.onDrain = (connection) => {
      observer.drain(connection);
      return onDrain(connection);
    };
  }
  return watched;
}

/** What a handler tells its peer first: the connection's id, so that the test can name it. */
export function hello(connection: Connection): Buffer {
  const bytes = Buffer.allocUnsafe(HELLO_BYTES);
  bytes.writeDoubleBE(connection.id);
  return bytes;
}

export const HELLO_BYTES = 8;

/** The reactor that an id belongs to. The layout of ids is the library's own business: for tests alone. */
export function reactorOf(id: number): number {
  return Math.floor(id / 2 ** 43);
}
