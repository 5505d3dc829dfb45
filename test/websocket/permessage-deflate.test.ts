/** websocket/permessage-deflate: offers and answers of RFC 7692 section 7.1, both sides. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type DeflateOptions, readDeflateOptions } from '../../src/websocket/deflate-options.js';
import { parseExtensions } from '../../src/websocket/extension-list.js';
import { acceptOffer, makeOffer, readAnswer } from '../../src/websocket/permessage-deflate.js';

function answer(offer: string, options: DeflateOptions = { contexts: 'own' }): string | undefined {
  const settings = readDeflateOptions(options);
  return acceptOffer(parseExtensions(offer)!, settings, settings.contexts === 'own')?.answer;
}

test('a server answers offers with what it agrees to', () => {
  const name = 'permessage-deflate';
  const rows: [offer: string, answer: string | undefined, options?: DeflateOptions][] = [
    [name, name],
    [`${name}; client_max_window_bits`, name],
    [`x-other, ${name}`, name],
    ['x-webkit-deflate-frame', undefined],
    [`${name}; server_no_context_takeover`, `${name}; server_no_context_takeover`],
    [`${name}; client_no_context_takeover`, `${name}; client_no_context_takeover`],
    [`${name}; server_max_window_bits=10`, `${name}; server_max_window_bits=10`],
    [`${name}; server_max_window_bits="8"`, `${name}; server_max_window_bits=8`],
    [`${name}; server_max_window_bits=15`, `${name}; server_max_window_bits=15`],
    [`${name}; client_max_window_bits=9`, `${name}; client_max_window_bits=9`],
    [name, `${name}; server_no_context_takeover; client_no_context_takeover`, {}],
    [name, `${name}; server_max_window_bits=11`, { contexts: 'own', windowBits: 11 }],
    [
      `${name}; client_max_window_bits`,
      `${name}; client_max_window_bits=11`,
      { contexts: 'own', peerWindowBits: 11 },
    ],
    [name, name, { contexts: 'own', peerWindowBits: 11 }],
  ];
  for (const [offer, expected, options] of rows)
    assert.equal(answer(offer, options), expected, offer);
});

test('a bad offer is passed over for the next one', () => {
  const bad = [
    'server_max_window_bits=99',
    'server_max_window_bits=7',
    'server_max_window_bits=08',
    'server_max_window_bits=1e1',
    'server_max_window_bits',
    'client_max_window_bits=16',
    'client_max_window_bits=x',
    'server_no_context_takeover=1',
    'client_no_context_takeover; client_no_context_takeover',
    'unknown',
    '__proto__=1',
  ];
  for (const parameters of bad) {
    assert.equal(answer(`permessage-deflate; ${parameters}`), undefined, parameters);
    const two = `permessage-deflate; ${parameters}, permessage-deflate; server_max_window_bits=9`;
    assert.equal(answer(two), 'permessage-deflate; server_max_window_bits=9', parameters);
  }
});

test('a client offers what it was told, and takes only answers that fit', () => {
  const shared = readDeflateOptions({});
  const own = readDeflateOptions({ contexts: 'own' });
  const narrow = readDeflateOptions({ contexts: 'own', windowBits: 10, peerWindowBits: 11 });
  assert.equal(
    makeOffer(shared),
    'permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits',
  );
  assert.equal(makeOffer(own), 'permessage-deflate; client_max_window_bits');
  assert.equal(
    makeOffer(narrow),
    'permessage-deflate; server_max_window_bits=11; client_max_window_bits=10',
  );
  const read = (text: string, settings = own) =>
    readAnswer(parseExtensions(`permessage-deflate${text}`)![0]!, settings);
  assert.deepEqual(read(''), {
    deflateBits: 15,
    deflateKeeps: true,
    inflateBits: 15,
    inflateKeeps: true,
  });
  assert.deepEqual(read('; server_no_context_takeover; client_max_window_bits=9'), {
    deflateBits: 9,
    deflateKeeps: true,
    inflateBits: 15,
    inflateKeeps: false,
  });
  assert.equal(
    read('; client_no_context_takeover; server_max_window_bits=12')?.deflateKeeps,
    false,
  );
  assert.equal(read('; server_no_context_takeover', shared)?.deflateKeeps, false);
  assert.equal(read('', shared), undefined, 'it did not agree to forget');
  assert.equal(read('', narrow), undefined, 'it did not agree to the window');
  assert.equal(read('; server_max_window_bits=12', narrow), undefined);
  assert.equal(read('; server_max_window_bits=11; client_max_window_bits=11', narrow), undefined);
  assert.equal(read('; server_max_window_bits=9', narrow)?.deflateBits, 10);
  assert.equal(read('; client_max_window_bits'), undefined, 'an answer has a value');
  assert.equal(read('; unknown'), undefined);
});

test('options are checked', () => {
  assert.throws(() => readDeflateOptions({ windowBits: 7 }), /windowBits .* from 8 to 15, got 7/);
  assert.throws(() => readDeflateOptions({ level: 10 }), RangeError);
  assert.throws(() => readDeflateOptions({ ratioMax: 0 }), RangeError);
  assert.throws(() => readDeflateOptions({ contexts: 'none' as 'own' }), TypeError);
});
