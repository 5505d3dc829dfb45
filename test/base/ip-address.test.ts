/** IPv4 and IPv6 text: against Node's own parser, and RFC 5952's rules one by one. */

import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';

import fc from 'fast-check';

import {
  formatIpv4,
  formatIpv6,
  isIpv4Mapped,
  mappedIpv4,
  parseIpv4,
  parseIpv6,
} from '../../src/base/ip-address.js';

const ipv6Bytes = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  // Mostly zeros, so that runs of all lengths occur.
  fc.array(fc.constantFrom(0, 0, 0, 1, 0xab), { minLength: 16, maxLength: 16 }).map((list) => {
    return Uint8Array.from(list);
  }),
);

function canonical(text: string): string | undefined {
  const bytes = parseIpv6(text);
  return bytes === undefined ? undefined : formatIpv6(bytes);
}

test('IPv4 text that comes from bytes gives the bytes back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
      const text = formatIpv4(bytes);
      assert.ok(isIPv4(text));
      assert.deepEqual(parseIpv4(text), bytes);
    }),
  );
});

test('IPv4 text in any other form is refused', () => {
  const wrong = [
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.256',
    '1.2.3.',
    '.1.2.3',
    ' 1.2.3.4',
  ];
  for (const text of [
    ...wrong,
    '1.2.3.4 ',
    '1.2.3.-4',
    '1.2.3.0x4',
    '1..2.3',
    '1.2.3.4e0',
    '١.2.3.4',
  ]) {
    assert.equal(parseIpv4(text), undefined, text);
  }
});

test('parseIpv4() and parseIpv6() accept what Node accepts, for text close to an address', () => {
  const characters = fc.constantFrom('0', '1', '9', '25', '255', '256', 'a', 'F', ':', '::', '.');
  fc.assert(
    fc.property(fc.array(characters, { maxLength: 18 }), (list) => {
      const text = list.join('');
      assert.equal(parseIpv4(text) !== undefined, isIPv4(text), text);
      assert.equal(parseIpv6(text) !== undefined, isIPv6(text), text);
    }),
    { numRuns: 3000 },
  );
});

test('IPv6 text that comes from bytes gives the bytes back, and is what a URL would show', () => {
  fc.assert(
    fc.property(ipv6Bytes, (bytes) => {
      const text = formatIpv6(bytes);
      assert.ok(isIPv6(text));
      assert.deepEqual(parseIpv6(text), bytes);
      if (!isIpv4Mapped(bytes)) {
        assert.equal(new URL(`http://[${text}]`).hostname, `[${text}]`);
      }
    }),
    { numRuns: 1000 },
  );
});

test('IPv6 text is canonical as RFC 5952 section 4 wants it', () => {
  // 4.1 leading zeros, 4.2.1 as short as possible, 4.2.2 one group alone, 4.2.3 longest and first run, 4.3 lower case.
  assert.equal(canonical('2001:0db8::0001'), '2001:db8::1');
  assert.equal(canonical('2001:db8:0:0:0:0:2:1'), '2001:db8::2:1');
  assert.equal(canonical('2001:db8:0:1:1:1:1:1'), '2001:db8:0:1:1:1:1:1');
  assert.equal(canonical('2001:0:0:1:0:0:0:1'), '2001:0:0:1::1');
  assert.equal(canonical('2001:db8:0:0:1:0:0:1'), '2001:db8::1:0:0:1');
  assert.equal(canonical('2001:DB8::ABCD'), '2001:db8::abcd');
  assert.equal(canonical('0:0:0:0:0:0:0:0'), '::');
  assert.equal(canonical('0:0:0:0:0:0:0:1'), '::1');
  assert.equal(canonical('1:0:0:0:0:0:0:0'), '1::');
  assert.equal(canonical('1::3:4:5:6:7:8'), '1:0:3:4:5:6:7:8');
  // Section 5: mixed notation for the well-known prefix of mapped addresses, and only for that.
  assert.equal(canonical('::ffff:c000:201'), '::ffff:192.0.2.1');
  assert.equal(canonical('::192.0.2.1'), '::c000:201');
  assert.equal(canonical('64:ff9b::192.0.2.33'), '64:ff9b::c000:221');
});

test('IPv6 text in a wrong form is refused', () => {
  const wrong = [
    '',
    ':',
    ':::',
    '1:::2',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::12345',
  ];
  const more = [
    '1:2:3:4:5:6:7:8::',
    '1:2:3:4::5:6:7:8',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    '::g',
    '1.2.3.4',
  ];
  const mixed = [
    '::1.2.3',
    '::1.2.3.4:5',
    '1.2.3.4::',
    '::01.2.3.4',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::1%lo',
    '[::1]',
  ];
  for (const text of [...wrong, ...more, ...mixed, ' ::1', '::1 ', '0'.repeat(10_000)]) {
    assert.equal(parseIpv6(text), undefined, text.slice(0, 50));
  }
});

test('a mapped address is known by its prefix and shows its IPv4 address', () => {
  const mapped = parseIpv6('::ffff:192.0.2.1')!;
  assert.equal(isIpv4Mapped(mapped), true);
  assert.equal(formatIpv4(mappedIpv4(mapped)), '192.0.2.1');
  for (const text of [
    '::192.0.2.1',
    '::fffe:192.0.2.1',
    '1::ffff:192.0.2.1',
    '::1:ffff:192.0.2.1',
  ]) {
    assert.equal(isIpv4Mapped(parseIpv6(text)!), false, text);
  }
});
