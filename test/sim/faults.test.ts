/** Faults and reproducibility: each fault happens, does what Linux could, and ends when told to. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  EAGAIN,
  ECONNABORTED,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  EMFILE,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  EPROTO,
} from '../../src/base/errno.js';
import { AF_INET, AF_UNIX, EPOLL_CTL_ADD, EPOLLIN, EPOLLOUT } from '../../src/base/linux.js';
import { FAULT_NAMES, type FaultPlan, type FaultRates } from './faults.js';
import { Random } from './random.js';
import { parseUrl } from './sim-address.js';
import { connectPeer } from './connect-peer.js';
import type { SimKernel } from './sim-kernel.js';
import type { SimPeer } from './sim-peer.js';
import { SimWorld } from './sim-world.js';

interface Scene {
  readonly world: SimWorld;
  readonly kernel: SimKernel;
  readonly listener: number;
  readonly fd: number;
  readonly peer: SimPeer;
}

/** A connected world in which the given faults start only now. */
function scene(rates: Partial<FaultRates>, address = 'tcp://127.0.0.1:80'): Scene {
  const world = new SimWorld({ seed: 11, shape: 'plain' });
  const kernel = world.kernel('a');
  const connected = connectPeer(world, kernel, address);
  Object.assign(world.faults.rates, rates);
  return { world, kernel, ...connected };
}

function receive(kernel: SimKernel, fd: number): number {
  const region = kernel.allocate(100);
  const n = kernel.receive(fd, region);
  kernel.release(region);
  return n;
}

describe('faults', () => {
  test('short reads and writes', () => {
    const { world, kernel, fd, peer } = scene({ shortReceive: 1, shortSend: 1 });
    peer.send('x'.repeat(100));
    world.runSync({ until: () => false });
    const n = receive(kernel, fd);
    assert.ok(n > 0 && n < 100);
    const sent = kernel.send(fd, Buffer.alloc(100));
    assert.ok(sent > 0 && sent < 100);
    world.runSync({ until: () => false });
    assert.equal(peer.bytesReceived, sent);
  });

  test('EAGAIN in spite of readiness', () => {
    const { world, kernel, listener, fd, peer } = scene({ receiveAgain: 1, sendAgain: 1 });
    peer.send('x');
    world.runSync({ until: () => false });
    assert.equal(receive(kernel, fd), -EAGAIN);
    assert.equal(kernel.send(fd, Buffer.from('x')), -EAGAIN);
    world.faults.stop();
    assert.equal(receive(kernel, fd), 1);
    world.peer().connect('tcp://127.0.0.1:80');
    world.settle();
    world.faults.rates.acceptAgain = 1;
    assert.equal(kernel.accept(listener), -EAGAIN);
    world.faults.stop();
    assert.ok(kernel.accept(listener) > 0);
  });

  test('a reset really breaks the connection, at both ends', () => {
    for (const name of ['receiveReset', 'sendReset'] as const) {
      const { world, kernel, fd, peer } = scene({ [name]: 1 });
      const n = name === 'sendReset' ? kernel.send(fd, Buffer.from('x')) : receive(kernel, fd);
      assert.ok(n < 0 && n !== -EAGAIN);
      world.faults.stop();
      assert.ok(kernel.send(fd, Buffer.from('x')) < 0);
      world.runSync({ until: () => peer.isOver });
      assert.equal(peer.error, ECONNRESET);
    }
  });

  test('accept fails in all its ways', () => {
    const { world, kernel, listener } = scene({});
    const connect = (): void => {
      const client = world.peer();
      client.connect('tcp://127.0.0.1:80');
      world.settle();
    };
    connect();
    const kept: [keyof FaultRates, number[]][] = [
      ['tableFull', [EMFILE]],
      ['systemFull', [ENFILE]],
      ['acceptNoMemory', [ENOBUFS, ENOMEM]],
    ];
    for (const [name, errnos] of kept) {
      world.faults.rates[name] = 1;
      assert.ok(errnos.includes(-kernel.accept(listener)), name);
      world.faults.stop();
    }
    world.faults.rates.acceptAborted = 1;
    assert.ok([ECONNABORTED, EPROTO].includes(-kernel.accept(listener)));
    world.faults.stop();
    assert.equal(kernel.accept(listener), -EAGAIN, 'the aborted connection is gone');
  });

  test('connect fails in all its ways', () => {
    const { world, kernel } = scene({});
    const { sockaddr } = parseUrl('tcp://127.0.0.1:80');
    const outcome = (name: keyof FaultRates): [number, number] => {
      world.faults.rates[name] = 1;
      const fd = kernel.socket(AF_INET, 1, 0);
      const result = kernel.connect(fd, sockaddr);
      world.runSync({ until: () => false });
      world.faults.stop();
      const value = Buffer.alloc(4);
      kernel.getSocketOption(fd, 1, 4, value);
      return [result, value.readInt32LE()];
    };
    assert.deepEqual(outcome('connectRefused'), [-EINPROGRESS, ECONNREFUSED]);
    assert.deepEqual(outcome('connectLost'), [-EINPROGRESS, 110]);
    assert.deepEqual(outcome('connectAtOnce'), [0, 0]);
    assert.ok(outcome('connectFailed')[0] < 0);
  });

  test('a lost SYN is answered once faults have stopped', () => {
    const { world, kernel } = scene({ connectLost: 1 });
    const fd = kernel.socket(AF_INET, 1, 0);
    kernel.connect(fd, parseUrl('tcp://127.0.0.1:80').sockaddr);
    world.settle();
    world.faults.stop();
    world.runSync({ until: () => kernel.getPeerName(fd, Buffer.alloc(16)) > 0 });
    assert.equal(kernel.getPeerName(fd, Buffer.alloc(16)), 16);
  });

  test('waits are interrupted, withheld, split and made up', () => {
    const { world, kernel, fd, peer } = scene({});
    const epfd = kernel.epollCreate();
    const events = kernel.allocate(120);
    kernel.epollControl(epfd, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT, 1, 0);
    const once = (name: keyof FaultRates): number => {
      world.faults.rates[name] = 1;
      const n = kernel.epollWait(epfd, events);
      world.faults.stop();
      return n;
    };
    assert.equal(once('waitInterrupted'), 0);
    assert.equal(once('eventWithheld'), 0);
    assert.equal(kernel.epollWait(epfd, events), 1, 'the event comes again');
    peer.send('x');
    world.runSync({ until: () => false });
    assert.equal(once('eventSplit'), 1);
    const part = events.bytes.readUInt32LE(0);
    assert.ok(part === EPOLLIN || part === EPOLLOUT);
    receive(kernel, fd);
    const idle = kernel.eventfd();
    kernel.epollControl(epfd, EPOLL_CTL_ADD, idle, EPOLLIN, 2, 0);
    let spurious = 0;
    for (let i = 0; i < 50; i++) spurious += once('eventSpurious') - 1;
    assert.ok(spurious > 0);
  });

  test('there is no memory', () => {
    const { world, kernel } = scene({ regionNoMemory: 1, blockNoMemory: 1 });
    assert.throws(() => kernel.allocate(64), RangeError);
    assert.equal(kernel.allocateBlock(64), 0);
    assert.deepEqual(world.violations.take(), []);
    assert.equal(world.memory.liveBytes, 0);
  });

  test('Unix connections are not reset by faults', () => {
    const { kernel, fd } = scene({ receiveReset: 1, sendReset: 1 }, 'unix-abstract://s');
    assert.equal(kernel.send(fd, Buffer.from('x')), 1);
    assert.equal(receive(kernel, fd), -EAGAIN);
    assert.equal(kernel.socket(AF_UNIX, 1, 0) > 0, true);
  });

  test('a seed draws few faults in one half of the cases and many in the other', () => {
    const counts: number[] = [];
    for (let seed = 0; seed < 200; seed++) {
      const { rates } = new SimWorld({ seed, faults: 'swarm' }).faults;
      counts.push(FAULT_NAMES.filter((name) => rates[name] > 0).length);
    }
    const few = counts.filter((count) => count <= 8).length;
    assert.ok(few > 60 && few < 140, `${few} of 200`);
    assert.ok(Math.max(...counts) > 15);
  });
});

/** A little of everything: an echo server on bare calls, with rude peers. Returns the hash. */
function play(seed: number, plan: FaultPlan): string {
  const world = new SimWorld({ seed, faults: plan });
  const kernel = world.kernel('a');
  const random = new Random(seed, 77);
  const listener = kernel.socket(AF_INET, 1, 0);
  if (listener < 0) return world.traceHash;
  kernel.bind(listener, parseUrl('tcp://127.0.0.1:80').sockaddr);
  kernel.listen(listener, 3);
  const region = world.memory.allocate(4096);
  const open: number[] = [];
  for (let i = 0; i < 5; i++) {
    const peer = world.peer({ resetChance: random.chance(0.3) ? 0.05 : 0, writeMax: 100 });
    peer.connect('tcp://127.0.0.1:80');
    peer.send(Buffer.alloc(random.below(3000)));
    peer.end();
  }
  const turn = (): void => {
    const fd = kernel.accept(listener);
    if (fd >= 0) open.push(fd);
    for (const one of [...open]) {
      const n = kernel.receive(one, region);
      if (n > 0) kernel.sendAt(one, region.address, n);
      if (n > 0 || n === -EAGAIN) continue;
      kernel.close(one);
      open.splice(open.indexOf(one), 1);
    }
    kernel.random();
    kernel.defer(turn);
  };
  turn();
  world.runSync({ until: () => false, maxSteps: 400 });
  return world.traceHash;
}

describe('reproducibility', () => {
  test('the same seed gives the same hash, another seed another', () => {
    const hashes = new Set<string>();
    for (let seed = 0; seed < 30; seed++) {
      const hash = play(seed, 'swarm');
      assert.equal(play(seed, 'swarm'), hash, `seed ${seed}`);
      hashes.add(hash);
    }
    assert.ok(hashes.size > 25);
  });

  test('the trace keeps the last lines', () => {
    const world = new SimWorld({ seed: 1, shape: 'plain', traceLines: 3 });
    const kernel = world.kernel('a');
    for (let i = 0; i < 5; i++) kernel.close(kernel.eventfd());
    world.trace.note('the end');
    const lines = world.trace.text().split('\n');
    assert.deepEqual(lines, ['0 eventfd(0, 0) = 3', '0 close(3, 0) = 0', 'the end']);
    assert.match(world.describe(), /SEED=1/);
  });

  test('random numbers are spread and repeat', () => {
    const random = new Random(5);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) counts[random.below(10)]!++;
    assert.ok(counts.every((count) => count > 850 && count < 1150));
    assert.equal(new Random(9).uint32(), new Random(9).uint32());
    assert.notEqual(new Random(9).uint32(), new Random(10).uint32());
    const items = [1, 2, 3, 4, 5];
    assert.deepEqual([...random.shuffle([...items])].sort(), items);
    assert.throws(() => random.pick([]), RangeError);
    assert.equal(random.chance(0), false);
    assert.equal(random.chance(1), true);
  });
});
