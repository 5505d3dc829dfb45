/** A connection changes hands: the new handler gets everything from then on, the user's object becomes a view. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { endView, HandOver, wasEndReported } from '../../src/connection/hand-over.js';
import { type Connection, type Handler, type ServeOptions, serve } from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { RawClient } from '../support/raw-client.js';

interface Scene {
  readonly connection: Connection;
  readonly client: RawClient;
  readonly seen: string[];
  readonly second: Handler;
}

/** A connection whose first handler notes what it sees with `1:`, the second with `2:`. */
async function scene(
  use: (scene: Scene) => Promise<void>,
  first: Handler = {},
  options: Partial<ServeOptions> = {},
): Promise<void> {
  const seen: string[] = [];
  const noting = (who: number): Handler => ({
    onData: (_, bytes) => void seen.push(`${who}:data ${bytes}`),
    onEnd: () => void seen.push(`${who}:end`),
    onDrain: () => void seen.push(`${who}:drain`),
    onClose: (_, { code }) => void seen.push(`${who}:close ${code}`),
  });
  let connection: Connection | undefined;
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    ...options,
    handler: {
      ...noting(1),
      onOpen(opened) {
        connection = opened;
      },
      ...first,
    },
  });
  const client = await RawClient.connect(server.addresses[0]!);
  try {
    await awaitCondition(() => connection !== undefined, 'the connection');
    await use({ connection: connection!, client, seen, second: noting(2) });
  } finally {
    client.close();
    await server.close({ deadlineMs: 0 });
  }
}

describe('HandOver', () => {
  it('gives data, end and close to the new handler, with the object that it returned', () =>
    scene(async ({ connection, client, seen, second }) => {
      await client.send(Buffer.from('a'));
      await awaitCondition(() => seen.length === 1, 'the first byte');
      const objects: Connection[] = [];
      const handler: Handler = {
        ...second,
        onOpen: () => void seen.push('2:open'),
        onEnd(of) {
          objects.push(of);
          return second.onEnd!(of);
        },
      };
      const taken = new HandOver(handler, {}).take(connection)!;
      assert.notEqual(taken, connection);
      assert.equal(taken.id, connection.id);
      await client.send(Buffer.from('b'));
      await awaitCondition(() => seen.length === 2, 'the second byte');
      client.close();
      await awaitCondition(() => seen.length === 4, 'the close');
      assert.deepEqual(seen, ['1:data a', '2:data b', '2:end', '2:close ended']);
      assert.deepEqual(objects, [taken]);
    }));

  it('leaves the user’s object a view of the same connection', () =>
    scene(async ({ connection, client, second }) => {
      connection.context = 'mine';
      const taken = new HandOver(second, {}).take(connection)!;
      assert.equal(taken.context, undefined);
      assert.equal(connection.context, 'mine');
      assert.equal(connection.state, 'open');
      assert.equal(connection.remoteAddress, taken.remoteAddress);
      assert.equal(
        connection.write('from the view'),
        connection.queuedBytes > 0 ? 'queued' : 'sent',
      );
      assert.equal((await client.read(13)).toString(), 'from the view');
      connection.setOption('noDelay', false);
      assert.equal(taken.getOption('noDelay'), false);
      connection.abort();
      assert.equal(connection.state, 'closed');
      endView(connection);
      assert.equal(connection.write('x'), 'closed');
      assert.equal(connection.id, taken.id);
    }));

  it('reports what was received and not read to the new handler', () =>
    scene(
      async ({ connection, client, seen, second }) => {
        await client.send(Buffer.from('unread'));
        await awaitCondition(() => connection.reader.length === 6, 'the bytes');
        new HandOver(second, {}).take(connection);
        await awaitCondition(() => seen.length === 1, 'the report');
        assert.deepEqual(seen, ['2:data unread']);
      },
      { onData: undefined as never, onReadable() {} },
    ));

  it('in the midst of a hook is possible, too', () => {
    let take: (connection: Connection) => void = () => {};
    return scene(
      async ({ connection, client, seen, second }) => {
        take = (each) => void new HandOver(second, {}).take(each);
        await client.send(Buffer.from('a'));
        await awaitCondition(() => connection.bytesReceived === 1, 'the first byte');
        await client.send(Buffer.from('b'));
        await awaitCondition(() => seen.length === 1, 'the second byte');
        assert.deepEqual(seen, ['2:data b']);
      },
      { onData: (each) => take(each) },
    );
  });

  it('has options of its own, over those that there were', () =>
    scene(
      async ({ connection, client, seen, second }) => {
        const taken = new HandOver(second, { allowHalfOpen: true }).take(connection)!;
        assert.equal(wasEndReported(taken), false);
        client.halfClose();
        await awaitCondition(() => seen.length === 1, 'the end');
        assert.equal(wasEndReported(taken), true);
        assert.equal(taken.state, 'half-closed-remote');
        taken.close();
        await awaitCondition(() => seen.length === 2, 'the close');
        assert.deepEqual(seen, ['2:end', '2:close closed']);
      },
      {},
      { lingerTimeoutMs: 1_000 },
    ));

  it('refuses what is not ours, what is taken, and what is iterated over; a closed one is none', () =>
    scene(async ({ connection, client, seen, second }) => {
      const hands = new HandOver(second, {});
      for (const other of [undefined, null, 1, {}, 'x'] as unknown as Connection[]) {
        assert.throws(() => hands.take(other), {
          name: 'TypeError',
          message: /expected a connection/,
        });
      }
      const taken = hands.take(connection)!;
      assert.throws(() => hands.take(connection), /somebody else has done so/);
      // The reactor's object may go on to a third.
      const again = new HandOver(second, {}).take(taken)!;
      void again[Symbol.asyncIterator]();
      assert.throws(() => hands.take(again), /iterated over/);
      client.reset();
      await awaitCondition(() => seen.includes('2:close reset'), 'the close');
      assert.equal(hands.take(again), undefined);
    }));
});
