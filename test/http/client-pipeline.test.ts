/** Pipelining: in order, only what may be sent a second time, and what happens when the connection ends. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { awaitCondition, settled } from '../support/await-condition.js';
import { clientOf, errorOf, hostile, OK, requestsIn } from './client-rig.js';
import { HttpRig } from './rig.js';

const reply = (text: string) => `${OK}Content-Length: ${text.length}\r\n\r\n${text}`;
const pathsIn = (text: string) =>
  [...text.matchAll(/(?:GET|PUT|POST) (\S+) HTTP/g)].map(([, path]) => path!);
const PIPELINED = { connectionsPerOrigin: 1, pipeliningMax: 4 };

/** A client whose connection has answered a request, so that the next ones may be pipelined. */
async function warm(
  onData: Parameters<typeof hostile>[0],
  options: Parameters<typeof clientOf>[0] = PIPELINED,
) {
  const server = await hostile((peer, index) => {
    if (peer.text.endsWith(`/warm HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\n\r\n`)) {
      peer.socket.write(reply('warm'));
    } else {
      onData(peer, index);
    }
  });
  const client = clientOf(options);
  assert.equal(await (await client.request(`${server.url}warm`)).text(), 'warm');
  return { ...server, client };
}

describe('pipelining', () => {
  it('is off unless it is asked for', async () => {
    const { client, url, peers } = await warm(() => {}, { connectionsPerOrigin: 1 });
    const all = [client.request(`${url}1`), client.request(`${url}2`)];
    await awaitCondition(() => requestsIn(peers[0]!.text) === 2, 'the first');
    peers[0]!.socket.write(reply('1'));
    assert.equal(await (await all[0]!).text(), '1');
    await awaitCondition(() => requestsIn(peers[0]!.text) === 3, 'the second');
    peers[0]!.socket.write(reply('2'));
    assert.equal(await (await all[1]!).text(), '2');
    assert.equal(client.stats.pipelined, 0);
  });

  it('sends up to so many, and gives each its own answer, whatever pieces they come in', async () => {
    const { client, url, peers } = await warm(() => {});
    const all = Array.from({ length: 6 }, async (_, i) => {
      const response = await client.request(`${url}${i}`);
      return response.text();
    });
    await awaitCondition(() => requestsIn(peers[0]!.text) === 5, 'four at once');
    assert.deepEqual(pathsIn(peers[0]!.text), ['/warm', '/0', '/1', '/2', '/3']);
    assert.equal(client.stats.queued, 2);
    const { socket } = peers[0]!;
    socket.write(reply('a0') + reply('b1').slice(0, 20));
    await awaitCondition(() => requestsIn(peers[0]!.text) === 6, 'one more');
    socket.write(
      `${reply('b1').slice(20)}${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nc2\r\n0\r\n\r\n`,
    );
    await awaitCondition(() => requestsIn(peers[0]!.text) === 7, 'all');
    for (const byte of reply('d3') + reply('e4') + reply('f5')) {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(await settled(Promise.all(all), 'the answers'), [
      'a0',
      'b1',
      'c2',
      'd3',
      'e4',
      'f5',
    ]);
    assert.deepEqual([client.stats.connects, client.stats.pipelined], [1, 5]);
  });

  it('opens further connections first, and waits for the first answer of each', async () => {
    const { url, peers } = await hostile(() => {});
    const client = clientOf({ connectionsPerOrigin: 2, pipeliningMax: 4 });
    const all = Array.from({ length: 6 }, async (_, i) =>
      (await client.request(`${url}${i}`)).text(),
    );
    await awaitCondition(
      () => peers.length === 2 && peers.every(({ text }) => requestsIn(text) === 1),
      'two',
    );
    assert.equal(client.stats.queued, 4);
    peers[0]!.socket.write(reply('x'));
    await awaitCondition(() => requestsIn(peers[0]!.text) === 5, 'the others on the first');
    peers[0]!.socket.write(reply('x').repeat(4));
    peers[1]!.socket.write(reply('x'));
    assert.equal((await Promise.all(all)).join(''), 'xxxxxx');
  });

  it('is not for POST, streams and 100-continue: these wait, and what is behind them too', async () => {
    for (const options of [
      { method: 'POST', body: 'x' },
      { method: 'PUT', body: ['x'] },
      { method: 'PUT', body: 'x', expectContinue: true },
    ]) {
      const { client, url, peers } = await warm(() => {});
      const all = [
        client.request(`${url}1`),
        client.request(`${url}2`, options),
        client.request(`${url}3`),
      ].map(async (promise) => (await promise).text());
      await awaitCondition(() => requestsIn(peers[0]!.text) === 2, 'the first');
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.deepEqual(pathsIn(peers[0]!.text), ['/warm', '/1']);
      peers[0]!.socket.write(reply('1'));
      await awaitCondition(() => requestsIn(peers[0]!.text) === 3, 'the second');
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.deepEqual(pathsIn(peers[0]!.text), ['/warm', '/1', '/2'], 'nothing behind it');
      peers[0]!.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      await awaitCondition(() => /\r\n\r\n(x|1\r\nx\r\n0)/.test(peers[0]!.text), 'its body');
      peers[0]!.socket.write(reply('2'));
      await awaitCondition(() => requestsIn(peers[0]!.text) === 4, 'the third');
      peers[0]!.socket.write(reply('3'));
      assert.deepEqual(await Promise.all(all), ['1', '2', '3']);
    }
  });

  it('what was not answered when the connection is lost is sent once more, each alone', async () => {
    const { client, url, peers } = await warm((peer, index) => {
      if (index === 0 && requestsIn(peer.text) === 5) {
        peer.socket.write(`${reply('0')}${OK}Content-Length: 9\r\n\r\nhalf`);
        setImmediate(() => peer.socket.resetAndDestroy());
      } else if (index > 0) {
        assert.ok(requestsIn(peer.text) <= 2);
        peer.socket.write(reply(pathsIn(peer.text).at(-1)!.slice(1)));
      }
    });
    const all = Array.from({ length: 4 }, async (_, i) =>
      (await client.request(`${url}${i}`)).text(),
    );
    const outcomes = await settled(Promise.allSettled(all), 'the outcomes');
    // Of the second the head was there: the program has its response, and it breaks.
    assert.deepEqual(
      outcomes.map((each) => (each.status === 'fulfilled' ? each.value : each.reason.code)),
      ['0', 'ERR_HTTP_CONNECTION', '2', '3'],
    );
    assert.equal(client.stats.retries, 2);
    assert.ok(peers.slice(1).every(({ text }) => requestsIn(text) === 1));
  });

  it('not a second time', async () => {
    const { client, url } = await warm((peer, index) => {
      if (index > 0 || requestsIn(peer.text) === 4) {
        peer.socket.destroy();
      }
    });
    const all = Array.from({ length: 3 }, (_, i) => errorOf(client.request(`${url}${i}`)));
    for (const error of await Promise.all(all)) {
      assert.equal(error.code, 'ERR_HTTP_CONNECTION');
    }
    assert.equal(client.stats.retries, 3);
  });

  it('after Connection: close the others go on elsewhere, and that is no failure', async () => {
    const { client, url, peers } = await warm((peer) => {
      const path = pathsIn(peer.text).at(-1)!;
      if (requestsIn(peer.text) === 1 || path === '/warm') {
        const last = `${OK}Connection: close\r\nContent-Length: 1\r\n\r\n`;
        peer.socket.end(`${last}${pathsIn(peer.text)[0]!.slice(1)}`);
      } else if (requestsIn(peer.text) === 5) {
        peer.socket.end(`${OK}Connection: close\r\nContent-Length: 1\r\n\r\n0`);
      }
    });
    const all = Array.from({ length: 4 }, async (_, i) =>
      (await client.request(`${url}${i}`)).text(),
    );
    assert.deepEqual(await settled(Promise.all(all), 'the answers'), ['0', '1', '2', '3']);
    assert.equal(client.stats.retries, 0);
    assert.ok(peers.length >= 4);
  });

  it('an aborted request keeps the others, and its answer is dropped', async () => {
    const { client, url, peers } = await warm(() => {});
    const controller = new AbortController();
    const first = client.request(`${url}0`);
    const second = client.request(`${url}1`, { signal: controller.signal });
    const third = client.request(`${url}2`);
    await awaitCondition(() => requestsIn(peers[0]!.text) === 4, 'all three');
    controller.abort(new Error('not wanted'));
    await assert.rejects(second, /not wanted/);
    peers[0]!.socket.write(reply('0') + reply('1') + reply('2'));
    assert.equal(await (await first).text(), '0');
    assert.equal(await (await third).text(), '2');
    assert.equal(client.stats.connects, 1);
  });

  it('a body that nobody reads holds those behind it back; when it is given up they go elsewhere', async () => {
    const { client, url } = await warm((peer, index) => {
      if (index > 0) {
        peer.socket.write(reply('elsewhere'));
      } else if (requestsIn(peer.text) === 3) {
        peer.socket.write(reply('x'.repeat(100_000)) + reply('second'));
      }
    });
    const first = client.request(`${url}0`, { timeouts: { unreadTimeoutMs: 50 } });
    const second = client.request(`${url}1`);
    const unread = await first;
    assert.equal(unread.status, 200);
    assert.equal(await (await second).text(), 'elsewhere');
    assert.equal((await errorOf(unread.text())).timeout, 'unread');
    assert.deepEqual([client.stats.connects, client.stats.retries], [2, 1]);
  });

  it('against our own server, in any order of sizes', async () => {
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        const size = Number(request.path.slice(1));
        if (size % 3 === 0) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        response.end(Buffer.alloc(size, request.path));
      },
    });
    const client = clientOf({ connectionsPerOrigin: 2, pipeliningMax: 8 });
    const sizes = Array.from({ length: 200 }, (_, i) => (i * 7_919) % 30_000);
    const bodies = await Promise.all(
      sizes.map(async (size) => (await client.request(`${rig.url}/${size}`)).bytes()),
    );
    for (const [i, body] of bodies.entries()) {
      assert.ok(body.equals(Buffer.alloc(sizes[i]!, `/${sizes[i]}`)), String(i));
    }
    assert.equal(client.stats.connects, 2);
    assert.ok(client.stats.pipelined > 100, String(client.stats.pipelined));
    await client.close();
  });
});
