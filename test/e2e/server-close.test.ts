/** `onServerClose`: a handler that ends its connections itself, when a server closes. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type Connection, type Handler, type ServeOptions, serve } from '../../src/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { RawClient } from '../support/raw-client.js';
import { within } from '../support/until.js';

async function open(handler: Handler, options: Partial<ServeOptions> = {}) {
  const opened: Connection[] = [];
  const reasons: string[] = [];
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    ...options,
    handler: {
      onOpen: (connection) => void opened.push(connection),
      onClose: (_, reason) => void reasons.push(reason.code),
      ...handler,
    },
  });
  const client = await RawClient.connect(server.addresses[0]!);
  await awaitCondition(() => opened.length === 1, 'the connection');
  return { server, client, opened, reasons };
}

describe('onServerClose', () => {
  it('says goodbye, and the connection goes on until the handler closes it', async () => {
    let calls = 0;
    const { server, client, opened, reasons } = await open({
      onServerClose(connection) {
        calls += 1;
        connection.write('bye?');
      },
      onData(connection, bytes) {
        connection.write(`not before ${bytes}`);
        return 'close';
      },
    });
    let isClosed = false;
    const closing = server.close().then(() => {
      isClosed = true;
    });
    assert.equal((await client.read(4)).toString(), 'bye?');
    assert.equal(opened[0]!.state, 'open');
    await rounds(20);
    assert.ok(!isClosed);
    await assert.rejects(RawClient.connect(server.addresses[0]!), { code: 'ECONNREFUSED' });
    await client.send(Buffer.from('this'));
    assert.equal((await client.readToEnd()).toString(), 'not before this');
    client.close();
    await within('the close', closing);
    assert.equal(calls, 1);
    assert.deepEqual(reasons, ['closed']);
  });

  it('may return close', async () => {
    const { server, client, reasons } = await open({ onServerClose: () => 'close' });
    const closing = server.close();
    assert.equal((await client.readToEnd()).byteLength, 0);
    client.close();
    await within('the close', closing);
    assert.deepEqual(reasons, ['closed']);
  });

  it('is not for ever: at the deadline what is open is aborted', async () => {
    const { server, client, reasons } = await open({ onServerClose() {} });
    await within('the close', server.close({ deadlineMs: 10 }));
    await assert.rejects(client.readToEnd(), { code: 'ECONNRESET' });
    client.close();
    assert.deepEqual(reasons, ['shutdown']);
  });

  it('a throw costs its own connection', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on('warning', note);
    const { server, client, reasons } = await open({
      onServerClose() {
        throw new Error('no goodbye');
      },
    });
    await within('the close', server.close());
    await assert.rejects(client.readToEnd(), { code: 'ECONNRESET' });
    client.close();
    assert.deepEqual(reasons, ['handler']);
    await awaitCondition(() => warnings.length > 0, 'the warning');
    process.off('warning', note);
    assert.match(warnings[0]!.message, /no goodbye/);
  });

  it('is not called for a connection that is closing, nor a second time', async () => {
    let calls = 0;
    const { server, client, opened } = await open({
      onServerClose() {
        calls += 1;
      },
    });
    opened[0]!.close();
    const closing = server.close();
    void server.close({ deadlineMs: 10_000 });
    assert.equal((await client.readToEnd()).byteLength, 0);
    client.close();
    await within('the close', closing);
    assert.equal(calls, 0);
  });
});

describe("a handler's defaults", () => {
  const late: Handler = {
    defaults: { allowHalfOpen: true },
    onEnd(connection) {
      connection.setTimer(1, () => {
        connection.write('after your end');
        connection.end();
      });
    },
  };

  it('hold where the options say nothing', async () => {
    const { server, client } = await open(late);
    client.halfClose();
    assert.equal((await client.readToEnd()).toString(), 'after your end');
    client.close();
    await server.close();
  });

  it('and the options win', async () => {
    const { server, client } = await open(late, { allowHalfOpen: false });
    client.halfClose();
    assert.equal((await client.readToEnd()).toString(), '');
    client.close();
    await server.close();
  });

  it('are checked', async () => {
    const handler = { defaults: 'half-open' } as unknown as Handler;
    await assert.rejects(serve({ listen: 'tcp://127.0.0.1:0', handler }), {
      name: 'TypeError',
      message: /handler.defaults/,
    });
    const wrong = { defaults: { idleTimeoutMs: -1 } };
    await assert.rejects(serve({ listen: 'tcp://127.0.0.1:0', handler: wrong }), {
      name: 'RangeError',
    });
  });
});
