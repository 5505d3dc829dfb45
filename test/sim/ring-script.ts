/** What the io_uring scripts of the differential test have in common. */

import * as uring from '../../src/base/uring.js';
import type { Rig } from './differential-rig.js';
import { type Completion, format, RingRig } from './ring-rig.js';
import type { Submission } from './sim-uring-entry.js';

export const RECEIVE_MANY = {
  opcode: uring.OP_RECV,
  flags: uring.SQE_BUFFER_SELECT,
  ioprio: uring.RECV_MULTISHOT,
};

/** Runs a script with a ring, which is closed at its end. */
export function withRing(
  run: (rig: Rig, ring: RingRig) => void,
  ...settings: [sqEntries?: number, cqEntries?: number, flags?: number]
): (rig: Rig) => void {
  return (rig) => {
    const ring = new RingRig(rig.kernel, ...settings);
    run(rig, ring);
    ring.close();
  };
}

/** Enters until `n` completions have come, and once more: logs them, in order. */
export function collect(
  rig: Rig,
  ring: RingRig,
  label: string,
  n: number,
  isDescriptor = false,
): Completion[] {
  const list: Completion[] = [];
  for (let i = 0; i < 300; i++) {
    ring.enter();
    list.push(...ring.take());
    if (list.length >= n && i > 0) break;
    rig.settle();
  }
  rig.note(label, list.map((one) => format(one, isDescriptor)).join(', '));
  for (const one of list) if (isDescriptor) rig.keep(one.result);
  return list;
}

/** The same when nothing is to come. */
export function quiet(rig: Rig, ring: RingRig, label: string): void {
  for (let i = 0; i < 3; i++) {
    rig.settle();
    ring.enter();
  }
  rig.note(
    label,
    ring
      .take()
      .map((one) => format(one))
      .join(', '),
  );
}

/** The cancellation of what has the user data `user`. */
export function cancelOf(userLow: number, user: number, opFlags = 0): Partial<Submission> {
  return { opcode: uring.OP_ASYNC_CANCEL, address: user, userLow, opFlags };
}

/** Notes the completions that are there. */
export function noteTaken(rig: Rig, ring: RingRig, what: string): void {
  const list = ring.take().map((one) => format(one));
  rig.note(what, list.join(', '));
}

/** Submits, and notes what completes at once. */
export function noteAtOnce(rig: Rig, ring: RingRig): void {
  rig.note('submit', ring.enter(0));
  noteTaken(rig, ring, 'at once');
}
