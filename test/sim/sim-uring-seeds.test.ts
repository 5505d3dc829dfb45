/** Runs of the simulated io_uring repeat: requests at random, with faults, give the same trace from the same seed. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ENOBUFS } from '../../src/base/errno.js';
import * as uring from '../../src/base/uring.js';
import { Random } from './random.js';
import { RingRig } from './ring-rig.js';
import { parseUrl } from './sim-address.js';
import { SimWorld } from './sim-world.js';

const ADDRESS = 'tcp://127.0.0.1:80';
const RECEIVE_MANY = {
  opcode: uring.OP_RECV,
  flags: uring.SQE_BUFFER_SELECT,
  ioprio: uring.RECV_MULTISHOT,
};

/** Requests at random on a ring with all faults, with and without deferring; returns the hash. */
function play(seed: number): string {
  const world = new SimWorld({ seed, faults: 'swarm' });
  world.faults.rates.regionNoMemory = 0;
  const kernel = world.kernel('a');
  const random = new Random(seed, 77);
  const { sockaddr, domain } = parseUrl(ADDRESS);
  const listener = kernel.socket(domain, 1, 0);
  if (listener < 0) return world.traceHash;
  kernel.bind(listener, sockaddr);
  kernel.listen(listener, 8);
  const isDeferred = random.chance(0.7);
  const settings = isDeferred ? [] : [uring.SETUP_SUBMIT_ALL];
  const created = kernel.ringCreate(1, 1, 0);
  if (typeof created === 'number') return world.traceHash;
  kernel.ringClose(created);
  world.faults.rates.tableFull = 0;
  world.faults.rates.systemFull = 0;
  const ring = new RingRig(kernel, 16, 32, ...settings);
  const buffers = ring.group(0, 8, 64, random.chance(0.5) ? uring.PBUF_RING_INC : 0);
  buffers.give(0, 1, 2, 3, 4, 5, 6, 7);
  for (let i = 0; i < 4; i++) {
    const peer = world.peer({ resetChance: 0.01, writeMax: 100 });
    peer.connect(ADDRESS);
    peer.send(Buffer.alloc(random.below(3000)));
    peer.end();
  }
  const accept = { opcode: uring.OP_ACCEPT, ioprio: 1, opFlags: 0o2004000, fd: listener };
  ring.add(accept);
  const turn = (): void => {
    const given = new Set<number>();
    ring.enter();
    for (const { user, result, flags } of ring.take()) {
      if ((flags & uring.CQE_F_BUFFER) !== 0 && (flags & uring.CQE_F_BUF_MORE) === 0) {
        given.add(flags >>> uring.CQE_BUFFER_SHIFT);
      }
      const isEnded = (flags & uring.CQE_F_MORE) === 0;
      if (user === 0 && result >= 0) ring.add({ ...RECEIVE_MANY, fd: result, userLow: result });
      if (user === 0 && isEnded) ring.add(accept);
      if (user > 0 && isEnded && (result > 0 || result === -ENOBUFS)) {
        ring.add({ ...RECEIVE_MANY, fd: user, userLow: user });
      } else if (user > 0 && isEnded) kernel.close(user);
    }
    buffers.give(...given);
    kernel.defer(turn);
  };
  turn();
  world.runSync({ until: () => false, maxSteps: 400 });
  return world.traceHash;
}

describe('reproducibility', () => {
  test('the same seed gives the same hash, another seed another', () => {
    const hashes = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const hash = play(seed);
      assert.equal(play(seed), hash, `seed ${seed}`);
      hashes.add(hash);
    }
    assert.ok(hashes.size > 40);
  });

  test('submissions and completions are in the trace', () => {
    const world = new SimWorld({ seed: 1, shape: 'plain', traceLines: 10 });
    const ring = new RingRig(world.kernel('a'), 4, 4);
    ring.add({ opcode: uring.OP_POLL_REMOVE, address: 77, userLow: 9 });
    ring.enter();
    assert.match(world.trace.text(), /sqe\(7, 9\).*\n.*cqe\(9, 0\) = -2\n.*ringEnter\(1, 1\) = 1/);
  });
});
