/** Key updates, which cost much more to follow than to send: taken now and then, and not by the thousand. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { declareFunctions } from '../../src/base/ffi.js';
import { dialTls, type SecureConnection, type TlsError } from '../../src/tls/index.js';
import type { TlsConnection } from '../../src/tls/tls-connection.js';
import { awaitCondition } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { checkLeaks, cleanUp, startTls } from '../support/tls-rig.js';

const certificates = new TestCertificates();
const { ca } = certificates;
checkLeaks();

describe('records that carry nothing', () => {
  const { SSL_key_update } = declareFunctions(null, {
    SSL_key_update: 'int SSL_key_update(uintptr_t, int)',
  });

  /** A client, and how it sends a key update without asking for one in return, or text. */
  async function updater(url: string): Promise<{ update(): void; client: SecureConnection }> {
    const client = await dialTls(url, { ca: ca.cert });
    cleanUp(() => client.abort());
    const { ssl, pipe, transportWrite, base } = client as TlsConnection;
    const update = () => {
      assert.equal(SSL_key_update!(ssl, 0), 1);
      assert.equal(pipe.calls.SSL_do_handshake(ssl), 1);
      transportWrite.call(base, pipe.take());
    };
    return { update, client };
  }

  it('are taken now and then', async () => {
    const rig = await startTls(certificates);
    const { update, client } = await updater(rig.url);
    for (let i = 0; i < 50; i += 1) {
      update();
      client.write('x');
    }
    await awaitCondition(() => rig.seen[0]?.data.length === 50, 'the data');
    assert.equal(rig.seen[0]!.reason, undefined);
  });

  it('and no more than that: who sends thousands is cut off after some', async () => {
    const rig = await startTls(certificates);
    const { update } = await updater(rig.url);
    for (let i = 0; i < 1_000; i += 1) {
      update();
    }
    await awaitCondition(() => rig.seen[0]?.reason !== undefined, 'the close');
    assert.match(rig.seen[0]!.reason!.error!.message, /carry nothing/);
    assert.equal((rig.seen[0]!.reason!.error as TlsError).code, 'ERR_TLS_PROTOCOL');
  });
});
