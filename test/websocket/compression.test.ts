/** websocket/compression: who shares contexts, and when they are freed. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Compressions } from '../../src/websocket/compression.js';
import { readDeflateOptions } from '../../src/websocket/deflate-options.js';

const FORGETS = { deflateBits: 15, deflateKeeps: false, inflateBits: 15, inflateKeeps: false };
const KEEPS = { ...FORGETS, deflateKeeps: true, inflateKeeps: true };
const TEXT = Buffer.from('again and again and again');

test('connections that forget share contexts, which are freed with the last of them', () => {
  const compressions = new Compressions(readDeflateOptions({}));
  const [one, two] = [compressions.for(FORGETS), compressions.for(FORGETS)];
  const narrow = compressions.for({ ...FORGETS, deflateBits: 9 });
  assert.equal(one.deflater, two.deflater);
  assert.notEqual(one.deflater, narrow.deflater);
  assert.equal(one.inflater, narrow.inflater);
  one.end();
  narrow.end();
  const packed = Buffer.from(two.deflater.deflate(TEXT));
  assert.deepEqual(two.inflater.inflate(packed, 100), TEXT);
  two.end();
  assert.throws(() => two.deflater.deflate(TEXT), /was ended/);
  assert.throws(() => two.inflater.inflate(packed, 100), /was ended/);
  const next = compressions.for(FORGETS);
  assert.deepEqual(next.inflater.inflate(Buffer.from(next.deflater.deflate(TEXT)), 100), TEXT);
  next.end();
});

test('connections that keep have their own, up to a limit, and give them back', () => {
  const settings = readDeflateOptions({ contexts: 'own', ownContextsMax: 2 });
  const compressions = new Compressions(settings);
  const both = [compressions.for(KEEPS), compressions.for(KEEPS)];
  assert.notEqual(both[0]!.deflater, both[1]!.deflater);
  assert.equal(compressions.offersOwn, false);
  assert.equal(compressions.ownContexts, 2);
  const half = compressions.for({ ...KEEPS, inflateKeeps: false });
  both[0]!.end();
  both[0]!.end();
  assert.throws(() => both[0]!.deflater.deflate(TEXT), /was ended/);
  assert.ok(both[1]!.deflater.deflate(TEXT).length > 0);
  both[1]!.end();
  half.end();
  assert.equal(compressions.ownContexts, 0);
  assert.equal(compressions.offersOwn, true);
});
