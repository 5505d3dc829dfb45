/**
 * Echoes, answers `big` with more than a socket takes, pauses on `pause`, and counts opens and closes by their reason.
 */

import type { Handler } from '../../../src/index.js';

export interface StormReport {
  opened: number;
  closedTwice: number;
  reasons: Record<string, number>;
}

const BIG = Buffer.alloc(8 * 1024 * 1024, 'x');

export default function createHandler(): Handler<{ isClosed: boolean }> {
  const report: StormReport = { opened: 0, closedTwice: 0, reasons: {} };
  return {
    onOpen(connection) {
      connection.context = { isClosed: false };
      report.opened += 1;
    },
    onData(connection, bytes) {
      if (bytes.includes('big')) {
        connection.write(BIG);
      } else if (bytes.includes('pause')) {
        connection.pause();
      } else {
        connection.write(bytes);
      }
    },
    onClose(connection, { code }) {
      report.closedTwice += connection.context.isClosed ? 1 : 0;
      connection.context.isClosed = true;
      report.reasons[code] = (report.reasons[code] ?? 0) + 1;
    },
    tasks: { report: () => report },
  };
}
