import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Counter, ReactorStats } from '../../src/connection/stats.js';
import { ReactorLoads } from '../../src/engine/reactor-loads.js';

function create() {
  const stats = [ReactorStats.create(), ReactorStats.create()];
  return { stats: stats[0]!, loads: new ReactorLoads(stats) };
}

describe('the load of a reactor', () => {
  it('holds a descriptor from when it is handed over until its connection is closed', () => {
    const { stats, loads } = create();
    loads.hand(0);
    // The moments at which the reactor counts; the main reactor may look between any two of them.
    const moments = [
      () => stats.add(Counter.adopted, 1),
      () => stats.set(Counter.connections, 1),
      () => stats.add(Counter.opened, 1),
      () => stats.set(Counter.connections, 0),
    ];
    assert.equal(loads.of(0), 1);
    for (const moment of moments) {
      moment();
      assert.equal(loads.of(0), 1);
    }
    stats.add(Counter.closed, 1);
    assert.equal(loads.of(0), 0);
    assert.equal(loads.of(1), 0);
  });

  it('ends for a descriptor that the reactor turned away', () => {
    const { stats, loads } = create();
    loads.hand(0);
    stats.add(Counter.adopted, 1);
    assert.equal(loads.of(0), 1);
    stats.add(Counter.refusedConnectionsMax, 1);
    assert.equal(loads.of(0), 0);
  });

  it('counts the connections that the reactor dialed', () => {
    const { stats, loads } = create();
    stats.set(Counter.connections, 1);
    stats.add(Counter.dialed, 1);
    loads.hand(0);
    assert.equal(loads.of(0), 2);
    stats.add(Counter.closed, 1);
    assert.equal(loads.of(0), 1);
  });

  it('is nothing when the reactor has died', () => {
    const { stats, loads } = create();
    for (let i = 0; i < 5; i += 1) {
      loads.hand(0);
    }
    stats.add(Counter.dialed, 2);
    stats.add(Counter.closed, 1);
    loads.forget(0);
    stats.reset();
    assert.equal(loads.of(0), 0);
    loads.hand(0);
    assert.equal(loads.of(0), 1);
  });
});
