/** The choice of a protocol, and that callbacks refuse whenever something is wrong. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import fc from 'fast-check';

import { chooseProtocol } from '../../src/tls/callbacks.js';

function offer(...names: string[]): Buffer {
  return Buffer.concat(
    names.flatMap((name) => [Buffer.from([name.length]), Buffer.from(name, 'latin1')]),
  );
}

const ours = (...names: string[]) => names.map((name) => Buffer.from(name));

it('chooseProtocol() takes the server’s first that is offered', () => {
  const list = offer('http/1.1', 'h2', 'x');
  assert.equal(chooseProtocol(list, ours('h2', 'http/1.1')), 9);
  assert.equal(chooseProtocol(list, ours('spdy', 'http/1.1')), 0);
  assert.equal(chooseProtocol(list, ours('h', 'ttp/1.1')), -1);
  assert.equal(chooseProtocol(list, []), -1);
  assert.equal(chooseProtocol(Buffer.alloc(0), ours('h2')), -1);
});

it('chooseProtocol() points at a whole name of the offer, whatever the offer is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.array(fc.string({ minLength: 1 })), (a, b) => {
      const list = Buffer.from(a);
      const wanted = b.map((name) => Buffer.from(name));
      const at = chooseProtocol(list, wanted);
      if (at >= 0) {
        const name = list.subarray(at + 1, at + 1 + list[at]!);
        assert.ok(wanted.some((each) => each.equals(name)));
      }
    }),
  );
});
