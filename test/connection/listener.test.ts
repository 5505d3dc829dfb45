/** Accepting when there is no room: in a simulated process whose descriptors are few. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { Reserve } from '../../src/connection/listener.js';
import type { SimPeer } from '../sim/sim-peer.js';
import { LinuxRig, type RigOptions, SimRig } from '../support/reactor-rig.js';

function dialIn(rig: SimRig, n: number): SimPeer[] {
  return Array.from({ length: n }, () => {
    const peer = rig.world.peer();
    peer.connect(rig.url);
    return peer;
  });
}

const open = (options: RigOptions, descriptorLimit = 1_024) =>
  SimRig.open({}, options, { shape: { base: 'plain', descriptorLimit } });

const isOver = ({ isOver }: SimPeer) => isOver;

describe('with connectionsMax', () => {
  it('refused connections see an orderly end', async () => {
    const rig = open({ connectionsMax: 2 });
    const peers = dialIn(rig, 5);
    await rig.until(() => peers.filter(isOver).length === 3);
    const stats = rig.stats.snapshot(0);
    assert.deepEqual([stats.connections, stats.accepted, stats.refusedConnectionsMax], [2, 2, 3]);
    assert.ok(peers.every(({ wasReset }) => !wasReset));
    await rig.close();
  });

  it('those that wait are accepted one by one as places become free', async () => {
    const rig = open({ connectionsMax: 2, whenConnectionsMax: 'wait' });
    const peers = dialIn(rig, 5);
    await rig.until(() => peers.every(({ isConnected }) => isConnected));
    await rig.pass(1_000);
    for (const opened of [2, 3, 4, 5]) {
      const stats = rig.stats.snapshot(0);
      assert.deepEqual(
        [stats.connections, stats.opened, stats.refusedConnectionsMax],
        [2, opened, 0],
      );
      const [connection] = rig.reactor.connections();
      connection.abort();
      if (opened < 5) {
        await rig.until(() => rig.stats.snapshot(0).opened === opened + 1);
      }
    }
    await rig.close();
  });

  it('the budget of a turn leaves the rest to the next one', async () => {
    const rig = open({ acceptBudget: 1 });
    const peers = dialIn(rig, 4);
    await rig.until(() => rig.stats.snapshot(0).opened === 4);
    assert.ok(peers.every((peer) => !isOver(peer)));
    await rig.close();
  });
});

describe('without descriptors', () => {
  it('new connections are closed with the reserve, with one warning, until some are free', async () => {
    const rig = open({}, 10);
    const first = dialIn(rig, 12);
    await rig.until(
      () => first.filter(isOver).length > 0 && first.every((peer) => peer.isConnected),
    );
    await rig.pass(300);
    const { connections, refusedDescriptorLimit } = rig.stats.snapshot(0);
    assert.ok(connections > 0 && refusedDescriptorLimit > 0);
    assert.equal(connections + refusedDescriptorLimit, 12);
    assert.equal(rig.warnings.length, 1);
    assert.match(rig.warnings[0].message, /EMFILE.*closed until descriptors are free/);
    for (const connection of rig.reactor.connections()) {
      connection.abort();
    }
    await rig.until(() => rig.reactor.connectionCount === 0);
    await rig.pass(200);
    await rig.connect();
    await rig.close();
  });

  it('and without reserve the listener waits and tries again', async () => {
    const rig = open({}, 10);
    const taken: number[] = [];
    for (let fd = rig.kernel.eventfd(); fd >= 0; fd = rig.kernel.eventfd()) {
      taken.push(fd);
    }
    const peers = dialIn(rig, 1);
    await rig.until(() => peers.every(isOver));
    // The descriptor of the reserve is somebody else's by now.
    taken.push(rig.kernel.eventfd());
    dialIn(rig, 1);
    await rig.pass(1_000);
    assert.equal(rig.reactor.connectionCount, 0);
    const { turns } = rig.stats.snapshot(0);
    await rig.pass(1_000);
    assert.ok(rig.stats.snapshot(0).turns - turns < 60, 'the listener spins');
    for (const fd of taken) {
      rig.kernel.close(fd);
    }
    await rig.pass(200);
    await rig.connect();
    await rig.close();
  });
});

describe('the reserve', () => {
  it('gives up its descriptor once, and takes one back when there is one', () => {
    const kernel = new LinuxKernel();
    const reserve = new Reserve(kernel);
    assert.equal(reserve.isHeld, true);
    assert.deepEqual([reserve.giveUp(), reserve.giveUp(), reserve.isHeld], [true, false, false]);
    assert.deepEqual([reserve.takeBack(), reserve.takeBack(), reserve.isHeld], [true, true, true]);
    reserve.giveUp();
  });
});

describe('a listener that stops', () => {
  it('removes its file, refuses who comes later, and keeps its connections', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-listener-'));
    const path = join(folder, 'socket');
    const rig = LinuxRig.open({}, { listen: `unix://${path}` });
    const { peer, connection } = await rig.connect();
    assert.ok(existsSync(path));
    rig.listener.stop();
    rig.listener.stop();
    assert.ok(!existsSync(path));
    await assert.rejects(rig.connect(), { code: 'ENOENT' });
    connection.write('still');
    assert.equal((await peer.read(5)).toString(), 'still');
    await rig.close();
    rmSync(folder, { recursive: true });
  });
});
