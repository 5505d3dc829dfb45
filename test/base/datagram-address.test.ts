/** Addresses of datagram sockets: URLs there and back, and what is wrong with wrong ones. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeSockaddr } from '../../src/base/address.js';
import {
  datagramAddressUrl,
  datagramUrl,
  isDatagramAddress,
  isUdp,
  parseDatagramAddress,
  parseListenAddress,
  placeOf,
  schemeOf,
} from '../../src/base/datagram-address.js';

test('URLs come back as they were', () => {
  const urls = [
    'udp://127.0.0.1:53',
    'udp4://example.org:53',
    'udp6://[::1]:0',
    'udp://[fe80::1%eth0]:1',
    'unixgram:///run/a',
    'unixgram-abstract://name',
    'seqpacket:///run/a',
    'seqpacket-abstract://name',
  ];
  for (const url of urls) {
    const address = parseDatagramAddress(url);
    assert.equal(datagramAddressUrl(address), url);
    assert.deepEqual(parseListenAddress(url), address);
    assert.ok(isDatagramAddress(address));
    assert.equal(isUdp(address), url.startsWith('udp'));
    assert.equal(schemeOf(address), /^(udp|unixgram|seqpacket)/.exec(url)![0]);
  }
  assert.ok(!isDatagramAddress(parseListenAddress('tcp://127.0.0.1:1')));
});

test('socket addresses become URLs of the socket’s scheme', () => {
  for (const url of ['udp://127.0.0.1:53', 'unixgram:///run/a', 'seqpacket-abstract://name']) {
    const address = parseDatagramAddress(url);
    const bytes = encodeSockaddr(placeOf(address));
    assert.equal(datagramUrl(bytes, bytes.byteLength, schemeOf(address)), url);
  }
});

test('wrong URLs are told what is wrong with them', () => {
  for (const [url, message] of [
    ['udp://127.0.0.1', /port is missing/],
    ['udp://127.0.0.1:65536', /port is 65536/],
    ['udp4://[::1]:1', /udp4:\/\/ takes no IPv6 address; expected udp:\/\/ or udp6:\/\//],
    ['udp6://127.0.0.1:1', /udp6:\/\/ takes no IPv4 address; expected udp:\/\/ or udp4:\/\//],
    ['unixgram://', /path is empty; expected unixgram:\/\/\/absolute/],
    ['seqpacket-abstract://', /name is empty; expected seqpacket-abstract:\/\/name/],
    ['tcp://127.0.0.1:1', /expected udp:\/\/host:port/],
  ] as const) {
    assert.throws(() => parseDatagramAddress(url), message);
  }
  assert.throws(() => parseDatagramAddress(7 as never), TypeError);
});
