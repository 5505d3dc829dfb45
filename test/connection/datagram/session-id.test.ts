/** Ids of sessions: one for each, and never a connection's. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import fc from 'fast-check';

import { makeId, SLOTS_MAX } from '../../../src/connection/connection-table.js';
import {
  isSessionId,
  makeSessionId,
  ownerOfId,
  serialOfSessionId,
} from '../../../src/connection/datagram/session-id.js';

const REACTOR = fc.integer({ min: 0, max: 255 });

it('an id tells its reactor and number', () => {
  fc.assert(
    fc.property(REACTOR, fc.integer({ min: 1, max: 2 ** 43 - 1 }), (reactor, serial) => {
      const id = makeSessionId(reactor, serial);
      assert.ok(Number.isSafeInteger(id) && isSessionId(id));
      assert.deepEqual([ownerOfId(id), serialOfSessionId(id)], [reactor, serial]);
    }),
  );
});

it('no connection has one', () => {
  const slots = fc.integer({ min: 0, max: SLOTS_MAX - 1 });
  const generations = fc.integer({ min: 0, max: 2 ** 22 - 1 });
  fc.assert(
    fc.property(REACTOR, generations, slots, (reactor, generation, slot) => {
      const id = makeId(reactor, generation, slot);
      assert.ok(!isSessionId(id));
      assert.equal(ownerOfId(id), reactor);
    }),
  );
});
