/**
 * What a driver was asked to do with each slot, as check-driver.ts keeps account of it, and the interest set that epoll
 * must have for that: what level-triggered epoll waits for beyond it makes an idle process spin, and what it does not
 * wait for hangs.
 */

import assert from 'node:assert/strict';

import { EPOLLIN, EPOLLOUT } from '../../src/base/linux.js';
import type { SimEpoll } from './sim-epoll.js';

export interface Slot {
  kind: 'stream' | 'listener' | 'connecting' | 'watched' | 'closing';
  readonly fd: number;
  isReceiving: boolean;
  isAccepting: boolean;
  /** A send is pending. */
  isPending: boolean;
  /** Our FIN was sent. */
  isShut: boolean;
  hasEnded: boolean;
  hasFailed: boolean;
  /** Bytes received since receiving was stopped: what was under way may still come. */
  receivedLate: number;
  /** Bytes gathered last, or taken by `trySend`, and not reported as sent. */
  gathered: number;
  /** They were taken by `trySend`, and are sent to the last. */
  isWhole: boolean;
  /** Bytes received, or connections accepted, in the batch `countedIn`. */
  count: number;
  countedIn: number;
}

/** `hasWork`: the driver has something to report in its next batch. */
export function checkInterest(
  epoll: SimEpoll,
  slots: ReadonlyMap<number, Slot>,
  hasWork: boolean,
): void {
  // The wake descriptor.
  let expected = 1;
  for (const [slot, facts] of slots) {
    const interest = facts.kind === 'closing' ? undefined : epoll.interestOf(facts.fd);
    // A connect that ended at once is not registered: its outcome waits for the next batch.
    const isReported = facts.kind === 'connecting' && hasWork && interest === undefined;
    if (facts.kind === 'closing' || isReported) {
      continue;
    }
    expected += interest === undefined ? 0 : 1;
    // That nobody receives any more epoll is told when something arrives: one event for nothing, and no second one.
    const isStopped = facts.kind === 'stream' && !facts.isReceiving;
    const ignored = isStopped && !facts.hasEnded && !facts.hasFailed ? EPOLLIN : 0;
    if (((interest ?? 0) & ~ignored) !== interestOf(facts)) {
      assert.fail(
        `slot ${slot} (${facts.kind}) waits for ${interest}, expected ${interestOf(facts)}`,
      );
    }
  }
  assert.equal(epoll.size, expected, 'registrations of epoll');
}

/** What epoll has to wait for; errors and hang-ups are always reported. */
function interestOf(facts: Slot): number {
  if (facts.hasFailed) {
    return 0;
  }
  const isReading = (facts.isReceiving && !facts.hasEnded) || facts.isAccepting;
  const isWriting = facts.isPending || facts.kind === 'connecting';
  return (isReading ? EPOLLIN : 0) | (isWriting ? EPOLLOUT : 0);
}
