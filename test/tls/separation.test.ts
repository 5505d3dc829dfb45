/** A TLS connection that goes on in another object: the one that its user has stays the connection's whole face. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { Watcher } from '../../src/proactor/index.js';
import { current, separate } from '../../src/tls/separation.js';
import { TlsConnection } from '../../src/tls/tls-connection.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { pair } from '../support/tls-pair.js';
import { checkLeaks, cleanUp } from '../support/tls-rig.js';

checkLeaks();

/** A connection that a watcher has taken, once it is separated. */
async function separated() {
  const { rig, peer, connection, entry } = await pair();
  const watcher = new Watcher();
  cleanUp(() => watcher.close());
  const { tls, writer, remoteAddress, id } = connection;
  connection.context = 'the user’s';
  watcher.write(connection, Buffer.from('hello'));
  await settled(watcher.waitIo(), 'the write');
  const object = connection as TlsConnection;
  await awaitCondition(() => current(object) !== object, 'the separation');
  return { rig, peer, connection, object, watcher, entry, tls, writer, remoteAddress, id };
}

it('leaves a view that does all that the connection does', async () => {
  const { peer, connection, object, tls, writer, remoteAddress, id } = await separated();
  assert.ok(connection instanceof TlsConnection);
  assert.equal(connection.state, 'open');
  assert.equal(connection.context, 'the user’s');
  assert.equal(connection.id, id);
  assert.equal(connection.remoteAddress, remoteAddress);
  assert.equal(connection.reactor, current(object).reactor);
  assert.equal(connection.bytesSent, 5);
  assert.match(connection.write(' you'), /^(sent|queued)$/);
  assert.equal(connection.bytesSent, 9);
  // What the user took before is as good as what he takes now.
  assert.equal(writer, connection.writer);
  writer.writeString(' there');
  writer.flush();
  assert.equal((await peer.read(15)).toString(), 'hello you there');
  assert.equal(tls.protocol, 'TLSv1.3');
  assert.equal(connection.tls.cipher, tls.cipher);
  assert.ok(tls.exportSession() === undefined || tls.exportSession()!.byteLength > 0);
  const told = await settled(
    new Promise((resolve) => connection.setTimer(1, resolve)),
    'the timer',
  );
  assert.equal(told, connection);
  assert.throws(() => connection.write(1 as never), TypeError);
  assert.throws(() => connection.setTimer(1, 1 as never), TypeError);
});

it('is once and for all, and not for what is closing', async () => {
  const { object, watcher, connection, peer } = await separated();
  assert.equal(separate(object), undefined);
  assert.throws(() => new Watcher().read(connection), /somebody else/);
  watcher.free(connection);
  assert.equal(connection.state, 'closing');
  assert.equal(separate(current(object)), undefined);
  await peer.closed();
  await settled(connection.closed(), 'the close');
  assert.equal(connection.state, 'closed');
  assert.equal(connection.write('late'), 'closed');
  assert.equal(peer.error, undefined);
});

it('does not lose a drain that was owed before', async () => {
  const options = { writeQueueMax: 20_000, highWaterMark: 20_000, lowWaterMark: 10_000 };
  const { peer, connection } = await pair({}, options);
  const watcher = new Watcher();
  cleanUp(() => watcher.close());
  peer.socket.pause();
  const piece = Buffer.alloc(1_000, 'x');
  let length = 0;
  while (connection.write(piece) !== 'full') {
    length += piece.byteLength;
  }
  // It waits for the user's writes, and is separated meanwhile.
  watcher.write(connection, Buffer.from('end'), { context: 'end' });
  const object = connection as TlsConnection;
  await awaitCondition(() => current(object) !== object, 'the separation');
  peer.socket.resume();
  const [result] = (await settled(watcher.waitIo(), 'the write'))!;
  assert.equal(result!.error, undefined);
  const bytes = await peer.read(length + 3);
  assert.equal(bytes.subarray(length).toString(), 'end');
});
