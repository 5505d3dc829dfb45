/** A connection that leaves HTTP: who gets it, with which bytes, and what becomes of requests before and after. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Connection, Handler } from '../../src/api.js';
import { serve } from '../../src/engine/serve.js';
import { httpHandler } from '../../src/http/http-handler.js';
import { RawClient } from '../support/raw-client.js';
import { nextRound, until } from '../support/until.js';
import { get, HttpClient, HttpRig } from './rig.js';

const UPGRADE = ['Connection: Upgrade', 'Upgrade: echo'];
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';

/** Echoes, with a context of its own. */
function echo(events: string[]): Handler {
  return {
    onOpen: (connection) => {
      events.push(`open ${String(connection.context)}`);
      connection.context = 'mine';
    },
    onData: (connection, bytes) => {
      events.push(`data ${bytes} ${String(connection.context)}`);
      connection.write(bytes);
      return bytes.toString() === 'bye' ? 'close' : 'none';
    },
    onEnd: () => void events.push('end'),
    onClose: (_, { code }) => void events.push(`close ${code}`),
  };
}

describe('upgrade', () => {
  it('onUpgrade gives the connection away, with what came after the request', async () => {
    const events: string[] = [];
    const rig = await HttpRig.open({
      onRequest: (_, response) => response.end('http'),
      onUpgrade: (request, connection: Connection, head) => {
        events.push(`upgrade ${request.header('upgrade')} ${head}`);
        connection.write(SWITCH);
        return echo(events);
      },
    });
    const client = await rig.connect();
    await client.send(`${get('/')}${get('/', ...UPGRADE)}GET / HTTP/1.1`);
    assert.equal((await client.answer()).body, 'http');
    assert.equal((await client.answer()).status, 101);
    await until('the echo', () => events.length === 3);
    await client.send('bye');
    assert.equal(await client.rest(), 'GET / HTTP/1.1bye');
    client.raw.close();
    await until('the close', () => events.length === 5);
    assert.deepEqual(events, [
      'upgrade echo GET / HTTP/1.1',
      'open undefined',
      'data GET / HTTP/1.1 mine',
      'data bye mine',
      'close closed',
    ]);
    const { upgrades, connections } = rig.handler.httpStats;
    assert.deepEqual([upgrades, connections], [1, 0]);
  });

  it('response.upgrade does so too, also later, with what came meanwhile', async () => {
    const events: string[] = [];
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        if (request.path === '/later') {
          await nextRound();
          await nextRound();
        }
        response.upgrade(echo(events), { upgrade: 'echo' });
      },
    });
    for (const path of ['/now', '/later']) {
      const client = await rig.connect();
      await client.send(`${get(path, ...UPGRADE)}he`);
      await client.send('llo');
      const { status, fields } = await client.answer();
      assert.deepEqual([status, fields.get('upgrade')], [101, 'echo']);
      client.raw.halfClose();
      await until('the end', () => events.includes('end'));
      const data = events.filter((event) => event.startsWith('data'));
      assert.equal(data.map((event) => event.split(' ')[1]).join(''), 'hello');
      events.length = 0;
    }
  });

  it('comes after all responses before it, also those that a full queue refused', async () => {
    const events: string[] = [];
    for (const isHook of [true, false]) {
      const rig = await HttpRig.open(
        {
          onRequest: (request, response) =>
            request.wantsUpgrade
              ? response.upgrade(echo(events), { upgrade: 'echo' })
              : response.end('x'.repeat(40_000)),
          ...(isHook && {
            onUpgrade: (_: unknown, connection: Connection) => {
              assert.equal(connection.write(SWITCH) === 'closed', false);
              return echo(events);
            },
          }),
        },
        { writeQueueMax: 50_000, sendBufferBytes: 8_192 },
      );
      const client = await rig.connect({ receiveBufferBytes: 8_192 });
      await client.send(`${get('/').repeat(40)}${get('/', ...UPGRADE)}hello`);
      for (let i = 0; i < 30; i += 1) {
        await nextRound();
      }
      for (let i = 0; i < 40; i += 1) {
        assert.equal((await client.answer()).body.length, 40_000);
      }
      assert.equal((await client.answer()).status, 101);
      await client.send('bye');
      assert.match(await client.rest(), /^hellobye$/);
      client.raw.close();
    }
  });

  it('what is not taken is an ordinary request', async () => {
    const rig = await HttpRig.open({
      onUpgrade: () => undefined,
      onRequest: (request, response) => {
        if (!request.wantsUpgrade) {
          assert.throws(() => response.upgrade(echo([]), {}), /did not ask/);
        }
        response.status = 426;
        response.fields({ upgrade: 'echo', connection: 'upgrade' }).end();
      },
    });
    const client = await rig.connect();
    for (const request of [
      get('/', ...UPGRADE),
      get('/', 'Upgrade: echo'),
      get(
        '/',
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA',
      ),
      get('/', ...UPGRADE, 'Content-Length: 2').concat('hi'),
    ]) {
      await client.send(request);
      const { status, fields } = await client.answer();
      assert.deepEqual([status, fields.get('connection')], [426, 'upgrade']);
    }
  });

  it('a hook that throws is a 500, and so is what is no handler', async () => {
    const errors: string[] = [];
    const rig = await HttpRig.open({
      onError: (error) => errors.push((error as Error).message),
      onRequest: (_, response) => response.end('http'),
      onUpgrade: (request) => {
        if (request.path === '/both') {
          return { onReadable: () => {}, onData: () => {} };
        }
        throw new Error('thrown');
      },
    });
    const client = await rig.connect();
    await client.send(get('/throw', ...UPGRADE) + get('/both', ...UPGRADE) + get('/'));
    assert.equal((await client.answer()).status, 500);
    assert.equal((await client.answer()).status, 500);
    assert.equal((await client.answer()).body, 'http');
    assert.match(errors.join(), /^thrown,.*not both/);
  });

  it('a pull handler gets what came after the request in its reader, at once or later', async () => {
    const pull: Handler = {
      onReadable(connection) {
        const line = connection.reader.until('\n');
        if (line !== undefined) {
          connection.writer.writeBytes(line);
          connection.writer.flush();
        }
      },
    };
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        if (request.path === '/later') {
          await nextRound();
          await nextRound();
        }
        assert.equal(response.upgrade(pull, { upgrade: 'echo' }), 'queued');
      },
      onUpgrade: (request, connection) => {
        if (request.path === '/hook') {
          connection.write(SWITCH);
          return pull;
        }
        return undefined;
      },
    });
    for (const path of ['/now', '/later', '/hook']) {
      const client = await rig.connect();
      await client.send(`${get(path, ...UPGRADE)}one\ntw`);
      await client.send('o\nthree\n');
      assert.equal((await client.answer()).status, 101);
      client.raw.halfClose();
      // Our side ends too: the handler does not want half-open connections, whatever HTTP's do.
      assert.equal(await client.rest(), 'one\ntwo\nthree\n');
    }
    await until('the connections to be gone', () => rig.handler.httpStats.connections === 0);
    assert.equal(rig.handler.httpStats.upgrades, 3);
  });

  it('a handler that iterates gets the head, all that follows, and the end', async () => {
    const sent = 'x'.repeat(300_000);
    const rig = await HttpRig.open({
      onRequest: (_, response) => {
        response.upgrade(
          { defaults: { allowHalfOpen: true }, onOpen: (connection) => void echoAll(connection) },
          { upgrade: 'echo' },
        );
      },
    });
    const client = await rig.connect();
    await client.send(`${get('/', ...UPGRADE)}head`);
    await client.send(sent);
    client.raw.halfClose();
    assert.equal((await client.answer()).status, 101);
    assert.equal(await client.rest(), `head${sent}`);
  });

  it('a handler that wraps HTTP sees all connections close, and the server waits for pull handlers', async () => {
    const events: string[] = [];
    const http = httpHandler({
      onRequest: (_, response) =>
        response.upgrade(
          {
            onReadable: () => {},
            onServerClose: (connection) => {
              connection.write('bye');
              return 'close';
            },
            onClose: () => void events.push('pull'),
          },
          { upgrade: 'echo' },
        ),
    });
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: {
        defaults: { allowHalfOpen: true },
        onOpen: (connection) => http.onOpen!(connection),
        onData: (connection, bytes) => http.onData!(connection, bytes),
        onServerClose: (connection) => http.onServerClose!(connection),
        onClose(connection, reason) {
          events.push('wrapper');
          return http.onClose!(connection, reason);
        },
      },
    });
    const client = new HttpClient(await RawClient.connect(server.addresses[0]!));
    await client.send(get('/', ...UPGRADE));
    assert.equal((await client.answer()).status, 101);
    const closed = server.close({ deadlineMs: 10_000 });
    assert.equal(await client.rest(), 'bye');
    client.raw.close();
    await closed;
    assert.deepEqual(events, ['pull', 'wrapper']);
  });

  it('a push handler without onEnd does not stay half open', async () => {
    const rig = await HttpRig.open({
      onRequest: (_, response) =>
        response.upgrade(
          { onData: (connection, bytes) => void connection.write(bytes) },
          { upgrade: 'echo' },
        ),
    });
    const client = await rig.connect();
    await client.send(`${get('/', ...UPGRADE)}hello`);
    client.raw.halfClose();
    assert.equal((await client.answer()).status, 101);
    assert.equal(await client.rest(), 'hello');
  });
});

async function echoAll(connection: Connection): Promise<void> {
  for await (const chunk of connection) {
    while (connection.write(chunk) === 'full') {
      await connection.drained();
    }
  }
  connection.close();
}
