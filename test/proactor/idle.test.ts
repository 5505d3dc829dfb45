/** A connection is paused when nobody reads from it for a while, and not between one message and the next. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, it } from 'node:test';

import type { Connection } from '../../src/index.js';
import { READ } from '../../src/proactor/operation.js';
import { Proactor } from '../../src/proactor/proactor.js';
import { settled } from '../support/await-condition.js';
import type { RawClient } from '../support/raw-client.js';
import { WatcherRig } from '../support/watcher-rig.js';

let rig: WatcherRig;
let proactor: Proactor;
/** A tick of the proactor's clock; false when it does not run. */
let tick: () => boolean;

beforeEach(async () => {
  rig = await WatcherRig.open();
  let ring = () => {};
  let isSet = false;
  const kernel = {
    defer: (callback: () => void) => void setImmediate(callback),
    alarm: (callback: () => void) => {
      ring = callback;
      const set = () => {
        isSet = true;
      };
      return { set, clear: () => {}, ref: () => {}, unref: () => {} };
    },
  };
  tick = () => {
    const wasSet = isSet;
    isSet = false;
    if (wasSet) {
      ring();
    }
    return wasSet;
  };
  proactor = new Proactor({ sharedBytes: 65_536, resultsMax: 10, operationsMax: 10, kernel });
});
afterEach(async () => {
  const closing = proactor.close();
  await rig.close();
  await closing;
});

async function exchange(connection: Connection, peer: RawClient, text: string): Promise<void> {
  const buffer = Buffer.alloc(text.length);
  assert.equal(proactor.submit(READ, connection, buffer, 0, undefined), 'pending');
  await peer.send(Buffer.from(text));
  const [result] = (await settled(proactor.results.wait(), text))!;
  assert.equal(result!.error, undefined);
  assert.equal(buffer.toString(), text);
}

it('goes on without a pause as long as a read comes in each tick', async () => {
  const { connection, peer } = await rig.pair();
  for (let i = 0; i < 5; i += 1) {
    // Each time the tick finds it without a read.
    await exchange(connection, peer, `message ${i}`);
    assert.ok(tick());
    assert.equal(connection.isPaused, false, `after message ${i}`);
  }
  assert.ok(tick());
  assert.equal(connection.isPaused, true);
  assert.equal(tick(), false);
  await exchange(connection, peer, 'and again');
  assert.equal(connection.isPaused, false);
});

it('is not paused while a read waits', async () => {
  const { connection, peer } = await rig.pair();
  await exchange(connection, peer, 'first');
  proactor.submit(READ, connection, Buffer.alloc(1), 0, undefined);
  while (tick()) {
    assert.equal(connection.isPaused, false);
  }
  assert.equal(connection.isPaused, false);
  await peer.send(Buffer.from('x'));
  await settled(proactor.results.wait(), 'the read');
});
