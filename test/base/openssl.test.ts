/** Which OpenSSL is taken, that there is one only, and that nothing secret is left in memory. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';

import { viewMemory } from '../../src/base/ffi.js';
import { census, copyFrom, loadOpenSsl, takeErrors, withCopy } from '../../src/base/openssl.js';

const MODULE = JSON.stringify(new URL('../../src/base/openssl.js', import.meta.url).href);

/** Runs a script that has `loadOpenSsl`, with a choice of the library. */
function inProcess(choice: string, script: string): string {
  const code = `import(${MODULE}).then(({ loadOpenSsl }) => { ${script} })`;
  const env = { ...process.env, MILLRACE_OPENSSL: choice };
  return execFileSync(process.execPath, ['-e', code], { env, encoding: 'utf8' }).trim();
}

/** Which file, as the kernel maps it, a function lies in. */
const WHERE = `
  const { calls, version, origin } = loadOpenSsl();
  const maps = require('node:fs').readFileSync('/proc/self/maps', 'utf8');
  console.log(JSON.stringify({ version, origin, libssl: maps.includes('libssl.so') }));
`;

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

it('the system’s library serves where it is asked for, bound to itself', () => {
  const found = JSON.parse(inProcess('system', WHERE)) as { version: string; origin: string };
  assert.equal(found.origin, 'libssl.so.3');
  // Its own version, which need not be node's: mixed, the two would be taken for one another.
  assert.equal(found.version.split(' ')[1], systemVersion());
});

function systemVersion(): string {
  return execFileSync('openssl', ['version'], { encoding: 'utf8' }).match(
    /Library: OpenSSL (\S+)/,
  )![1]!;
}

it('where there is none it says what was tried, by its code', () => {
  const script = `try { loadOpenSsl(); } catch ({ code, message }) { console.log(code, message); }`;
  const text = inProcess('/nowhere/libssl.so', script);
  assert.match(text, /^ERR_TLS_OPENSSL TLS needs OpenSSL 3, .*\/nowhere\/libssl\.so lacks it/);
  assert.match(inProcess('libc.so.6', script), /ERR_TLS_OPENSSL/);
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
