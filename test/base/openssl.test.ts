/** Which OpenSSL is taken, that there is one only, and that nothing secret is left in memory. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';

import { viewMemory } from '../../src/base/ffi.js';
import { census, copyFrom, loadOpenSsl, takeErrors, withCopy } from '../../src/base/openssl.js';

it('loadOpenSsl() takes what the node binary exports, of the version that node says, and nothing else', () => {
  const { version, origin } = loadOpenSsl();
  const own = process.versions.openssl!.split('+')[0]!;
  assert.equal(origin, 'node');
  assert.ok(version.startsWith(`OpenSSL ${own} `), version);
  assert.equal(loadOpenSsl(), loadOpenSsl());
  if (process.config.variables.node_shared_openssl !== true) {
    assert.doesNotMatch(readFileSync('/proc/self/maps', 'utf8'), /libssl\.so/);
  }
});

it('withCopy() ends the bytes with a zero, wipes them, and frees them also after a throw', () => {
  const before = census.regions;
  const seen = withCopy(Buffer.from('secret'), (address, byteLength) => {
    const view = new Uint8Array(viewMemory(address, byteLength + 1));
    assert.deepEqual([...view], [...Buffer.from('secret\0')]);
    assert.equal(copyFrom(address, byteLength).toString(), 'secret');
    return byteLength;
  });
  assert.equal(seen, 6);
  assert.throws(() => withCopy(new Uint8Array(0), () => assert.fail('as it is')), /as it is/);
  assert.equal(census.regions, before);
});

it('takeErrors() empties the queue', () => {
  const { calls } = loadOpenSsl();
  calls.ERR_clear_error();
  assert.deepEqual(takeErrors(calls), []);
  withCopy(Buffer.from('no PEM'), (address, byteLength) => {
    const bio = calls.BIO_new_mem_buf(address, byteLength);
    assert.equal(calls.PEM_read_bio_X509(bio, 0, 0, address), 0);
    calls.BIO_free(bio);
  });
  assert.deepEqual(takeErrors(calls), ['no start line']);
  assert.deepEqual(takeErrors(calls), []);
});
