/** What keeps the process alive. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { EventLoop } from '../../src/connection/event-loop.js';
import { KeepAlive } from '../../src/connection/keep-alive.js';
import type { ReactorState } from '../../src/connection/reactor-state.js';

function create() {
  const state = { connectionCount: 0 };
  let isHeld = true;
  const loop = {
    ref: () => {
      isHeld = true;
    },
    unref: () => {
      isHeld = false;
    },
  };
  const keepAlive = new KeepAlive(loop as EventLoop, state as ReactorState);
  return { state, keepAlive, isHeld: () => isHeld };
}

it('is the reactor itself until unref, whatever its connections', () => {
  const { state, keepAlive, isHeld } = create();
  state.connectionCount = 1;
  keepAlive.sync();
  assert.equal(isHeld(), true);
  keepAlive.unref();
  assert.equal(isHeld(), false);
  keepAlive.sync();
  assert.equal(isHeld(), false);
  keepAlive.ref();
  assert.equal(isHeld(), true);
});

it('is each hold until it ends', () => {
  const { keepAlive, isHeld } = create();
  keepAlive.unref();
  const releases = [keepAlive.hold(), keepAlive.hold()];
  releases[0]();
  assert.equal(isHeld(), true);
  releases[1]();
  assert.equal(isHeld(), false);
});

it('are connections alone, after holdWhileConnected', () => {
  const { state, keepAlive, isHeld } = create();
  keepAlive.holdWhileConnected();
  assert.equal(isHeld(), false);
  state.connectionCount = 1;
  keepAlive.sync();
  assert.equal(isHeld(), true);
  const release = keepAlive.hold();
  state.connectionCount = 0;
  keepAlive.sync();
  assert.equal(isHeld(), true);
  release();
  assert.equal(isHeld(), false);
});
