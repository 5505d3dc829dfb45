/** Contexts: what is taken, what is refused with which words, and that nothing is left behind. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';

import { census } from '../../src/base/openssl.js';
import { SecureContext, type ServerContextOptions, TlsError } from '../../src/tls/index.js';
import { TestCertificates } from '../support/test-certificates.js';
import { checkLeaks } from '../support/tls-rig.js';

const certificates = new TestCertificates();
const { server, client, ca } = certificates;
checkLeaks();

function refusal(options: Partial<ServerContextOptions>): Error {
  const stores = census.stores;
  let refused: Error | undefined;
  try {
    SecureContext.server({ cert: server.cert, key: server.key, ...options }).close();
  } catch (error) {
    refused = error as Error;
  }
  assert.ok(refused instanceof Error, 'it was taken');
  assert.equal(census.contexts, 0);
  assert.equal(census.stores, stores);
  return refused;
}

it('server() takes PEM as text or bytes, several certificates, and closes twice', () => {
  const rsa = certificates.issue('rsa', 'DNS:localhost', { rsa: true });
  const context = SecureContext.server({
    cert: [server.cert, Buffer.from(rsa.cert)],
    key: [Buffer.from(server.key), rsa.key],
    alpn: ['h2', 'http/1.1'],
    clientCertificate: 'request',
    ca: [ca.cert],
    groups: 'X25519:P-256',
    cipherSuites: 'TLS_AES_128_GCM_SHA256',
    ocspResponse: Buffer.from('response'),
  });
  assert.equal(census.contexts, 1);
  context.close();
  context.close();
});

it('a certificate that is none, or not the key’s, is refused with the reason', () => {
  assert.match(refusal({ cert: 'hello' }).message, /Cannot read the certificate: no start line/);
  const cut = server.cert.slice(0, 300);
  assert.match(refusal({ cert: cut }).message, /Cannot read the certificate: /);
  assert.match(refusal({ cert: `${server.cert}\n${cut}` }).message, /Cannot read the certificate/);
  assert.match(refusal({ key: client.key }).message, /Cannot use the private key: .*mismatch/);
  assert.match(refusal({ key: 'hello' }).message, /Cannot read the private key/);
  assert.ok(refusal({ cert: 'hello' }) instanceof TlsError);
  assert.equal((refusal({ cert: 'hello' }) as TlsError).code, 'ERR_TLS_CONTEXT');
});

it('wrong options are refused by name', () => {
  assert.match(refusal({ cert: [] }).message, /needs a certificate/);
  assert.match(refusal({ key: [] }).message, /1 certificates and 0 keys/);
  assert.match(refusal({ cert: 5 as never }).message, /the certificate as PEM, .* got number/);
  assert.match(refusal({ ciphers: 'NONE-SUCH' }).message, /use the ciphers NONE-SUCH/);
  assert.match(refusal({ cipherSuites: 'NONE' }).message, /cipher suites NONE/);
  assert.match(refusal({ groups: 'NONE' }).message, /use the groups NONE/);
  assert.match(refusal({ minVersion: 'TLSv1.1' as never }).message, /got TLSv1.1/);
  assert.match(refusal({ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' }).message, /is above/);
  assert.match(refusal({ alpn: [''] }).message, /protocol of 1 to 255 bytes/);
  assert.match(refusal({ alpn: ['x'.repeat(256)] }).message, /protocol of 1 to 255 bytes/);
  assert.match(refusal({ clientCertificate: 'require' }).message, /needs ca/);
  assert.match(refusal({ clientCertificate: 'maybe' as never }).message, /got maybe/);
  assert.match(refusal({ clientCertificate: 'require', ca: 'x' }).message, /a CA certificate/);
});

it('an encrypted key needs its passphrase, is not asked for on the terminal, and is in no message', () => {
  const path = join(certificates.folder, 'encrypted.key');
  const args = ['pkcs8', '-topk8', '-in', server.keyFile, '-out', path, '-passout', 'pass:secret'];
  execFileSync('openssl', args);
  const key = execFileSync('cat', [path]);
  SecureContext.server({ cert: server.cert, key, passphrase: 'secret' }).close();
  const errors = [refusal({ key }), refusal({ key, passphrase: 'wrong' })];
  const secrets = [...key.toString().split('\n').slice(1, -2), 'secret', 'wrong'];
  for (const { message, stack } of errors) {
    assert.match(message, /Cannot read the private key/);
    for (const secret of secrets) {
      assert.ok(!`${message}${stack}`.includes(secret));
    }
  }
});

it('client() trusts node’s root certificates, read once for the thread', () => {
  SecureContext.client({}).close();
  const { stores } = census;
  SecureContext.client({}).close();
  assert.equal(census.stores, stores);
  assert.throws(() => SecureContext.client({ ca: 'x' }), /Cannot read a CA certificate/);
  assert.equal(census.stores, stores);
});
