/** A message of the handshake protocol that came half: OpenSSL then takes no data before the other half is there. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { it } from 'node:test';

import { dialTls, type SecureConnection, SecureContext } from '../../src/tls/index.js';
import { type RecordWalk, walkRecords } from '../../src/tls/record-walk.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { checkLeaks, cleanUp, ECHO, startTls, type TlsRig } from '../support/tls-rig.js';

const CTRL_SET_MAX_SEND_FRAGMENT = 52;

const certificates = new TestCertificates();
const { ca, client, server } = certificates;
checkLeaks();

/** Passes records to the client while `allowed` is above 0, and keeps the others. */
class Gate {
  allowed = Number.POSITIVE_INFINITY;
  readonly #records: Buffer[] = [];
  readonly #walk: RecordWalk = { recordRest: 0, recordsEnded: 0 };
  #partial = Buffer.alloc(0);
  #down: Socket | undefined;

  get kept(): number {
    return this.#records.length;
  }

  async start(port: number): Promise<string> {
    const listener = createServer((down) => {
      this.#down = down;
      const up = connect({ port, host: '127.0.0.1' });
      down.on('data', (bytes) => up.write(bytes)).on('error', () => {});
      up.on('data', (bytes) => this.#take(bytes)).on('error', () => {});
      cleanUp(() => {
        up.destroy();
        down.destroy();
      });
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    cleanUp(() => listener.close());
    return `tcp://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  }

  #take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const end = walkRecords(this.#walk, bytes, at, 1);
      this.#partial = Buffer.concat([this.#partial, bytes.subarray(at, end)]);
      at = end;
      if (this.#walk.recordsEnded === 1) {
        this.#records.push(this.#partial);
        this.#partial = Buffer.alloc(0);
      }
    }
    this.pass();
  }

  pass(): void {
    while (this.allowed > 0 && this.#records.length > 0) {
      this.allowed -= 1;
      this.#down!.write(this.#records.shift()!);
    }
  }
}

interface Scene {
  readonly rig: TlsRig;
  readonly connection: SecureConnection;
  readonly heard: { received: Buffer; drains: number };
  /** Lets the other half through. */
  open(): void;
}

/** A client that has got the first half of a ticket. */
async function halfTicket(): Promise<Scene> {
  const options = { cert: server.cert, key: server.key, ca: ca.cert };
  const context = SecureContext.server({ ...options, clientCertificate: 'require' });
  // The ticket has the client's certificate in it, and so does not fit into one record of 512 bytes.
  context.calls.SSL_CTX_ctrl(context.address, CTRL_SET_MAX_SEND_FRAGMENT, 512, 0);
  cleanUp(() => context.close());
  const rig = await startTls(certificates, ECHO, { onServerName: () => context });
  const gate = new Gate();
  const url = await gate.start(rig.port);
  const heard = { received: Buffer.alloc(0), drains: 0 };
  const connection = await dialTls(url, {
    ...{ ca: ca.cert, cert: client.cert, key: client.key, serverName: 'localhost' },
    handler: {
      onOpen() {
        gate.allowed = 0;
      },
      onData(_connection, bytes) {
        heard.received = Buffer.concat([heard.received, bytes]);
      },
      onDrain() {
        heard.drains += 1;
      },
    },
  });
  cleanUp(() => connection.abort());
  await awaitCondition(() => gate.kept >= 2, 'the ticket');
  gate.allowed = 1;
  gate.pass();
  await rounds(50);
  const open = () => {
    gate.allowed = Number.POSITIVE_INFINITY;
    gate.pass();
  };
  return { rig, connection, heard, open };
}

it('what is written meanwhile waits, and nothing is lost', async () => {
  const { connection, heard, open } = await halfTicket();
  const sent = Buffer.alloc(150_000, 'while it is half there ');
  assert.equal(connection.write(sent), 'queued');
  assert.ok(connection.queuedBytes >= sent.length);
  assert.equal(connection.write('more'), 'full');
  const drained = connection.drained();
  const handed = new Promise((resolve) => connection.receipt(resolve));
  await rounds(20);
  open();
  await awaitCondition(() => heard.received.length === sent.length, 'the echo');
  assert.ok(heard.received.equals(sent));
  await awaitCondition(() => heard.drains > 0, 'onDrain');
  assert.equal(await settled(drained, 'drained()'), true);
  assert.equal(await settled(handed, 'the receipt'), true);
  connection.write('and on');
  await awaitCondition(() => heard.received.length === sent.length + 6, 'more');
});

for (const call of ['end', 'close'] as const) {
  it(`${call}() lets go first what was written`, async () => {
    const { rig, connection, open } = await halfTicket();
    assert.equal(connection.write('the last'), 'queued');
    connection[call]();
    assert.equal(connection.write('x'), 'closed');
    await rounds(20);
    open();
    await awaitCondition(() => rig.seen[0]?.reason !== undefined, 'the close');
    assert.equal(rig.seen[0]!.data.toString(), 'the last');
    assert.equal(rig.seen[0]!.reason!.code, 'ended');
  });
}
