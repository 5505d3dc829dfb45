/** Gathering datagrams: what the kernel would be given, one by one and joined, is what was sent. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { encodeSockaddr, parseAddress } from '../../../src/base/address.js';
import { IPPROTO_UDP, UDP_SEGMENT } from '../../../src/base/linux.js';
import { LinuxKernel } from '../../../src/base/linux-kernel.js';
import { findControl } from '../../../src/connection/datagram/control.js';
import { PeerAddress } from '../../../src/connection/datagram/peer-address.js';
import {
  SEGMENTED_BYTES_MAX,
  SEGMENTS_MAX,
  SEND_BATCH,
  SendBatch,
} from '../../../src/connection/datagram/send-batch.js';

const kernel = new LinuxKernel();
const peers = [1, 2].map((host) =>
  PeerAddress.of('udp', encodeSockaddr(parseAddress(`tcp://127.0.0.${host}:9`))),
);

interface Sent {
  readonly to: string;
  readonly bytes: string;
}

/** What the kernel would send: messages, divided where they say so. */
function datagramsOf(batch: SendBatch): Sent[] {
  const { table } = batch;
  const list: Sent[] = [];
  for (let i = 0; i < batch.count; i += 1) {
    const payload = batch.payload(i);
    const at = table.controlAt(i);
    const length = table.controlLength(i);
    const found = findControl(table.words, at, length, IPPROTO_UDP, UDP_SEGMENT);
    const size = found < 0 ? payload.byteLength : table.words[found >> 2] & 0xffff;
    assert.equal(batch.segmentBytes(i), found < 0 ? 0 : size);
    const to = batch.peer(i, 'udp')?.address ?? 'connected';
    const pieces = Math.max(1, Math.ceil(payload.byteLength / Math.max(1, size)));
    assert.equal(batch.datagramsOf(i), pieces);
    if (found >= 0) {
      // The kernel's own limits (udp_send_skb).
      assert.ok(pieces <= SEGMENTS_MAX && payload.byteLength <= SEGMENTED_BYTES_MAX);
    }
    for (let piece = 0; piece < pieces; piece += 1) {
      list.push({ to, bytes: payload.toString('latin1', piece * size, (piece + 1) * size) });
    }
  }
  return list;
}

const datagram = fc.record({
  peer: fc.constantFrom(0, 1, 1, 1, -1),
  length: fc.oneof(fc.constantFrom(0, 1, 64, 64, 64, 1_400, 1_400), fc.nat(3_000)),
});

for (const mayJoin of [false, true]) {
  test(`what is gathered is what goes out, ${mayJoin ? 'joined' : 'one by one'}`, () => {
    const batch = new SendBatch(kernel);
    fc.assert(
      fc.property(fc.array(datagram, { maxLength: 200 }), (list) => {
        batch.clear();
        const expected: Sent[] = [];
        for (const [n, { peer, length }] of list.entries()) {
          const bytes = Buffer.alloc(length, `${n},`);
          const to = peer < 0 ? undefined : peers[peer];
          if (!batch.fits(length)) break;
          batch.add(bytes, length, to, 0, mayJoin);
          expected.push({ to: to?.address ?? 'connected', bytes: bytes.toString('latin1') });
        }
        assert.deepEqual(datagramsOf(batch), expected);
        assert.equal(batch.datagrams, expected.length);
        assert.equal(
          batch.byteLength,
          expected.reduce((sum, { bytes }) => sum + bytes.length, 0),
        );
        if (!mayJoin) assert.equal(batch.count, expected.length);
      }),
      { numRuns: 200 },
    );
    batch.release();
  });
}

test('equal datagrams to one peer are one message, up to the limits', () => {
  const batch = new SendBatch(kernel);
  for (let i = 0; i < 100; i += 1) batch.add('same', 4, peers[0], 0, true);
  assert.equal(batch.count, 2);
  assert.deepEqual([batch.datagramsOf(0), batch.datagramsOf(1)], [SEGMENTS_MAX, 36]);
  batch.clear();
  for (let i = 0; i < 4; i += 1) batch.add(Buffer.alloc(30_000), 30_000, peers[0], 0, true);
  assert.deepEqual([batch.count, batch.datagramsOf(0)], [2, 2]);
  batch.clear();
  // A shorter one ends a message.
  for (const text of ['four', 'two', 'four', 'four']) {
    batch.add(text, text.length, peers[0], 0, true);
  }
  assert.deepEqual([batch.count, batch.datagramsOf(0), batch.datagramsOf(1)], [2, 2, 2]);
  batch.release();
});

test('nothing of a former batch is left', () => {
  const batch = new SendBatch(kernel);
  for (let i = 0; i < SEND_BATCH; i += 1) batch.add('abcdef', 6, peers[0], 3, false);
  batch.clear();
  for (let i = 0; i < SEND_BATCH; i += 1) batch.add(`${i}`, `${i}`.length, peers[1], 0, false);
  assert.ok(!batch.fits(0));
  const expected = Array.from({ length: SEND_BATCH }, (_, i) => ({
    to: 'udp://127.0.0.2:9',
    bytes: `${i}`,
  }));
  assert.deepEqual(datagramsOf(batch), expected);
  batch.release();
});
