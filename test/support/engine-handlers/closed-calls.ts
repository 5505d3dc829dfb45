/**
 * A handler whose connections do what their peer says (`close`, `abort`, `end`, `throw`, `idle`), and which makes every
 * call there is on each connection inside of onClose and once more after it. The task `report` tells what came of it.
 */

import type { Action, CloseReason, Connection, Handler, Reactor } from '../../../src/index.js';

export interface Report {
  /** Hooks and callbacks in their order. */
  readonly events: string[];
  /** Results of all calls, inside of onClose and later. */
  readonly results: Record<string, unknown>[];
  readonly reasons: string[];
}

/** Calls everything, and says what each call returned or threw. Callbacks note that they were called in `events`. */
export function callEverything(connection: Connection, events: string[]): Record<string, unknown> {
  const note = (event: string) => () => void events.push(event);
  const noteValue = (event: string) => (value: unknown) => void events.push(`${event} ${value}`);
  const calls: Record<string, () => unknown> = {
    state: () => connection.state,
    write: () => connection.write('late'),
    writeNothing: () => connection.write(''),
    writev: () => connection.writev([Buffer.from('a'), Buffer.from('b')]),
    writevNothing: () => connection.writev([]),
    writeOwned: () => connection.writeOwned(Buffer.from('late'), note('freed')),
    queuedBytes: () => connection.queuedBytes,
    receipt: () => connection.receipt(noteValue('receipt')),
    drained: () => void connection.drained().then(noteValue('drained')),
    cork: () => connection.cork(),
    uncork: () => connection.uncork(),
    readerLength: () => connection.reader.length,
    readerNext: () => connection.reader.next(1),
    readerSkip: () => connection.reader.skip(1),
    writerFlush: () => {
      connection.writer.writeString('late');
      return connection.writer.flush();
    },
    pause: () => connection.pause(),
    isPaused: () => connection.isPaused,
    resume: () => connection.resume(),
    wake: () => connection.wake(),
    end: () => connection.end(),
    close: () => connection.close(),
    abort: () => connection.abort(),
    readTimeout: () => connection.setReadTimeout(1),
    writeTimeout: () => connection.setWriteTimeout(1),
    idleTimeout: () => connection.setIdleTimeout(1),
    setTimer: () => connection.setTimer(0, note('timer')),
    clearTimer: () => connection.clearTimer(-1),
    setOption: () => connection.setOption('noDelay', false),
    getOption: () => connection.getOption('noDelay'),
    iterate: () => {
      const iterator = connection[Symbol.asyncIterator]();
      void iterator.next().then(({ done }) => events.push(`iterated ${done}`));
    },
    find: () => connection.reactor.find(connection.id) === connection,
    writeById: () => connection.reactor.write(connection.id, Buffer.from('late')),
    stateAfter: () => connection.state,
  };
  const results: Record<string, unknown> = {};
  for (const [name, call] of Object.entries(calls)) {
    try {
      results[name] = call();
    } catch (error) {
      results[name] = `threw ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return results;
}

function obey(connection: Connection, word: string): Action | void {
  switch (word) {
    case 'close':
      connection.close();
      return;
    case 'action':
      return 'close';
    case 'abort':
      connection.abort();
      return;
    case 'end':
      connection.end();
      return;
    case 'idle':
      connection.setIdleTimeout(1);
      return;
    case 'throw':
      throw new Error('as told');
    default:
      connection.write(word);
  }
}

export default function createHandler(): Handler {
  const report: Report = { events: [], results: [], reasons: [] };
  const { events, results, reasons } = report;
  return {
    onOpen: () => void events.push('open'),
    onData(connection, bytes) {
      const word = bytes.toString();
      events.push(`data ${word}`);
      return obey(connection, word);
    },
    onDrain: () => void events.push('drain'),
    onEnd: () => void events.push('end'),
    onClose(connection: Connection, reason: CloseReason) {
      events.push('close');
      reasons.push(reason.timeout ?? reason.code);
      results.push(callEverything(connection, events));
      connection.reactor.setTimer(5, () => {
        results.push(callEverything(connection, events));
      });
    },
    tasks: {
      report: (_reactor: Reactor): Report => report,
    },
  };
}
