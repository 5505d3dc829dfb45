/** Headers of the PROXY protocol: what is one, what is none, and that what we write is what we read. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import { formatIpv4, formatIpv6 } from '../../src/base/ip-address.js';
import { crc32c } from '../../src/http/crc32c.js';
import { PROXY_BYTES_MAX, readProxyHeader, V2_SIGNATURE } from '../../src/http/proxy-header.js';
import { encodeProxyHeader } from '../../src/http/proxy-writer.js';

const NOBODY = { source: undefined, destination: undefined, values: [] };

function v2(command: number, family: number, body: Buffer | string): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'hex') : body;
  const start = Buffer.from([command, family, bytes.byteLength >> 8, bytes.byteLength & 0xff]);
  return Buffer.concat([V2_SIGNATURE, start, bytes]);
}

/** Reads it whole, with something after it, and cut at every byte. */
function read(bytes: Buffer | string) {
  const header = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  const whole = readProxyHeader(header);
  for (let cut = 0; cut < header.byteLength; cut += 1) {
    const part = readProxyHeader(header.subarray(0, cut));
    assert.ok(
      part === 'more' || (whole === 'bad' && part === 'bad'),
      `cut at ${cut}: ${JSON.stringify(part)}`,
    );
  }
  if (typeof whole === 'object') {
    assert.equal(whole.byteLength, header.byteLength);
    assert.deepEqual(readProxyHeader(Buffer.concat([header, Buffer.from('GET')])), whole);
    return whole.header;
  }
  return whole;
}

describe('readProxyHeader', () => {
  for (const [line, source, destination] of [
    ['TCP4 192.0.2.1 198.51.100.2 56324 443', 'tcp://192.0.2.1:56324', 'tcp://198.51.100.2:443'],
    ['TCP6 2001:db8::1 ::1 0 65535', 'tcp://[2001:db8::1]:0', 'tcp://[::1]:65535'],
    ['UNKNOWN', undefined, undefined],
    [`UNKNOWN ${'f'.repeat(80)}`, undefined, undefined],
  ] as const) {
    it(`reads PROXY ${line}`, () => {
      const expected = { version: 1, source, destination, values: [] };
      assert.deepEqual(read(`PROXY ${line}\r\n`), expected);
    });
  }

  for (const line of [
    'GET / HTTP/1.1\r\n',
    'PROXY\r\n',
    'PROXY \r\n',
    'proxy UNKNOWN\r\n',
    'PROXY UNKNOWNX\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n',
    'PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n',
    'PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 -2\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n',
    'PROXY TCP4 ::1 ::1 1 2\r\n',
    'PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n',
    'PROXY TCP5 ::1 ::1 1 2\r\n',
    'PROXY TCP4 a b 1 2\r\n',
    `PROXY UNKNOWN ${'f'.repeat(100)}\r\n`,
    'PROXY TCP4 192.0.2.1 192.0.2.2 1e1 2\r\n',
    'PROXY TCP6 [::1] ::1 1 2\r\n',
  ]) {
    it(`refuses ${JSON.stringify(line.slice(0, 60))}`, () => {
      assert.equal(read(line), 'bad');
    });
  }

  it('reads version 2', () => {
    assert.deepEqual(read(v2(0x21, 0x11, 'c0000201c63364020001ffff')), {
      version: 2,
      source: 'tcp://192.0.2.1:1',
      destination: 'tcp://198.51.100.2:65535',
      values: [],
    });
    const sixes = `${'20010db8'.padEnd(32, '0')}${'1'.padStart(32, '0')}01bb0050`;
    assert.deepEqual(read(v2(0x21, 0x21, `${sixes}02000161050000`)), {
      version: 2,
      source: 'tcp://[2001:db8::]:443',
      destination: 'tcp://[::1]:80',
      values: [
        { type: 2, bytes: Buffer.from('a') },
        { type: 5, bytes: Buffer.alloc(0) },
      ],
    });
    const paths = Buffer.alloc(216);
    paths.write('/run/a.sock', 0);
    paths.fill('b', 108);
    assert.deepEqual(read(v2(0x21, 0x31, paths)), {
      version: 2,
      source: 'unix:///run/a.sock',
      destination: `unix://${'b'.repeat(108)}`,
      values: [],
    });
    assert.deepEqual(read(v2(0x20, 0x11, 'ff')), { version: 2, ...NOBODY });
    assert.deepEqual(read(v2(0x21, 0x00, 'ffff')), { version: 2, ...NOBODY });
    assert.deepEqual(read(v2(0x21, 0x12, 'c0000201c63364020001ffff')), { version: 2, ...NOBODY });
  });

  it('refuses what is not right in version 2', () => {
    const four = 'c0000201c63364020001ffff';
    for (const bytes of [
      v2(0x11, 0x11, four),
      v2(0x22, 0x11, four),
      v2(0x21, 0x11, four.slice(2)),
      v2(0x21, 0x21, four),
      v2(0x21, 0x31, four),
      v2(0x21, 0x41, four),
      v2(0x21, 0x11, `${four}02`),
      v2(0x21, 0x11, `${four}020002aa`),
      v2(0x21, 0x11, `${four}030004deadbeef`),
      v2(0x21, 0x11, `${four}030003000000`),
      v2(0x21, 0x11, Buffer.alloc(PROXY_BYTES_MAX)),
      Buffer.from('\r\n\r\n\0\r\nQUIX\n'),
    ]) {
      const outcome = readProxyHeader(bytes);
      assert.equal(outcome, 'bad', bytes.toString('hex').slice(0, 80));
    }
  });

  it('never throws, and never reads more than there is', () => {
    const start = fc.constantFrom(V2_SIGNATURE, Buffer.from('PROXY TCP4 '), Buffer.alloc(0));
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (first, rest) => {
        const bytes = Buffer.concat([first, rest]);
        const outcome = readProxyHeader(bytes);
        assert.ok(typeof outcome === 'string' || outcome.byteLength <= bytes.byteLength);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('encodeProxyHeader', () => {
  const port = fc.nat({ max: 65_535 });
  const four = fc.uint8Array({ minLength: 4, maxLength: 4 });
  // Not ::ffff:0:0/96, which goes out as IPv4.
  const six = fc.uint8Array({ minLength: 16, maxLength: 16 }).filter((bytes) => bytes[0] !== 0);
  const fourUrl = fc.tuple(four, port).map(([address, n]) => `tcp://${formatIpv4(address)}:${n}`);
  const sixUrl = fc.tuple(six, port).map(([address, n]) => `tcp://[${formatIpv6(address)}]:${n}`);
  const value = fc
    .tuple(fc.constantFrom(1, 2, 4, 5, 0x20, 0xff), fc.uint8Array({ maxLength: 100 }))
    .map(([type, bytes]) => ({ type, bytes: Buffer.from(bytes) }));

  it('writes what is read', () => {
    const pair = fc.oneof(fc.tuple(fourUrl, fourUrl), fc.tuple(sixUrl, sixUrl));
    fc.assert(
      fc.property(
        pair,
        fc.array(value, { maxLength: 5 }),
        fc.boolean(),
        (urls, values, checksum) => {
          const [source, destination] = urls;
          const one = encodeProxyHeader({ version: 1, source, destination });
          assert.deepEqual(read(one), { version: 1, source, destination, values: [] });
          const two = readProxyHeader(encodeProxyHeader({ source, destination, values, checksum }));
          assert.ok(typeof two === 'object');
          assert.deepEqual([two.header.source, two.header.destination], [source, destination]);
          assert.deepEqual(two.header.values.slice(0, values.length), values);
          assert.equal(two.header.values.length, values.length + (checksum ? 1 : 0));
        },
      ),
    );
  });

  it('a changed bit is found by the checksum', () => {
    const header = encodeProxyHeader({
      source: 'tcp://192.0.2.1:1',
      destination: 'tcp://192.0.2.2:2',
      values: [{ type: 2, bytes: Buffer.from('example.org') }],
      checksum: true,
    });
    for (let bit = 16 * 8; bit < header.byteLength * 8; bit += 1) {
      const changed = Buffer.from(header);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const outcome = readProxyHeader(changed);
      // But where it makes another value of the checksum itself.
      const isStillOne =
        typeof outcome === 'object' && outcome.header.values.some(({ type }) => type === 3);
      assert.ok(!isStillOne, `bit ${bit}`);
    }
  });

  it('writes that it does not know, and takes nothing wrong', () => {
    assert.deepEqual(read(encodeProxyHeader()), { version: 2, ...NOBODY });
    assert.equal(String(encodeProxyHeader({ version: 1 })), 'PROXY UNKNOWN\r\n');
    const mixed = { source: 'tcp://192.0.2.1:1', destination: 'tcp://[::1]:2' };
    assert.deepEqual(read(encodeProxyHeader(mixed)), { version: 2, ...NOBODY });
    assert.equal(String(encodeProxyHeader({ version: 1, ...mixed })), 'PROXY UNKNOWN\r\n');
    const mapped = { source: 'tcp://[::ffff:192.0.2.1]:1', destination: 'tcp://192.0.2.2:2' };
    assert.equal(
      String(encodeProxyHeader({ version: 1, ...mapped })),
      'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n',
    );
    const paths = { source: 'unix:///a', destination: 'unix:///b' };
    assert.deepEqual(read(encodeProxyHeader(paths)), { version: 2, ...paths, values: [] });
    const urls = { source: 'tcp://192.0.2.1:1', destination: 'tcp://192.0.2.2:2' };
    const bytes = Buffer.alloc(70_000);
    assert.throws(() => encodeProxyHeader({ source: 'tcp://192.0.2.1:1' }), TypeError);
    assert.throws(() => encodeProxyHeader({ ...urls, source: 'tcp://a:1' }), TypeError);
    assert.throws(() => encodeProxyHeader({ ...urls, source: 'x' }), TypeError);
    assert.throws(() => encodeProxyHeader({ ...urls, version: 3 as never }), RangeError);
    assert.throws(() => encodeProxyHeader({ ...urls, version: 1, checksum: true }), TypeError);
    assert.throws(() => encodeProxyHeader({ ...urls, values: [{ type: 256, bytes }] }), RangeError);
    assert.throws(() => encodeProxyHeader({ ...urls, values: [{ type: 1, bytes }] }), RangeError);
  });
});

describe('crc32c', () => {
  it('is that of the RFC', () => {
    assert.equal(crc32c(Buffer.from('123456789')), 0xe306_9283);
    assert.equal(crc32c(Buffer.alloc(32)), 0x8a91_36aa);
    assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8_ab43);
  });
});
