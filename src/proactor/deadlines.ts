/**
 * Deadlines of operations, on the wheel of their connection's reactor: one timer for each connection that has any. It
 * is not put off when the nearest operation is done, but looks for the next one when it goes off; it is brought forward
 * when an operation is due earlier.
 */

import type { Channel } from './channel.js';
import { DEADLINE } from './conditions.js';
import { NO_DEADLINE, type Operation } from './operation.js';
import { advanceWrites, extractWrites } from './writes.js';

/** Makes sure that the timer goes off no later than the deadline. */
export function armDeadline(channel: Channel, deadline: number): void {
  if (deadline >= channel.timerDue) {
    return;
  }
  const { reactor } = channel;
  reactor.clearTimer(channel.timer);
  channel.onTimer ??= () => expire(channel);
  channel.timerDue = deadline;
  channel.timer = reactor.setTimer(Math.max(0, deadline - reactor.now), channel.onTimer);
}

/** The nearest deadline of all operations. */
export function nearestDeadline(channel: Channel): number {
  return Math.min(nearest(channel.reads.head), nearest(channel.writes.head));
}

export function disarm(channel: Channel): void {
  if (channel.timerDue !== NO_DEADLINE) {
    channel.reactor.clearTimer(channel.timer);
    channel.timerDue = NO_DEADLINE;
  }
}

function expire(channel: Channel): void {
  const { proactor } = channel;
  channel.timerDue = NO_DEADLINE;
  const { now } = channel.reactor;
  const isDue = (operation: Operation) => operation.deadline <= now;
  const due = nearest(channel.reads.head) <= now ? channel.reads.extract(isDue) : [];
  if (nearest(channel.writes.head) <= now) {
    due.push(...extractWrites(channel, isDue));
  }
  // Of several that a busy loop finds at once the nearest was first.
  due.sort((one, other) => one.deadline - other.deadline);
  for (const operation of due) {
    proactor.deadlines += 1;
    proactor.complete(channel, operation, DEADLINE);
  }
  proactor.noteIdle(channel);
  advanceWrites(channel);
  armDeadline(channel, nearestDeadline(channel));
}

function nearest(first: Operation | undefined): number {
  let deadline = NO_DEADLINE;
  for (let operation = first; operation !== undefined; operation = operation.next) {
    deadline = Math.min(deadline, operation.deadline);
  }
  return deadline;
}
