/**
 * The end of a stream is a promise too: where both ends closed in order, each has got all that the other sent and then
 * the end, not only a prefix. Pairs the connections of a ledger with the peers outside by the number that each peer
 * sends first, and compares what they saw.
 */

import assert from 'node:assert/strict';

import type { SimPeer } from './sim-peer.js';
import type { Entry } from './trial-ledger.js';

/** The other end of a connection, once it is over. */
export interface FarEnd {
  readonly peer: SimPeer;
  readonly nonce: number;
}

/** Sent its end, read the other's, and met no reset. */
export function isOrderly(peer: SimPeer): boolean {
  return peer.isOver && peer.hasEnded && peer.hasSentEnd && !peer.wasReset;
}

/** Returns how many pairs both of whose ends closed in order. */
export function checkEnds(entries: readonly Entry[], ends: readonly FarEnd[]): number {
  const peers = new Map(ends.map(({ peer, nonce }) => [nonce, peer]));
  let orderly = 0;
  for (const entry of entries) {
    checkReason(entry);
    const peer = peers.get(entry.nonce);
    if (peer !== undefined && isOrderly(peer)) {
      checkPair(entry, peer);
      orderly += 1;
    }
  }
  return orderly;
}

/** Who is told that a connection ended in order need not ask what became of its bytes. */
function checkReason(entry: Entry): void {
  const { reason } = entry;
  if (reason?.code === 'ended' || reason?.code === 'closed') {
    assert.equal(reason.unsentBytes, 0, `closed as ${reason.code} with bytes unsent`);
  }
  if (reason?.code === 'ended') {
    assert.equal(entry.ended, 1, 'ended, and onEnd was not called');
  }
}

function checkPair(entry: Entry, peer: SimPeer): void {
  const who = `peer ${entry.nonce}`;
  assert.equal(peer.bytesReceived, entry.bytesSent, `${who} got all before the end`);
  if (entry.ended > 0) {
    assert.equal(entry.bytesReceived, peer.bytesSent, `all of ${who} was received before its end`);
    if (entry.readsAll) {
      assert.equal(entry.received, peer.bytesSent, `all of ${who} was delivered before its end`);
    }
  }
}
