/**
 * Answers each request with the connection's own id and the peer's own nonce, and with each uses a connection that
 * closed before, in every way there is: nothing may come of it.
 */

import type { Action, Connection, Handler } from '../../../src/index.js';
import { hello, observed } from '../observed.js';
import { encodeRecord, NONCE_BYTES, REQUEST_BYTES, WISHES } from './nonce-layout.js';

/** How many closed connections are remembered. */
const STALE_MAX = 64;

interface StaleReport {
  /** How many times a closed connection was used. */
  uses: number;
  /** Callbacks of receipts and drains that said false, as they must. */
  refused: number;
  violations: string[];
}

const BYTES = Buffer.from('for nobody');

export function handler(): Handler {
  const stale: Connection[] = [];
  const report: StaleReport = { uses: 0, refused: 0, violations: [] };
  let turn = 0;
  return observed({
    onOpen(connection) {
      connection.context = Buffer.alloc(0);
      connection.write(hello(connection));
    },
    onData(connection, bytes): Action {
      const request = Buffer.concat([connection.context as Buffer, bytes]);
      connection.context = request;
      if (request.byteLength < REQUEST_BYTES) {
        return 'none';
      }
      turn += 1;
      if (stale.length > 0) {
        useStale(stale[turn % stale.length]!, report);
      }
      connection.write(encodeRecord(connection.id, request.subarray(0, NONCE_BYTES)));
      return grant(connection, request[NONCE_BYTES]!);
    },
    onClose(connection) {
      if (stale.length < STALE_MAX) {
        stale.push(connection);
      } else {
        stale[turn % STALE_MAX] = connection;
      }
    },
    tasks: { stale: () => report },
  });
}

function grant(connection: Connection, wish: number): Action {
  switch (WISHES[wish]) {
    case 'close':
      return 'close';
    case 'abort':
      connection.abort();
      return 'none';
    case 'end':
      connection.end();
      return 'none';
    default:
      return 'none';
  }
}

function useStale(connection: Connection, report: StaleReport): void {
  const { reactor, id } = connection;
  const free = () => report.violations.push('onFree was called for what was not taken');
  const expected: readonly (readonly [string, unknown, unknown])[] = [
    ['state', connection.state, 'closed'],
    ['write', connection.write(BYTES), 'closed'],
    ['writev', connection.writev([BYTES, BYTES]), 'closed'],
    ['writeOwned', connection.writeOwned(BYTES, free), 'closed'],
    ['writer', useWriter(connection), 'closed'],
    ['reader', connection.reader.length, 0],
    ['queuedBytes', connection.queuedBytes, 0],
    ['setTimer', connection.setTimer(0, free), -1],
    ['getOption', connection.getOption('noDelay'), undefined],
    ['find', reactor.find(id), undefined],
    ['reactor.write', reactor.write(id, BYTES), 'closed'],
  ];
  connection.setOption('noDelay', false);
  connection.setReadTimeout(1);
  connection.setWriteTimeout(1);
  connection.setIdleTimeout(1);
  for (const call of [
    'cork',
    'uncork',
    'pause',
    'resume',
    'wake',
    'end',
    'close',
    'abort',
  ] as const) {
    connection[call]();
  }
  const refuse = (value: boolean) => {
    report.refused += value ? 0 : 1;
  };
  connection.receipt(refuse);
  void connection.drained().then(refuse);
  report.uses += 1;
  for (const [name, actual, right] of expected) {
    if (actual !== right && report.violations.length < 20) {
      report.violations.push(`${name} of a closed connection is ${String(actual)}`);
    }
  }
}

function useWriter({ writer }: Connection): string {
  writer.writeBytes(BYTES);
  return writer.flush();
}
