/** Addresses as URLs: what is accepted, and what is refused with which words. Round trips are in address.test.ts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import {
  type Address,
  formatAddress,
  isInterfaceName,
  parseAddress,
} from '../../src/base/address-url.js';

test('TCP addresses are parsed into kind, host, version, scope and port', () => {
  const parsed: [string, Partial<Address>][] = [
    ['tcp://127.0.0.1:9000', { kind: 'tcp', host: '127.0.0.1', version: 4, scope: '', port: 9000 }],
    ['tcp4://0.0.0.0:0', { kind: 'tcp4', host: '0.0.0.0', version: 4, scope: '', port: 0 }],
    ['tcp6://[::]:65535', { kind: 'tcp6', host: '::', version: 6, scope: '', port: 65_535 }],
    ['tcp://[0:0::1]:1', { kind: 'tcp', host: '::1', version: 6, scope: '', port: 1 }],
    [
      'tcp://[FE80::1%eth0]:1',
      { kind: 'tcp', host: 'fe80::1', version: 6, scope: 'eth0', port: 1 },
    ],
    ['tcp://[fe80::1%7]:1', { kind: 'tcp', host: 'fe80::1', version: 6, scope: '7', port: 1 }],
    ['TCP://localhost:80', { kind: 'tcp', host: 'localhost', version: 0, scope: '', port: 80 }],
    [
      'tcp6://a-b.c_d.example.:8',
      { kind: 'tcp6', host: 'a-b.c_d.example.', version: 0, scope: '', port: 8 },
    ],
    [
      'tcp4://1.2.3.4.example:8',
      { kind: 'tcp4', host: '1.2.3.4.example', version: 0, scope: '', port: 8 },
    ],
  ];
  for (const [url, expected] of parsed) {
    assert.deepEqual(parseAddress(url), expected, url);
  }
});

test('Unix, abstract, descriptor and systemd addresses are parsed', () => {
  assert.deepEqual(parseAddress('unix:///run/a b%41?c#d.sock'), {
    kind: 'unix',
    path: '/run/a b%41?c#d.sock',
  });
  assert.deepEqual(parseAddress('unix://./a.sock'), { kind: 'unix', path: './a.sock' });
  assert.deepEqual(parseAddress('unix://a.sock'), { kind: 'unix', path: 'a.sock' });
  assert.deepEqual(parseAddress('unix-abstract://a/b'), { kind: 'unix-abstract', name: 'a/b' });
  assert.deepEqual(parseAddress('fd://3'), { kind: 'fd', fd: 3 });
  assert.deepEqual(parseAddress('systemd://'), { kind: 'systemd', name: undefined });
  assert.deepEqual(parseAddress('systemd://web.socket'), { kind: 'systemd', name: 'web.socket' });
});

test('an address of a wrong form throws a TypeError that says what was wrong and expected', () => {
  const wrong: [string, RegExp][] = [
    ['', /"": the scheme is missing; expected tcp:\/\/host:port, /],
    ['localhost:80', /the scheme is missing; expected tcp:\/\/localhost:80$/],
    ['/run/a.sock', /the scheme is missing; expected unix:\/\/\/run\/a\.sock for a Unix socket/],
    ['./a.sock', /the scheme is missing; expected unix:\/\/\.\/a\.sock/],
    ['@name', /the scheme is missing; expected unix-abstract:\/\/name/],
    ['unix:/run/a.sock', /the scheme is missing/],
    [
      'http://a:1',
      /http:\/\/ is a protocol above TCP; expected the socket alone: tcp:\/\/host:port/,
    ],
    ['wss://a:1', /wss:\/\/ is a protocol above TCP/],
    ['udp://a:1', /udp:\/\/ is not a stream socket/],
    ['constructor://a:1', /the scheme "constructor" is unknown; expected tcp:/],
    ['tcp://', /the host is missing/],
    ['tcp://:80', /the host is missing; expected tcp:\/\/host:port, with 0\.0\.0\.0 or \[::\]/],
    ['tcp://a', /the port is missing; expected tcp:\/\/host:port$/],
    ['tcp://a:', /the port is missing; expected a number from 0 to 65535/],
    ['tcp://a:http', /the port "http" is not a number/],
    ['tcp://a:+1', /the port "\+1" is not a number/],
    ['tcp://a:080', /the port "080" is not a number/],
    ['tcp://a:80/', /the port "80\/" is not a number/],
    ['tcp://user@a:80', /"user@a" is not a host name/],
    ['tcp://a..b:80', /"a\.\.b" is not a host name/],
    ['tcp://-a:80', /"-a" is not a host name/],
    ['tcp://müller.example:80', /is not a host name; expected .*xn--/],
    ['tcp://127.1:80', /"127\.1" is not an IPv4 address; expected four numbers/],
    ['tcp://010.0.0.1:80', /"010\.0\.0\.1" is not an IPv4 address/],
    ['tcp://1.2.3.256:80', /is not an IPv4 address/],
    ['tcp://0x7f.0.0.0x1:80', /is not an IPv4 address/],
    ['tcp://2130706433:80', /is not an IPv4 address/],
    ['tcp://::1', /an IPv6 address needs brackets; expected tcp:\/\/\[::1\]:port/],
    ['tcp://::1:80', /an IPv6 address needs brackets/],
    ['tcp://[::1:80', /the bracket of the IPv6 address is not closed/],
    ['tcp://[::1]', /the port is missing/],
    ['tcp://[::1]80', /text follows the host/],
    ['tcp://[1.2.3.4]:80', /\[1\.2\.3\.4\] is not an IPv6 address/],
    ['tcp://[]:80', /the host is missing/],
    ['tcp://[fe80::1%]:80', /"" is not a scope; expected the name or the index/],
    ['tcp://[fe80::1%a/b]:80', /"a\/b" is not a scope/],
    ['tcp://[fe80::1%..]:80', /"\.\." is not a scope/],
    ['tcp://[fe80::1%a-very-long-name]:80', /is not a scope/],
    ['tcp4://[::1]:80', /tcp4:\/\/ takes no IPv6 address; expected tcp:\/\/ or tcp6:\/\//],
    ['tcp6://127.0.0.1:80', /tcp6:\/\/ takes no IPv4 address; expected tcp:\/\/ or tcp4:\/\//],
    ['unix://', /the path is empty; expected unix:\/\/\/absolute\/path or unix:\/\/\.\/path/],
    ['unix:///a\0b', /the path contains a NUL/],
    ['unix:///\ud800', /the path has a lone surrogate/],
    ['unix-abstract://', /the name is empty; expected unix-abstract:\/\/name/],
    ['unix-abstract://a\0', /the name contains a NUL/],
    ['fd://', /the descriptor is missing/],
    ['fd://-1', /the descriptor "-1" is not a number/],
    ['systemd://a:b', /"a:b" is not a name/],
    ['systemd://a\n', /is not a name/],
  ];
  for (const [url, message] of wrong) {
    assert.throws(() => parseAddress(url), { name: 'TypeError', message }, url);
  }
  assert.throws(() => parseAddress(80 as never), {
    name: 'TypeError',
    message: /expected a string/,
  });
});

test('a value out of range throws a RangeError that says the range', () => {
  const wrong: [string, RegExp][] = [
    ['tcp://a:65536', /the port is 65536; expected a number from 0 to 65535/],
    [`tcp://a:${'9'.repeat(400)}`, /the port is 9+; expected/],
    ['tcp://[fe80::1%0]:1', /the scope is 0; expected a number from 1 to 4294967295/],
    ['tcp://[fe80::1%4294967296]:1', /the scope is 4294967296/],
    [`tcp://${'a.'.repeat(130)}b:1`, /the host has 261 characters; expected at most 253/],
    ['fd://2147483648', /the descriptor is 2147483648; expected a number from 0 to 2147483647/],
    [`unix://${'é'.repeat(54)}`, /the path is 108 bytes long; expected at most 107/],
    [`unix-abstract://${'a'.repeat(108)}`, /the name is 108 bytes long; expected at most 107/],
    [`systemd://${'a'.repeat(256)}`, /the name is 256 bytes long; expected at most 255/],
  ];
  for (const [url, message] of wrong) {
    assert.throws(() => parseAddress(url), { name: 'RangeError', message }, url);
  }
  assert.equal(parseAddress(`unix://${'a'.repeat(107)}`).kind, 'unix');
});

test('no text makes parseAddress() throw anything but a TypeError or a RangeError', () => {
  const pieces = fc.constantFrom(
    'tcp',
    'tcp6',
    'unix',
    'fd',
    '://',
    ':',
    '[',
    ']',
    '%',
    '1',
    '::1',
    'a',
    '.',
    '/',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 9 }).map((list) => list.join('')),
  );
  fc.assert(
    fc.property(text, (url) => {
      try {
        assert.deepEqual(parseAddress(formatAddress(parseAddress(url))), parseAddress(url));
      } catch (error) {
        assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test('isInterfaceName() takes what the kernel takes, so that a name is no path', () => {
  for (const name of ['lo', 'eth0.100', 'wlp3s0', 'a'.repeat(15), 'constructor']) {
    assert.equal(isInterfaceName(name), true, name);
  }
  for (const name of ['', '.', '..', 'a/b', 'a b', 'a:b', 'a%b', 'a]', 'a\n', 'a'.repeat(16)]) {
    assert.equal(isInterfaceName(name), false, name);
  }
});
