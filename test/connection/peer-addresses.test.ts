/** Addresses of connections: asked of the kernel once, then remembered. */

import assert from 'node:assert/strict';
import { afterEach, it } from 'node:test';

import { localAddressOf, remoteAddressOf } from '../../src/connection/peer-addresses.js';
import { SimRig } from '../support/reactor-rig.js';

let rig: SimRig;

afterEach(() => rig.close());

const calls = () => rig.reactor.state.driver.counters.calls;

it('each address costs one system call, however often it is asked for', async () => {
  rig = SimRig.open({});
  const { connection, peer } = await rig.connect();
  const before = calls();
  for (let i = 0; i < 3; i += 1) {
    assert.equal(remoteAddressOf(connection), peer.address);
    assert.equal(localAddressOf(connection), 'tcp://127.0.0.1:80');
  }
  assert.equal(calls() - before, 2);
});

it('what was asked for is known after the close, the other is empty', async () => {
  rig = SimRig.open({});
  const { connection, peer } = await rig.connect();
  const { address } = peer;
  assert.equal(remoteAddressOf(connection), address);
  connection.abort();
  await rig.until(() => connection.slot < 0);
  assert.deepEqual([remoteAddressOf(connection), localAddressOf(connection)], [address, '']);
});

it('the next connection of a slot does not have the address of the one before', async () => {
  rig = SimRig.open({});
  const first = await rig.connect();
  remoteAddressOf(first.connection);
  const { slot } = first.connection;
  first.connection.abort();
  await rig.until(() => first.connection.slot < 0);
  const second = await rig.connect();
  assert.equal(second.connection.slot, slot);
  assert.equal(remoteAddressOf(second.connection), second.peer.address);
  assert.notEqual(remoteAddressOf(second.connection), remoteAddressOf(first.connection));
});

it('IPv6 and Unix peers have addresses too', async () => {
  rig = SimRig.open({}, { listen: 'tcp://[::1]:80' });
  const { connection, peer } = await rig.connect();
  assert.equal(remoteAddressOf(connection), peer.address);
  assert.match(remoteAddressOf(connection), /^tcp:\/\/\[::1\]:\d+$/);
  await rig.close();
  rig = SimRig.open({}, { listen: 'unix-abstract://name' });
  const second = await rig.connect();
  assert.equal(localAddressOf(second.connection), 'unix-abstract://name');
  assert.equal(remoteAddressOf(second.connection), 'unix://');
});
