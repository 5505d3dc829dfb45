/** Socket addresses: exact bytes, what cannot be encoded, what the kernel may fill in, and round trips to URLs. */

import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';

import fc from 'fast-check';

import {
  decodeSockaddr,
  encodeSockaddr,
  familyOf,
  formatAddress,
  indexOfInterface,
  parseAddress,
  UNIX_NAME_BYTES_MAX,
} from '../../src/base/address.js';
import { formatIpv4, formatIpv6 } from '../../src/base/ip-address.js';
import { AF_INET, AF_INET6, AF_UNIX } from '../../src/base/linux.js';
import { SystemError } from '../../src/errors.js';

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function decode(bytes: Uint8Array): string {
  return decodeSockaddr(bytes, bytes.byteLength);
}

const ports = fc.integer({ min: 0, max: 65_535 });
const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(formatIpv4);
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(formatIpv6);
const names = fc
  .string({ minLength: 1, maxLength: UNIX_NAME_BYTES_MAX, unit: 'binary' })
  .map((text) => text.replace(/\p{Cc}/gu, 'x'))
  .filter((text) => Buffer.byteLength(text) <= UNIX_NAME_BYTES_MAX);

test('sockaddr_in and sockaddr_in6 have the exact bytes of Linux', () => {
  assert.equal(
    hex(encodeSockaddr(parseAddress('tcp://1.2.3.4:258'))),
    '02000102010203040000000000000000',
  );
  assert.equal(
    hex(encodeSockaddr(parseAddress('tcp://[2001:db8::ff%258]:8080'))),
    `0a001f90000000002001${'0db8'}${'00'.repeat(11)}ff02010000`,
  );
});

test('a path is encoded with its NUL, an abstract name with a NUL in front and none behind', () => {
  assert.equal(hex(encodeSockaddr(parseAddress('unix:///a'))), '01002f6100');
  assert.equal(hex(encodeSockaddr(parseAddress('unix-abstract://ab'))), '0100006162');
  assert.equal(encodeSockaddr(parseAddress(`unix://${'a'.repeat(107)}`)).byteLength, 110);
  assert.equal(encodeSockaddr(parseAddress(`unix-abstract://${'a'.repeat(107)}`)).byteLength, 110);
});

test('the scope of an address goes through the interface table of the host', () => {
  const address = parseAddress('tcp://[fe80::1%wan0]:80');
  const bytes = encodeSockaddr(address, (name) => (name === 'wan0' ? 12 : 0));
  assert.equal(decode(bytes), 'tcp://[fe80::1%12]:80');
  assert.throws(() => encodeSockaddr(address, () => 0), { name: 'SystemError', code: 'ENODEV' });
  assert.ok(SystemError.prototype instanceof Error);
});

test('indexOfInterface() finds the interfaces of this host and no others', () => {
  for (const [name, entries] of Object.entries(networkInterfaces())) {
    const index = indexOfInterface(name);
    assert.ok(Number.isInteger(index) && index > 0, name);
    for (const entry of entries ?? []) {
      if (entry.family === 'IPv6' && entry.scopeid !== 0) assert.equal(index, entry.scopeid);
    }
  }
  for (const name of ['nosuch0', '', '.', '..', '../net/lo', 'constructor', '__proto__']) {
    assert.equal(indexOfInterface(name), 0, name);
  }
});

test('what has no socket address cannot be encoded', () => {
  for (const url of ['fd://3', 'systemd://']) {
    assert.throws(() => encodeSockaddr(parseAddress(url)), TypeError, url);
    assert.throws(() => familyOf(parseAddress(url)), TypeError, url);
  }
  assert.throws(() => encodeSockaddr(parseAddress('tcp://localhost:80')), {
    name: 'TypeError',
    message: /tcp:\/\/localhost:80 has a host name, which must be resolved first/,
  });
});

test('an address made by hand is checked when it is encoded', () => {
  const tcp = { kind: 'tcp', host: '1.2.3.4', version: 4, scope: '', port: 80 } as const;
  assert.throws(() => encodeSockaddr({ ...tcp, port: 65_616 }), RangeError);
  assert.throws(() => encodeSockaddr({ ...tcp, host: 'a' }), TypeError);
  assert.throws(() => encodeSockaddr({ ...tcp, version: 6 }), TypeError);
  assert.throws(() => encodeSockaddr({ kind: 'unix', path: '' }), RangeError);
  assert.throws(() => encodeSockaddr({ kind: 'unix', path: 'a'.repeat(108) }), RangeError);
  assert.throws(() => encodeSockaddr({ kind: 'unix', path: 'a\0b' }), TypeError);
});

test('familyOf() tells the family that socket(2) takes', () => {
  assert.equal(familyOf(parseAddress('tcp://1.2.3.4:1')), AF_INET);
  assert.equal(familyOf(parseAddress('tcp://[::1]:1')), AF_INET6);
  assert.equal(familyOf(parseAddress('unix://a')), AF_UNIX);
  assert.equal(familyOf(parseAddress('unix-abstract://a')), AF_UNIX);
});

test('numeric TCP addresses survive URL to bytes to URL', () => {
  fc.assert(
    fc.property(
      ipv4,
      ipv6,
      ports,
      fc.integer({ min: 0, max: 0xffff_ffff }),
      (v4, v6, port, scope) => {
        const url4 = `tcp://${v4}:${port}`;
        assert.equal(decode(encodeSockaddr(parseAddress(url4))), url4);
        assert.equal(formatAddress(parseAddress(url4)), url4);
        const url6 = `tcp://[${v6}${scope === 0 ? '' : `%${scope}`}]:${port}`;
        assert.equal(formatAddress(parseAddress(url6)), url6);
        if (!v6.startsWith('::ffff:')) {
          assert.equal(decode(encodeSockaddr(parseAddress(url6))), url6);
        }
      },
    ),
  );
});

test('Unix paths and abstract names without control characters survive URL to bytes to URL', () => {
  fc.assert(
    fc.property(names, (name) => {
      for (const url of [`unix://${name}`, `unix-abstract://${name}`]) {
        assert.equal(formatAddress(parseAddress(url)), url);
        assert.equal(decode(encodeSockaddr(parseAddress(url))), url);
      }
    }),
  );
});

test('an IPv4-mapped peer of a dual-stack socket is shown as the IPv4 address it is', () => {
  const mapped = encodeSockaddr(parseAddress('tcp://[::ffff:192.0.2.1]:80'));
  assert.equal(decode(mapped), 'tcp://192.0.2.1:80');
});

test('unnamed Unix sockets, full paths and names with odd bytes are decoded', () => {
  assert.equal(decodeSockaddr(new Uint8Array([1, 0]), 2), 'unix://');
  assert.equal(decodeSockaddr(new Uint8Array([1, 0, 47, 97, 0, 98, 0]), 7), 'unix:///a');
  const full = new Uint8Array(110).fill(97);
  full.set([1, 0]);
  // The kernel counts the NUL that did not fit (unix(7)).
  assert.equal(decodeSockaddr(full, 111), `unix://${'a'.repeat(108)}`);
  assert.equal(decodeSockaddr(new Uint8Array([1, 0, 0]), 3), 'unix-abstract://');
  const odd = new Uint8Array([1, 0, 0, 97, 10, 0, 0xff, 127, 98]);
  assert.equal(decodeSockaddr(odd, 9), 'unix-abstract://a%0A%00\ufffd%7Fb');
});

test('decodeSockaddr() reads `length` bytes of a view and no others', () => {
  const storage = new Uint8Array(256).fill(0x61);
  const view = storage.subarray(13, 141);
  view.set(encodeSockaddr(parseAddress('unix:///run/x')));
  assert.equal(decodeSockaddr(view, 9), 'unix:///run/x');
  view.set(encodeSockaddr(parseAddress('tcp://[::1]:1')));
  assert.equal(decodeSockaddr(view, 28), 'tcp://[::1]:1');
});

test('no bytes make decodeSockaddr() throw', () => {
  const families = fc.constantFrom(1, 2, 10, 16, 40, 255);
  const lengths = fc.nat(140);
  fc.assert(
    fc.property(families, lengths, fc.uint8Array({ maxLength: 130 }), (family, length, bytes) => {
      if (bytes.length > 1) bytes.set([family, 0]);
      assert.match(decodeSockaddr(bytes, length), /^[a-z-]+:\/\//);
    }),
  );
  assert.equal(decodeSockaddr(new Uint8Array(0), 0), 'unknown://0');
  assert.equal(decodeSockaddr(new Uint8Array([40, 0, 0, 0]), 4), 'unknown://40');
  assert.equal(decodeSockaddr(new Uint8Array([2, 0, 0, 80]), 4), 'unknown://2');
});
