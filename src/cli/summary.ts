/** What a server did in its life, in one line, and in a second one what went wrong, if anything did. */

import type { ServerStats } from '../index.js';
import { formatBytes, formatCount, formatDuration, formatNoun } from './figures.js';

type Totals = ServerStats['totals'];
/** The names of counters alone: the totals have histograms as well. */
type CounterName = {
  [Name in keyof Totals]: Totals[Name] extends number ? Name : never;
}[keyof Totals];

/** Counters of what should not happen: refusals, timeouts and errors. */
const IS_TROUBLE = /^(?:refused|timeout)|Errors$/;

/** In words that follow their number; one that is not here is told by its name. */
const WORDS: Readonly<Partial<Record<CounterName, string>>> = {
  refusedDescriptorLimit: 'times no descriptor left for a connection',
  refusedConnectionsMax: 'connections refused at the limit of connections',
  refusedWriteFull: 'writes refused by a full queue',
  refusedWriteOverflow: 'connections closed by a full queue',
  refusedMailboxFull: 'messages refused by a full mailbox',
  refusedMemory: 'times a peer waited for memory',
  acceptErrors: 'connections lost while being accepted',
  handlerErrors: 'errors in hooks',
  timeoutConnect: 'timeouts of connecting',
  timeoutRead: 'timeouts of reading',
  timeoutWrite: 'timeouts of writing',
  timeoutIdle: 'idle timeouts',
  timeoutLinger: 'timeouts of closing',
  refusedSessionsMax: 'datagrams refused at the limit of sessions',
  datagramErrors: 'datagrams that were not delivered',
};

/** `totals` as they are at the end. */
export function describeSummary(totals: Pick<Totals, CounterName>, milliseconds: number): string {
  const done = [
    `${formatNoun(totals.opened, 'connection')} served`,
    formatNoun(totals.receives, 'message'),
    `${formatBytes(totals.bytesReceived)} in`,
    `${formatBytes(totals.bytesSent)} out`,
  ];
  if (totals.datagramsReceived > 0) {
    done.push(formatNoun(totals.datagramsReceived, 'datagram'));
  }
  const troubles = (Object.keys(totals) as CounterName[])
    .filter((name) => IS_TROUBLE.test(name) && totals[name] > 0)
    .map((name) => `${formatCount(totals[name])} ${WORDS[name] ?? name}`);
  const line = `millrace: ended after ${formatDuration(milliseconds)}: ${done.join(', ')}`;
  return troubles.length === 0 ? line : `${line}\nmillrace: troubles: ${troubles.join(', ')}`;
}
