/**
 * Seqpacket sessions that do what a message tells them, echo the others, and note all that happens to them. `events` is
 * the task that tells.
 */

import type { DatagramSession, Handler } from '../../../src/index.js';

export interface PacketEvents {
  readonly events: string[];
  /** What the flood has taken, in messages. */
  readonly flooded: number;
}

/** Each of a flood's messages. */
export const FLOOD_BYTES = 4_096;

export function handler(): Handler {
  const events: string[] = [];
  let flooded = 0;
  const flood = (session: DatagramSession): void => {
    while (session.send(String(flooded).padEnd(FLOOD_BYTES)) === 'queued') flooded += 1;
  };
  const obey = (session: DatagramSession, word: string): 'close' | undefined => {
    if (word === 'who') {
      const { processId, userId, groupId } = session.peerCredentials!;
      session.send(`${processId} ${userId} ${groupId}`);
    } else if (word === 'end') session.end();
    else if (word === 'close') session.close();
    else if (word === 'action') return 'close';
    else if (word === 'abort') session.abort();
    else if (word === 'throw') throw new Error('as asked');
    else if (word === 'flood') flood(session);
    else session.send(word);
    return undefined;
  };
  return {
    onSessionOpen: () => void events.push('open'),
    onSessionData(session, bytes) {
      let action: 'close' | undefined;
      for (const word of bytes.toString().split(',')) action ??= obey(session, word);
      return action;
    },
    onSessionDrain: () => void events.push('drain'),
    onSessionEnd(session) {
      events.push('end');
      session.send('seen');
    },
    onSessionClose(session, { code, timeout, unsentBytes }) {
      const late = session.send('late');
      events.push(`${code} ${timeout ?? ''} ${unsentBytes > 0 ? 'unsent' : ''} ${late}`);
    },
    tasks: { events: (): PacketEvents => ({ events, flooded }) },
  };
}
