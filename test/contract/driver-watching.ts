/** Part of the driver contract: descriptors whose calls the caller makes itself. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { AF_UNIX, EPOLLHUP, EPOLLIN, EPOLLOUT, SOCK_STREAM } from '../../src/base/linux.js';
import type { Rig } from './rig.js';

let names = 0;

/** A watched descriptor and its other end: a pair of connected sockets that show each other's bytes at once. */
function watchedPair(rig: Rig, slot: number): { fd: number; peer: number } {
  const { kernel } = rig;
  names += 1;
  const name = Buffer.from(`\x01\x00\x00millrace-watch-${process.pid}-${names}`, 'latin1');
  const listener = kernel.socket(AF_UNIX, SOCK_STREAM, 0);
  assert.equal(kernel.bind(listener, name), 0);
  assert.equal(kernel.listen(listener, 1), 0);
  const peer = rig.track(kernel.socket(AF_UNIX, SOCK_STREAM, 0));
  assert.equal(kernel.connect(peer, name), 0);
  const fd = kernel.accept(listener);
  kernel.close(listener);
  assert.equal(rig.driver.watch(slot, fd), 0);
  return { fd, peer };
}

function readies(rig: Rig, slot: number): number {
  return rig.recorder.lines.filter((line) => line.startsWith(`ready ${slot} `)).length;
}

/** Registers the tests; `current` is the rig of the running one. */
export const watchingSuite = (current: () => Rig): void => {
  it('reports nothing before it is wanted', async () => {
    const rig = current();
    const { peer } = watchedPair(rig, 3);
    rig.kernel.send(peer, Buffer.from('early'));
    await rig.idle();
    assert.deepEqual(rig.recorder.lines, []);
    assert.equal(rig.driver.want(3, EPOLLIN), 0);
    await rig.until(() => readies(rig, 3) > 0, 'ready');
    assert.equal(rig.recorder.lines[0], `ready 3 ${EPOLLIN}`);
  });

  it('reports again, once a batch, for as long as something is unread', async () => {
    const rig = current();
    const { fd, peer } = watchedPair(rig, 3);
    const region = rig.kernel.allocate(64);
    rig.driver.want(3, EPOLLIN);
    rig.kernel.send(peer, Buffer.from('unread'));
    await rig.until(() => readies(rig, 3) >= 3, 'three reports');
    for (let i = 0; i < 3; i += 1) {
      const before = readies(rig, 3);
      rig.driver.poll();
      assert.ok(readies(rig, 3) <= before + 1, 'twice in a batch');
    }
    assert.equal(rig.kernel.receive(fd, region), 6);
    // One report may be under way.
    await rig.idle();
    const before = readies(rig, 3);
    await rig.idle();
    assert.equal(readies(rig, 3), before, 'reported though nothing is unread');
    assert.equal(rig.driver.hasWork, false, 'it would spin');
    rig.kernel.release(region);
  });

  it('reports what is wanted now, and no longer what was', async () => {
    const rig = current();
    const { peer } = watchedPair(rig, 3);
    rig.kernel.send(peer, Buffer.from('unread'));
    rig.driver.want(3, EPOLLOUT);
    await rig.until(() => readies(rig, 3) > 0, 'room');
    assert.equal(rig.recorder.lines[0], `ready 3 ${EPOLLOUT}`);
    rig.driver.want(3, 0);
    await rig.idle();
    rig.recorder.lines.length = 0;
    await rig.idle();
    assert.deepEqual(rig.recorder.lines, []);
    rig.driver.want(3, EPOLLIN | EPOLLOUT);
    const both = `ready 3 ${EPOLLIN | EPOLLOUT}`;
    await rig.until(() => rig.recorder.count(both) > 0, 'both');
  });

  it('what is wanted may change inside ready', async () => {
    const rig = current();
    const { peer } = watchedPair(rig, 3);
    rig.recorder.onReady = (slot) => {
      rig.driver.want(slot, 0);
    };
    rig.driver.want(3, EPOLLIN);
    rig.kernel.send(peer, Buffer.from('unread'));
    await rig.until(() => readies(rig, 3) > 0, 'ready');
    await rig.idle();
    assert.equal(readies(rig, 3), 1);
  });

  it('reports a hang-up that nobody asked for', async () => {
    const rig = current();
    const { peer } = watchedPair(rig, 3);
    rig.driver.want(3, 0);
    await rig.idle();
    rig.closePeer(peer);
    await rig.until(() => readies(rig, 3) > 0, 'the hang-up');
    const events = Number(rig.recorder.lines[0].split(' ')[2]);
    assert.equal(events & EPOLLHUP, EPOLLHUP);
  });

  it('a closed one reports closed once, and its slot can be used again', async () => {
    const rig = current();
    const { peer } = watchedPair(rig, 3);
    rig.kernel.send(peer, Buffer.from('unread'));
    rig.recorder.onReady = (slot) => rig.driver.close(slot, false);
    rig.driver.want(3, EPOLLIN);
    await rig.until(() => rig.recorder.count('closed 3') === 1, 'closed');
    await rig.idle();
    assert.deepEqual(rig.recorder.lines, [`ready 3 ${EPOLLIN}`, 'closed 3']);
    assert.ok(rig.driver.want(3, EPOLLIN) < 0);
    rig.recorder.onReady = () => {};
    const second = watchedPair(rig, 3);
    rig.kernel.send(second.peer, Buffer.from('unread'));
    rig.driver.want(3, EPOLLIN);
    await rig.until(() => readies(rig, 3) === 2, 'ready');
  });
};
