/** Part of the driver contract: accepting and connecting. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { ECONNREFUSED, ECONNRESET, EMFILE, EPIPE } from '../../src/base/errno.js';
import { AF_INET, AF_UNIX, SOCK_STREAM } from '../../src/base/linux.js';
import { PENDING } from '../../src/connection/driver.js';
import { loopback, OPTIONS, type Rig } from './rig.js';

/** Registers the tests; `current` is the rig of the running one. */
export const connectingSuite = (current: () => Rig): void => {
  it('reports accepted connections until stopped', async () => {
    const rig = current();
    const listener = rig.listenRaw();
    assert.equal(rig.driver.listen(1, listener.fd), 0);
    rig.driver.accept(1);
    for (let i = 0; i < 6; i += 1) {
      rig.connectRaw(listener.port);
    }
    await rig.until(() => rig.recorder.count('accepted 1') === 6, 'six accepts');
    rig.recorder.accepted$.forEach((fd) => void rig.track(fd));
    rig.driver.stopAccept(1);
    rig.connectRaw(listener.port);
    await rig.idle();
    assert.equal(rig.recorder.count('accepted 1'), 6);
    rig.driver.accept(1);
    await rig.until(() => rig.recorder.count('accepted 1') === 7, 'the seventh accept');
    rig.track(rig.recorder.accepted$[6]);
  });

  it('accepts no more than the budget in one batch', async () => {
    const rig = current();
    const listener = rig.listenRaw();
    rig.driver.listen(1, listener.fd);
    for (let i = 0; i < 9; i += 1) {
      rig.connectRaw(listener.port);
    }
    for (let i = 0; i < 50; i += 1) {
      await rig.environment.step();
    }
    rig.driver.accept(1);
    let before = 0;
    for (let i = 0; i < 200 && before < 9; i += 1) {
      rig.driver.poll();
      const n = rig.recorder.count('accepted 1');
      assert.ok(n - before <= OPTIONS.acceptBudget);
      before = n;
      await rig.environment.step();
    }
    assert.equal(before, 9);
    rig.recorder.accepted$.forEach((fd) => void rig.track(fd));
  });

  it('stops accepting when the listener is closed inside accepted', async () => {
    const rig = current();
    const listener = rig.listenRaw();
    rig.driver.listen(1, listener.fd);
    rig.driver.accept(1);
    rig.recorder.onAccepted = () => rig.driver.close(1, false);
    rig.connectRaw(listener.port);
    rig.connectRaw(listener.port);
    await rig.until(() => rig.recorder.count('closed 1') === 1, 'closed');
    assert.equal(rig.recorder.count('accepted 1'), 1);
    rig.recorder.accepted$.forEach((fd) => void rig.track(fd));
  });

  it('answers with -errno when sending on a connection that is gone', async () => {
    const rig = current();
    const peer = await rig.pair(11);
    rig.resetPeer(peer);
    await rig.environment.step();
    let n = rig.driver.trySend(11, Buffer.from('x'));
    for (let i = 0; i < 100 && n >= 0; i += 1) {
      await rig.environment.step();
      n = rig.driver.trySend(11, Buffer.from('x'));
    }
    if (n === PENDING) {
      await rig.until(() => rig.recorder.lines.length > 0, 'the failure');
      const [line] = rig.recorder.lines;
      assert.ok(line === `failed 11 ${EPIPE}` || line === `failed 11 ${ECONNRESET}`, line);
    } else {
      assert.ok(n === -EPIPE || n === -ECONNRESET, `got ${n}`);
    }
  });

  it('connects, also when the answer is immediate', async () => {
    const rig = current();
    const listener = rig.listenRaw();
    rig.track(listener.fd);
    const fd = rig.kernel.socket(AF_INET, SOCK_STREAM, 0);
    assert.equal(rig.driver.connect(12, fd, loopback(listener.port)), 0);
    assert.equal(rig.recorder.lines.length, 0);
    await rig.until(() => rig.recorder.count('connected 12 0') === 1, 'connected');
    let peer = -1;
    for (let i = 0; i < 2_000 && peer < 0; i += 1) {
      peer = rig.kernel.accept(listener.fd);
      await rig.environment.step();
    }
    rig.track(peer);
    rig.driver.receive(12);
    rig.kernel.send(peer, Buffer.from('welcome'));
    await rig.until(() => rig.recorder.received$.get(12)?.toString() === 'welcome', 'welcome');
  });

  it('reports a refused connect once, and closes its slot when told', async () => {
    const rig = current();
    const listener = rig.listenRaw();
    rig.kernel.close(listener.fd);
    const fd = rig.kernel.socket(AF_INET, SOCK_STREAM, 0);
    assert.equal(rig.driver.connect(13, fd, loopback(listener.port)), 0);
    await rig.until(() => rig.recorder.count(`connected 13 ${ECONNREFUSED}`) === 1, 'refused');
    rig.driver.close(13, false);
    await rig.until(() => rig.recorder.count('closed 13') === 1, 'closed');
    await rig.idle();
    assert.equal(rig.recorder.lines.length, 2);
  });

  it('never connects a slot that was closed before the outcome', async () => {
    const rig = current();
    const listener = rig.listenRaw();
    rig.track(listener.fd);
    const fd = rig.kernel.socket(AF_INET, SOCK_STREAM, 0);
    rig.driver.connect(14, fd, loopback(listener.port));
    rig.driver.close(14, false);
    await rig.until(() => rig.recorder.count('closed 14') === 1, 'closed');
    await rig.idle();
    assert.deepEqual(rig.recorder.lines, ['closed 14']);
  });

  it('connects Unix sockets', async () => {
    const rig = current();
    const name = new Uint8Array([
      AF_UNIX,
      0,
      0,
      ...Buffer.from(`millrace-contract-${process.pid}`),
    ]);
    const listening = rig.track(rig.kernel.socket(AF_UNIX, SOCK_STREAM, 0));
    assert.equal(rig.kernel.bind(listening, name), 0);
    assert.equal(rig.kernel.listen(listening, 4), 0);
    const fd = rig.kernel.socket(AF_UNIX, SOCK_STREAM, 0);
    assert.equal(rig.driver.connect(24, fd, name), 0);
    await rig.until(() => rig.recorder.count('connected 24 0') === 1, 'connected');
    const peer = rig.track(rig.kernel.accept(listening));
    rig.driver.receive(24);
    rig.kernel.send(peer, Buffer.from('hello'));
    rig.closePeer(peer);
    await rig.until(() => rig.recorder.count('ended 24') === 1, 'the end');
    assert.equal(rig.recorder.received$.get(24)?.toString(), 'hello');
  });

  it('reports a full descriptor table and goes on when told', async (t) => {
    const rig = current();
    if (rig.environment.fillDescriptors === undefined) {
      t.diagnostic('this rig.environment cannot fill its table: covered by the simulated kernel');
      return;
    }
    const listener = rig.listenRaw();
    rig.driver.listen(25, listener.fd);
    rig.driver.accept(25);
    rig.connectRaw(listener.port);
    const release = rig.environment.fillDescriptors();
    await rig.until(() => rig.recorder.count(`acceptFailed 25 ${EMFILE}`) === 1, 'acceptFailed');
    await rig.idle();
    assert.equal(rig.recorder.count(`acceptFailed 25 ${EMFILE}`), 1);
    release();
    rig.driver.accept(25);
    await rig.until(() => rig.recorder.count('accepted 25') === 1, 'accepted');
    rig.recorder.accepted$.forEach((fd) => void rig.track(fd));
  });
};
