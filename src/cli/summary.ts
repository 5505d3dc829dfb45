/** What a server did in its life, in one line, and in a second one what went wrong, if anything did. */

import type { ServerStats } from '../index.js';
import { formatBytes, formatCount, formatDuration, formatNoun } from './figures.js';

type Totals = ServerStats['totals'];
/** The names of counters alone: the totals have histograms as well. */
type CounterName = {
  [Name in keyof Totals]: Totals[Name] extends number ? Name : never;
}[keyof Totals];

/** Counters of what should not happen, in words that follow their number. */
const TROUBLES: readonly (readonly [CounterName, string])[] = [
  ['refusedDescriptorLimit', 'times no descriptor left for a connection'],
  ['refusedConnectionsMax', 'connections refused at the limit of connections'],
  ['refusedWriteFull', 'writes refused by a full queue'],
  ['refusedWriteOverflow', 'connections closed by a full queue'],
  ['refusedMailboxFull', 'messages refused by a full mailbox'],
  ['acceptErrors', 'connections lost while being accepted'],
  ['handlerErrors', 'errors in hooks'],
  ['timeoutConnect', 'timeouts of connecting'],
  ['timeoutRead', 'timeouts of reading'],
  ['timeoutWrite', 'timeouts of writing'],
  ['timeoutIdle', 'idle timeouts'],
  ['timeoutLinger', 'timeouts of closing'],
];

/** `totals` as they are at the end. */
export function describeSummary(totals: Pick<Totals, CounterName>, milliseconds: number): string {
  const done = [
    `${formatNoun(totals.opened, 'connection')} served`,
    formatNoun(totals.receives, 'message'),
    `${formatBytes(totals.bytesReceived)} in`,
    `${formatBytes(totals.bytesSent)} out`,
  ];
  const troubles = TROUBLES.filter(([name]) => totals[name] > 0).map(
    ([name, words]) => `${formatCount(totals[name])} ${words}`,
  );
  const line = `millrace: ended after ${formatDuration(milliseconds)}: ${done.join(', ')}`;
  return troubles.length === 0 ? line : `${line}\nmillrace: troubles: ${troubles.join(', ')}`;
}
