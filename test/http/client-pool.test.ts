/** Who gets a connection when there are not enough of them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { clientOf, EMPTY, hostile, requestsIn } from './client-rig.js';

describe('connectionsMax', () => {
  it('an origin that is asked all the time does not keep others from their turn', async () => {
    const busy = await hostile(({ socket }) => void socket.write(EMPTY));
    const other = await hostile(({ socket }) => void socket.write(EMPTY));
    const client = clientOf({ connectionsMax: 1 });
    let isOver = false;
    let count = 0;
    const ask = async (): Promise<void> => {
      while (!isOver) {
        await (await client.request(busy.url)).text();
        count += 1;
      }
    };
    const loops = [ask(), ask(), ask()];
    await awaitCondition(() => count > 10, 'some');
    await settled(
      client.request(other.url).then((response) => response.text()),
      'the other origin',
    );
    const before = count;
    await awaitCondition(() => count > before + 10, 'the busy one goes on');
    isOver = true;
    await Promise.all(loops);
    assert.ok(client.stats.connects <= 4, `${client.stats.connects} connections`);
  });

  it('origins without a connection get theirs in the order in which they asked', async () => {
    const order: number[] = [];
    const servers = await Promise.all(
      [0, 1, 2, 3].map((i) =>
        hostile(({ socket }) => {
          order.push(i);
          socket.write(EMPTY);
        }),
      ),
    );
    const client = clientOf({ connectionsMax: 1 });
    const places = [2, 0, 3, 1, 0, 2];
    await Promise.all(places.map(async (i) => (await client.request(servers[i]!.url)).text()));
    // The first of each in order; the second of an origin may use its connection before it is given up.
    const firsts = order.filter((i, at) => order.indexOf(i) === at);
    assert.deepEqual(firsts, [2, 0, 3, 1]);
    assert.equal(order.length, 6);
  });

  it('the connection that rested for longest makes room, and no more than are needed', async () => {
    const [a, b, c] = [
      await hostile(({ socket }) => void socket.write(EMPTY)),
      await hostile(({ socket }) => void socket.write(EMPTY)),
      await hostile(({ socket }) => void socket.write(EMPTY)),
    ];
    const client = clientOf({ connectionsMax: 3 });
    // Two at b, then one at a, at rest in this order.
    await Promise.all(
      [client.request(b.url), client.request(b.url)].map(async (r) => (await r).text()),
    );
    await (await client.request(a.url)).text();
    assert.equal(client.stats.idle, 3);
    await (await client.request(c.url)).text();
    await awaitCondition(() => b.peers.some(({ isEnded }) => isEnded), 'one of b');
    await rounds(20);
    assert.deepEqual(
      [a, b, c].map(({ peers }) => peers.filter(({ isEnded }) => !isEnded).length),
      [1, 1, 1],
    );
    assert.equal(client.stats.connects, 4);
  });

  it('requests that nobody can serve yet do not close one connection after the other', async () => {
    const [a, b] = [
      await hostile(({ socket }) => void socket.write(EMPTY)),
      await hostile(({ socket, text }) => void (requestsIn(text) > 0 && socket.write(EMPTY))),
    ];
    const client = clientOf({ connectionsMax: 4, connectionsPerOrigin: 4 });
    await Promise.all([1, 2, 3, 4].map(async () => (await client.request(a.url)).text()));
    assert.equal(client.stats.idle, 4);
    await Promise.all([1, 2].map(async () => (await client.request(b.url)).text()));
    await rounds(20);
    assert.equal(a.peers.filter(({ isEnded }) => isEnded).length, 2);
  });
});
