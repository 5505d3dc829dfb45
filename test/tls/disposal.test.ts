/** `await using` on a connection under TLS. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { pair } from '../support/tls-pair.js';
import { checkLeaks } from '../support/tls-rig.js';

checkLeaks();

it('says close_notify, sends what was written, and resolves when the transport has closed', async () => {
  const { peer, connection } = await pair();
  connection.write(Buffer.alloc(300_000, 'y'));
  const done = connection[Symbol.asyncDispose]();
  const text = await peer.read(300_000);
  assert.ok(text.equals(Buffer.alloc(300_000, 'y')));
  await done;
  assert.equal(connection.state, 'closed');
  await peer.closed();
  assert.ok(peer.hasEnded);
  assert.equal(peer.error, undefined);
  await connection.closed();
});
