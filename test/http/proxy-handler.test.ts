/** Handlers behind a proxy, over real sockets: whom they see, and who is believed. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';

import type { Handler, Server } from '../../src/api.js';
import { serve } from '../../src/engine/serve.js';
import { httpHandler } from '../../src/http/http-handler.js';
import { proxyHeaderOf, proxyProtocol } from '../../src/http/proxy-handler.js';
import { encodeProxyHeader } from '../../src/http/proxy-writer.js';
import { RawClient } from '../support/raw-client.js';
import { SimRig } from '../support/reactor-rig.js';
import { nextRound, until, within } from '../support/until.js';
import { get } from './rig.js';

const CLIENT = { source: 'tcp://192.0.2.1:4711', destination: 'tcp://198.51.100.1:443' };
const TRUSTED = { trusted: ['10.0.0.0/8', '127.0.0.1'] };

const tell = httpHandler({
  onRequest: ({ connection }, response) => {
    const [value] = proxyHeaderOf(connection)?.values ?? [];
    response.end(`${connection.remoteAddress} ${connection.localAddress} ${value?.bytes ?? ''}`);
  },
});

async function open(handler: Handler): Promise<Server> {
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler });
  after(() => server.close({ deadlineMs: 0 }));
  return server;
}

async function connect({ addresses }: Server): Promise<RawClient> {
  const client = await RawClient.connect(addresses[0]!);
  after(() => client.close());
  return client;
}

describe('proxyProtocol', () => {
  it('shows the client to the handler, however the header arrives', async () => {
    const server = await open(proxyProtocol(tell, TRUSTED));
    const request = Buffer.from(get('/', 'Connection: close'));
    for (const header of [
      encodeProxyHeader({ version: 1, ...CLIENT }),
      encodeProxyHeader({ ...CLIENT, values: [{ type: 2, bytes: Buffer.from('sni') }] }),
    ]) {
      for (const pieceBytes of [1e6, 1]) {
        const client = await connect(server);
        const all = Buffer.concat([header, request]);
        for (let at = 0; at < all.byteLength; at += pieceBytes) {
          await client.send(all.subarray(at, at + pieceBytes));
          await nextRound();
        }
        const text = String(await within('the answer', client.readToEnd()));
        const value = header[0] === 0x0d ? 'sni' : '';
        assert.ok(text.endsWith(`\r\n\r\n${CLIENT.source} ${CLIENT.destination} ${value}`), text);
      }
    }
  });

  it('shows the proxy itself where that speaks for itself', async () => {
    const server = await open(proxyProtocol(tell, TRUSTED));
    const client = await connect(server);
    await client.send(
      Buffer.concat([encodeProxyHeader(), Buffer.from(get('/', 'Connection: close'))]),
    );
    const text = String(await within('the answer', client.readToEnd()));
    assert.match(text, /\r\n\r\ntcp:\/\/127\.0\.0\.1:\d+ tcp:\/\/127\.0\.0\.1:\d+ $/);
  });

  it('resets a trusted peer without a header, and calls no hook of the handler', async () => {
    const events: string[] = [];
    const refused: string[] = [];
    const server = await open(
      proxyProtocol(
        {
          onOpen: () => void events.push('open'),
          onData: () => void events.push('data'),
          onDrain: () => void events.push('drain'),
          onEnd: () => void events.push('end'),
          onClose: () => void events.push('close'),
        },
        { ...TRUSTED, onRefused: (_, why) => refused.push(why) },
      ),
    );
    const client = await connect(server);
    await client.send(Buffer.from(get('/')));
    await within('the reset', client.readToReset());
    const other = await connect(server);
    await other.send(Buffer.from('PROX'));
    other.halfClose();
    await within('the end', other.readToEnd());
    assert.deepEqual([refused, events], [['header'], []]);
  });

  it('resets one that does not finish its header in time', async () => {
    const refused: string[] = [];
    const rig = SimRig.open(
      proxyProtocol(
        { onData: () => {} },
        {
          trusted: ['0.0.0.0/0'],
          headerTimeoutMs: 3_000,
          onRefused: (_, why) => refused.push(why),
        },
      ),
    );
    const { peer } = await rig.connect();
    peer.send('PROXY TCP4 ');
    await rig.pass(2_900);
    assert.deepEqual(refused, []);
    await rig.until(() => peer.wasReset);
    assert.deepEqual(refused, ['timeout']);
    await rig.close();
  });

  it('does not look for a header where nobody is trusted', async () => {
    const server = await open(
      proxyProtocol(tell, { trusted: ['10.0.0.0/8', 'unix', '2001:db8::/32'] }),
    );
    const client = await connect(server);
    await client.send(Buffer.from(get('/', 'Connection: close')));
    assert.match(
      String(await within('the answer', client.readToEnd())),
      /tcp:\/\/127\.0\.0\.1:\d+ $/,
    );
    const liar = await connect(server);
    await liar.send(encodeProxyHeader({ version: 1, ...CLIENT }));
    assert.match(String(await within('the answer', liar.readToEnd())), /^HTTP\/1.1 400 /);
  });

  it('resets who is not trusted, if told to', async () => {
    const refused: string[] = [];
    const server = await open(
      proxyProtocol(tell, {
        trusted: ['10.0.0.0/8'],
        refusesOthers: true,
        onRefused: (_, why) => refused.push(why),
      }),
    );
    // The reset may come before the client has seen that it is connected.
    const reset = connect(server).then((client) => client.readToReset());
    await within('the reset', reset).catch(({ code }) => assert.equal(code, 'ECONNRESET'));
    assert.deepEqual(refused, ['untrusted']);
  });

  it('wraps a pull handler, and hands its context on', async () => {
    const events: string[] = [];
    const server = await open(
      proxyProtocol(
        {
          onOpen(connection) {
            events.push(`open ${connection.remoteAddress} ${String(connection.context)}`);
            connection.context = 'mine';
          },
          onReadable({ reader, context, writer }) {
            events.push(`read ${reader.readString(reader.length)} ${String(context)}`);
            writer.writeString('hello');
            writer.flush();
            return 'close';
          },
          onClose: (_, { code }) => void events.push(`close ${code}`),
        },
        TRUSTED,
      ),
    );
    const client = await connect(server);
    const header = encodeProxyHeader(CLIENT);
    await client.send(header.subarray(0, 20));
    await nextRound();
    await client.send(Buffer.concat([header.subarray(20), Buffer.from('abc')]));
    assert.equal(String(await within('the answer', client.readToEnd())), 'hello');
    client.close();
    await until('the close', () => events.length === 3);
    assert.deepEqual(events, [`open ${CLIENT.source} undefined`, 'read abc mine', 'close closed']);
  });

  it('takes no networks that are none', () => {
    for (const trusted of [[], ['10.0.0.0/33'], ['a'], ['10.0.0.0/'], ['10.0.0.0/x'], ['::/129']]) {
      assert.throws(() => proxyProtocol({}, { trusted }), TypeError, String(trusted));
    }
    assert.throws(() => proxyProtocol({}, { ...TRUSTED, headerTimeoutMs: 0 }), RangeError);
  });
});
