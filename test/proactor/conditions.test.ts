/** Why operations end: codes that programs go by. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { MillraceError } from '../../src/index.js';
import {
  CONNECTION_CLOSED,
  conditionOf,
  DEADLINE,
  END,
  FREED,
  WATCHER_CLOSED,
} from '../../src/proactor/conditions.js';

it('conditions are errors with a code, are shared, and cannot be changed', () => {
  const codes = [END, DEADLINE, FREED, CONNECTION_CLOSED, WATCHER_CLOSED].map((error) => {
    assert.ok(error instanceof MillraceError);
    assert.ok(Object.isFrozen(error));
    return error.code;
  });
  assert.deepEqual(codes, ['ERR_END', 'ERR_DEADLINE', 'ERR_FREED', 'ERR_CLOSED', 'ERR_CLOSED']);
});

it('a connection’s reason becomes a condition: the system’s error, or ERR_CLOSED and why', () => {
  const error = Object.assign(new Error('no'), { code: 'ECONNRESET' });
  assert.equal(conditionOf({ code: 'reset', error, unsentBytes: 0 }), error);
  assert.equal(conditionOf({ code: 'closed', unsentBytes: 0 }), CONNECTION_CLOSED);
  const timeout = conditionOf({ code: 'timeout', timeout: 'idle', unsentBytes: 0 });
  assert.equal(timeout.code, 'ERR_CLOSED');
  assert.match(timeout.message, /idle timeout/);
  assert.match(conditionOf({ code: 'shutdown', unsentBytes: 0 }).message, /shutdown/);
});
