/** Balancing: who is picked, how even it is for long and for short connections, and what hashing an address means. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import type { Balance } from '../../src/api.js';
import { type Balancer, createBalancer, hashAddress } from '../../src/connection/balancer.js';

const KINDS: readonly Balance[] = [
  'round-robin',
  'least-connections',
  'source-hash',
  'descriptor-hash',
  'random',
  'power-of-two',
];

/** Generator of 32-bit numbers (mulberry32), so that the bounds below hold in each run or in none. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

interface Rig {
  readonly balancer: Balancer;
  readonly held: number[];
  readonly available: boolean[];
}

function rigOf(kind: Balance, count: number, seed = 1): Rig {
  const held = new Array<number>(count).fill(0);
  const available = new Array<boolean>(count).fill(true);
  const balancer = createBalancer(kind, {
    count,
    connections: (index) => held[index],
    isAvailable: (index) => available[index],
    random: generator(seed),
  });
  return { balancer, held, available };
}

/** Greatest and least share, as a multiple of the mean. */
function assertEven(shares: readonly number[], within: number): void {
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  for (const share of shares) {
    assert.ok(Math.abs(share / mean - 1) <= within, `${shares.join(' ')} are not within ${within}`);
  }
}

test('round-robin takes each in turn and leaves out who is not available', () => {
  const { balancer, available } = rigOf('round-robin', 4);
  const picks = (): number[] => Array.from({ length: 8 }, () => balancer.pick(0, 0));
  assert.deepEqual(picks(), [0, 1, 2, 3, 0, 1, 2, 3]);
  available[1] = false;
  assert.deepEqual(picks(), [0, 2, 3, 0, 2, 3, 0, 2]);
  available[1] = true;
  assert.deepEqual(picks(), [3, 0, 1, 2, 3, 0, 1, 2]);
});

test('least-connections takes the one with fewest, and equal ones in turn', () => {
  const { balancer, held, available } = rigOf('least-connections', 4);
  assert.deepEqual(
    Array.from({ length: 6 }, () => balancer.pick(0, 0)),
    [0, 1, 2, 3, 0, 1],
  );
  held.splice(0, 4, 5, 3, 9, 3);
  assert.deepEqual(
    Array.from({ length: 4 }, () => balancer.pick(0, 0)),
    [3, 1, 3, 1],
  );
  available[1] = false;
  held[3] = 6;
  assert.equal(balancer.pick(0, 0), 0);
});

test('least-connections keeps long connections even where round-robin is fooled by their order', () => {
  const longOnes = (kind: Balance): number[] => {
    const { balancer, held } = rigOf(kind, 4);
    const leaving: number[] = [];
    for (let i = 0; i < 4000; i++) {
      const index = balancer.pick(i, 0);
      held[index]++;
      // Every fourth stays; the others leave soon.
      if (i % 4 !== 0) {
        leaving.push(index);
      }
      while (leaving.length > 5) {
        held[leaving.shift()!]--;
      }
    }
    for (const index of leaving) {
      held[index]--;
    }
    return held;
  };
  assert.deepEqual(longOnes('round-robin'), [1000, 0, 0, 0]);
  assertEven(longOnes('least-connections'), 0.05);
});

test('long connections: at most one apart with least-connections, a few with power-of-two', () => {
  const spread = (kind: Balance): number => {
    const { balancer, held } = rigOf(kind, 8);
    for (let i = 0; i < 100_000; i++) {
      held[balancer.pick(i, i)]++;
    }
    return Math.max(...held) - Math.min(...held);
  };
  assert.ok(spread('least-connections') <= 1);
  assert.ok(spread('round-robin') <= 1);
  const twoChoices = spread('power-of-two');
  assert.ok(twoChoices <= 12, `${twoChoices} apart`);
  assert.ok(spread('random') > twoChoices);
});

test('short connections, of which none is ever seen: every kind is even', () => {
  for (const kind of KINDS) {
    const { balancer } = rigOf(kind, 8, 3);
    const random = generator(9);
    const shares = new Array<number>(8).fill(0);
    for (let i = 0; i < 80_000; i++) {
      shares[balancer.pick(10 + (i % 5000), random())]++;
    }
    assertEven(shares, 0.06);
  }
});

test('descriptors in any regular pattern are spread', () => {
  for (const step of [1, 2, 4, 8, 64]) {
    const { balancer } = rigOf('descriptor-hash', 8);
    const shares = new Array<number>(8).fill(0);
    for (let i = 0; i < 8000; i++) {
      shares[balancer.pick(20 + i * step, 0)]++;
    }
    assertEven(shares, 0.12);
  }
});

test('a source stays where it is; when its reactor is gone only its own sources move', () => {
  const { balancer, available } = rigOf('source-hash', 5);
  const random = generator(5);
  const sources = Array.from({ length: 2000 }, random);
  const places = sources.map((source) => balancer.pick(1, source));
  assert.deepEqual(
    sources.map((source, i) => balancer.pick(i, source)),
    places,
  );
  available[2] = false;
  assert.deepEqual(
    sources.map((source) => balancer.pick(3, source)),
    places.map((place) => (place === 2 ? 3 : place)),
  );
  available[2] = true;
  assert.deepEqual(
    sources.map((source) => balancer.pick(4, source)),
    places,
  );
});

test('the place of a source cannot be told from outside', () => {
  const sources = Array.from({ length: 100 }, (_, i) => i);
  const placesOf = (seed: number): number[] => {
    const { balancer } = rigOf('source-hash', 8, seed);
    return sources.map((source) => balancer.pick(0, source));
  };
  assert.notDeepEqual(placesOf(1), placesOf(2));
});

test('random and power-of-two never pick the same two, or one that is gone', () => {
  for (const kind of ['random', 'power-of-two'] as const) {
    const { balancer, available, held } = rigOf(kind, 5);
    available[0] = false;
    available[3] = false;
    held.splice(0, 5, 0, 10, 20, 0, 30);
    const shares = new Array<number>(5).fill(0);
    for (let i = 0; i < 30_000; i++) {
      shares[balancer.pick(0, 0)]++;
    }
    assert.equal(shares[0] + shares[3], 0);
    if (kind === 'random') {
      assertEven([shares[1], shares[2], shares[4]], 0.05);
    } else {
      // Of three pairs the least loaded is in two, the next in one, the most loaded never wins.
      assertEven([shares[1] / 2, shares[2]], 0.05);
      assert.equal(shares[4], 0);
    }
  }
});

test('whoever is picked is available; nobody is only when nobody is', () => {
  const counts = fc.array(fc.record({ isUp: fc.boolean(), held: fc.nat(5) }), {
    minLength: 1,
    maxLength: 9,
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...KINDS),
      counts,
      fc.nat(),
      fc.integer(),
      (kind, list, fd, hash) => {
        const { balancer, held, available } = rigOf(kind, list.length, fd);
        for (const [i, one] of list.entries()) {
          held[i] = one.held;
          available[i] = one.isUp;
        }
        for (let n = 0; n < 5; n++) {
          const index = balancer.pick(fd + n, hash + n);
          assert.equal(index === -1, !available.includes(true));
          assert.ok(index === -1 || available[index]);
          if (kind === 'least-connections' && index >= 0) {
            assert.ok(held.every((other, i) => !available[i] || other >= held[index]));
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('a balancer of an unknown kind, or of nobody, is refused', () => {
  assert.throws(() => rigOf('fastest' as Balance, 2), TypeError);
  for (const count of [0, -1, 1.5]) {
    assert.throws(
      () =>
        createBalancer('random', {
          count,
          connections: () => 0,
          isAvailable: () => true,
          random: () => 0,
        }),
      RangeError,
    );
  }
});

function ipv4(port: number, ...address: number[]): Uint8Array {
  return Uint8Array.of(2, 0, port >> 8, port & 255, ...address, 0, 0, 0, 0, 0, 0, 0, 0);
}

function ipv6(port: number, scope: number, ...address: number[]): Uint8Array {
  return Uint8Array.of(10, 0, port >> 8, port & 255, 0, 0, 0, 0, ...address, scope, 0, 0, 0);
}

test('an address has one hash, whatever the port', () => {
  const one = ipv4(1000, 10, 0, 0, 1);
  assert.equal(hashAddress(one, 16), hashAddress(ipv4(2000, 10, 0, 0, 1), 16));
  assert.notEqual(hashAddress(one, 16), hashAddress(ipv4(1000, 10, 0, 0, 2), 16));
  const address = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
  const six = hashAddress(ipv6(1000, 0, ...address), 28);
  assert.equal(six, hashAddress(ipv6(7, 3, ...address), 28));
  assert.notEqual(six, hashAddress(ipv6(1000, 0, ...address.slice(0, 15), 2), 28));
});

test('an IPv4 address has the same hash through a dual-stack listener', () => {
  const mapped = ipv6(80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 7);
  assert.equal(hashAddress(mapped, 28), hashAddress(ipv4(80, 192, 0, 2, 7), 16));
  const other = ipv6(80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 192, 0, 2, 7);
  assert.notEqual(hashAddress(other, 28), hashAddress(mapped, 28));
});

test('a Unix socket, an unknown family and a cut address have the hash 0', () => {
  assert.equal(hashAddress(Uint8Array.of(1, 0, 47, 97), 4), 0);
  assert.equal(hashAddress(Uint8Array.of(99, 0, 1, 2, 3, 4, 5, 6, 7, 8), 10), 0);
  assert.equal(hashAddress(ipv4(80, 1, 2, 3, 4), 7), 0);
  assert.equal(hashAddress(new Uint8Array(128), 0), 0);
});

test('neighbouring addresses are spread over the reactors', () => {
  const { balancer } = rigOf('source-hash', 8);
  const shares = new Array<number>(8).fill(0);
  for (let i = 0; i < 16_384; i++) {
    const hash = hashAddress(ipv4(5000 + i, 10, 1, i >> 8, i & 255), 16);
    shares[balancer.pick(0, hash)]++;
  }
  assertEven(shares, 0.1);
});
