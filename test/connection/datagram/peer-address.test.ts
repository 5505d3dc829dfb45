/** Peers: text on demand, keys that tell them apart, copies that stay. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { encodeSockaddr, parseAddress } from '../../../src/base/address.js';
import { AF_INET, AF_INET6, AF_UNIX } from '../../../src/base/linux.js';
import { PeerAddress } from '../../../src/connection/datagram/peer-address.js';
import { resolvePeer } from '../../../src/connection/datagram/peer-from-url.js';

const of = (url: string, scheme: 'udp' | 'unixgram' = 'udp') =>
  PeerAddress.of(scheme, encodeSockaddr(parseAddress(url)));

test('an address as text, in parts', () => {
  const four = of('tcp://10.1.2.3:53');
  assert.deepEqual(
    [four.address, four.host, four.port, String(four)],
    ['udp://10.1.2.3:53', '10.1.2.3', 53, 'udp://10.1.2.3:53'],
  );
  const six = of('tcp://[fe80::1%7]:5353');
  assert.deepEqual(
    [six.address, six.host, six.port],
    ['udp://[fe80::1%7]:5353', 'fe80::1%7', 5_353],
  );
  const unix = of('unix:///run/a', 'unixgram');
  assert.deepEqual([unix.address, unix.host, unix.port], ['unixgram:///run/a', '', 0]);
  assert.equal(four.localHost, '');
});

test('one that is borrowed changes, its copy does not', () => {
  const memory = new ArrayBuffer(64);
  const bytes = Buffer.from(memory);
  bytes.set(encodeSockaddr(parseAddress('tcp://1.1.1.1:1')), 0);
  bytes.set(encodeSockaddr(parseAddress('tcp://2.2.2.2:2')), 32);
  const peer = new PeerAddress('udp', bytes, new Int32Array(memory));
  peer.point(0, 16);
  assert.equal(peer.address, 'udp://1.1.1.1:1');
  const kept = peer.keep();
  peer.point(32, 16);
  assert.equal(peer.address, 'udp://2.2.2.2:2');
  bytes.fill(0);
  assert.equal(kept.address, 'udp://1.1.1.1:1');
});

test('keys are equal for equal peers, and for no others', () => {
  const ip4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(65_535));
  fc.assert(
    fc.property(ip4, ip4, fc.nat(), fc.nat(0xffff), (a, b, low, high) => {
      const [first, second] = [a, b].map(([w, x, y, z, port]) =>
        of(`tcp://${w}.${x}.${y}.${z}:${port}`),
      );
      const isSame = a.join() === b.join();
      assert.equal(first!.key(low, high) === second!.key(low, high), isSame);
      assert.equal(first!.key(low, high), first!.keep().key(low, high));
    }),
  );
  const others = [
    'tcp://[::1]:1',
    'tcp://[::1]:2',
    'tcp://[::2]:1',
    'tcp://[fe80::1%1]:1',
    'tcp://[fe80::1%2]:1',
  ];
  assert.equal(new Set(others.map((url) => of(url).key(1, 2))).size, others.length);
  const labelled = of('tcp://[::1]:1');
  labelled.bytes[4] = 9;
  assert.equal(labelled.key(1, 2), of('tcp://[::1]:1').key(1, 2), 'the flow label tells nothing');
});

test('a URL becomes a peer of the socket’s family, or an error', () => {
  assert.equal(resolvePeer('udp://127.0.0.1:9', AF_INET, 'udp').address, 'udp://127.0.0.1:9');
  const mapped = resolvePeer('udp://127.0.0.1:9', AF_INET6, 'udp');
  assert.deepEqual([mapped.family, mapped.address], [AF_INET6, 'udp://127.0.0.1:9']);
  assert.equal(resolvePeer('unixgram:///a', AF_UNIX, 'unixgram').address, 'unixgram:///a');
  for (const [url, family] of [
    ['udp://[::1]:9', AF_INET],
    ['unixgram:///a', AF_INET],
    ['tcp://127.0.0.1:9', AF_INET],
    ['udp://localhost:9', AF_INET],
    ['127.0.0.1:9', AF_INET],
  ] as const) {
    assert.throws(() => resolvePeer(url, family, 'udp'), TypeError, url);
  }
  assert.throws(() => resolvePeer({} as never, AF_INET, 'udp'), TypeError);
});
