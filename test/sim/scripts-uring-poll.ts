/** Sequences of calls on an io_uring for the differential test: polling, and the registered eventfd. */

import { AF_INET, AF_UNIX, EPOLLIN, EPOLLOUT, SHUT_WR } from '../../src/base/linux.js';
import * as uring from '../../src/base/uring.js';
import type { Rig, Script } from './differential-rig.js';
import type { RingRig } from './ring-rig.js';
import { cancelOf, collect, quiet, withRing, noteAtOnce } from './ring-script.js';

function polling(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  const poll = { opcode: uring.OP_POLL_ADD, fd: server };
  ring.add({ ...poll, opFlags: EPOLLOUT, userLow: 1 });
  noteAtOnce(rig, ring);
  ring.add({ ...poll, opFlags: EPOLLIN, userLow: 2 });
  ring.add({ ...poll, opFlags: 0, userLow: 3 });
  quiet(rig, ring, 'not readable');
  rig.send(client, 'x');
  collect(rig, ring, 'readable', 1);
  ring.add({ ...poll, opFlags: EPOLLIN, userLow: 4 });
  ring.add({ opcode: uring.OP_POLL_REMOVE, address: 3, userLow: 5 });
  collect(rig, ring, 'still, and the other removed', 3);
  rig.receive(server);
  ring.add({ ...poll, opFlags: 0, userLow: 6 });
  quiet(rig, ring, 'waits for errors');
  rig.kernel.shutdown(client, SHUT_WR);
  collect(rig, ring, 'FIN', 1);
  ring.add({ ...poll, opFlags: 0, userLow: 7 });
  collect(rig, ring, 'FIN again', 1);
}

function pollingError(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  ring.add({ opcode: uring.OP_POLL_ADD, fd: server, opFlags: 0, userLow: 1 });
  quiet(rig, ring, 'nothing');
  rig.setOption(client, 1, 13, 1, 0);
  rig.close(client);
  collect(rig, ring, 'reset', 1);
}

function pollingMany(rig: Rig, ring: RingRig): void {
  const eventfd = rig.keep(rig.kernel.eventfd());
  const poll = { opcode: uring.OP_POLL_ADD, fd: eventfd, opFlags: EPOLLIN };
  ring.add({ ...poll, length: uring.POLL_ADD_MULTI, userLow: 1 });
  quiet(rig, ring, 'nothing');
  rig.kernel.signal(eventfd);
  rig.note('flags', ring.sqFlags);
  rig.note('no completion yet', ring.take().length);
  ring.enter(0);
  rig.note('nor without the flag', ring.take().length);
  collect(rig, ring, 'signalled', 1);
  rig.note('flags', ring.sqFlags);
  quiet(rig, ring, 'only once, though it is readable');
  rig.kernel.signal(eventfd);
  rig.kernel.signal(eventfd);
  collect(rig, ring, 'two signals, one event', 1);
  rig.kernel.drain(eventfd);
  quiet(rig, ring, 'nothing');
  rig.kernel.signal(eventfd);
  rig.kernel.drain(eventfd);
  collect(rig, ring, 'gone when it is looked at', 0);
  ring.add({ opcode: uring.OP_POLL_REMOVE, address: 1, userLow: 2 });
  collect(rig, ring, 'removed', 2);
  rig.kernel.signal(eventfd);
  ring.add({ ...poll, length: uring.POLL_ADD_MULTI, userLow: 3 });
  rig.note('submit', ring.enter(0));
  rig.note('readable already: not at once', ring.take().length);
  collect(rig, ring, 'readable already', 1);
}

/** Who polls for room hears of each read with Unix sockets, and with TCP only if room was missed before. */
function pollingRoom(rig: Rig, ring: RingRig): void {
  const poll = { opcode: uring.OP_POLL_ADD, opFlags: EPOLLOUT, length: uring.POLL_ADD_MULTI };
  for (const family of [AF_INET, AF_UNIX]) {
    const { client, server } = rig.pair(family);
    ring.add({ ...poll, fd: server, userLow: family });
    collect(rig, ring, 'room at once', 1);
    for (let i = 0; i < 2; i++) {
      rig.send(server, 'x');
      quiet(rig, ring, 'sent');
      rig.receive(client);
      if (family === AF_UNIX) collect(rig, ring, 'read', 1);
      else quiet(rig, ring, 'read and acknowledged');
    }
  }
}

function signalling(rig: Rig, ring: RingRig): void {
  const { kernel } = rig;
  const doorbell = rig.keep(kernel.eventfd());
  const first = rig.keep(kernel.eventfd());
  const second = rig.keep(kernel.eventfd());
  const rung = (label: string): void => rig.observe(label, () => kernel.drain(doorbell));
  rig.note('no eventfd', ring.registerEventfd(rig.pair(AF_UNIX).client));
  rig.note('register', ring.registerEventfd(doorbell));
  rig.note('register again', ring.registerEventfd(doorbell));
  const poll = { opcode: uring.OP_POLL_ADD, opFlags: EPOLLIN, length: uring.POLL_ADD_MULTI };
  ring.add({ ...poll, fd: first, userLow: 1 });
  ring.add({ ...poll, fd: second, userLow: 2 });
  ring.enter();
  rung('armed');
  kernel.signal(first);
  rung('the first work rings');
  kernel.signal(second);
  rung('the second does not');
  collect(rig, ring, 'both', 2);
  rung('completions ring, too');
  ring.mute(true);
  kernel.signal(first);
  rung('muted');
  ring.mute(false);
  rung('not made up for');
  kernel.signal(second);
  rung('there was work already');
  ring.mute(true);
  collect(rig, ring, 'both', 2);
  rung('muted');
  ring.mute(false);
  ring.enter();
  rung('unmuted');
  ring.add(cancelOf(3, 77));
  ring.enter(0);
  rung('done at once');
  ring.take();
  kernel.signal(first);
  rung('an eventfd rings another one only once');
  collect(rig, ring, 'though there is work', 1);
  rung('completions ring');
  const { client, server } = rig.pair(AF_UNIX);
  ring.add({ ...poll, fd: server, userLow: 4 });
  ring.enter();
  for (let i = 0; i < 3; i++) {
    rig.send(client, 'x');
    rung('a socket rings each time');
    ring.mute(true);
    collect(rig, ring, 'readable', 1);
    ring.mute(false);
  }
  rig.send(client, 'x');
  rung('work');
  const { UNREGISTER_EVENTFD } = uring;
  rig.note('take away', kernel.ringRegister(ring.ring.fd, UNREGISTER_EVENTFD, undefined, 0));
  rig.note('again', kernel.ringRegister(ring.ring.fd, UNREGISTER_EVENTFD, undefined, 0));
  collect(rig, ring, 'work', 1);
  rung('silent');
  ring.registerEventfd(doorbell);
  kernel.signal(second);
  rung('registered anew');
}

export const URING_POLL_SCRIPTS: readonly Script[] = [
  { name: 'io_uring: polls once', run: withRing(polling) },
  { name: 'io_uring: polls for errors', run: withRing(pollingError) },
  { name: 'io_uring: polls many times', run: withRing(pollingMany) },
  { name: 'io_uring: polls for room', run: withRing(pollingRoom) },
  { name: 'io_uring: the registered eventfd', run: withRing(signalling) },
];
