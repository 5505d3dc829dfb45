/** What does not arrive, and that it is told: truncation, overflow, ICMP errors, full queues, datagrams too long. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
  type DatagramPeer,
  type DatagramSocket,
  datagram,
  type SendResult,
} from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { counted, DATAGRAM_SHAPES, report, staged } from '../support/datagram-stage.js';

for (const shape of DATAGRAM_SHAPES) {
  describe(`UDP limits, ${shape.name}`, { skip: shape.skip }, () => {
    it('a datagram that is longer than allowed is cut, and that is told', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, { datagram: { receiveBytesMax: 100 } });
        const peer = await stage.peer();
        for (const size of [99, 100, 101, 5_000]) {
          await peer.send(Buffer.alloc(size, size & 255), server.addresses[0]!);
        }
        const sizes = (await peer.read(4)).map(({ byteLength }) => byteLength);
        assert.deepEqual(sizes, [99, 100, 100, 100]);
        assert.equal((await report(server)).truncated, 2);
        assert.equal(server.stats.totals.datagramsTruncated, 2);
      }));

    it('what the kernel had no room for is counted', () =>
      staged(async (stage) => {
        const server = await stage.serve(
          shape,
          { datagram: { receiveBufferBytes: 4_096, receiveBudget: 4 } },
          { isMute: true },
        );
        const peer = await stage.peer();
        const sent = 200;
        // One reactor has the peer; which one, the kernel knows.
        await server.executeAll('pause');
        for (let i = 0; i < sent; i += 1) await peer.send(Buffer.alloc(500), server.addresses[0]!);
        await server.executeAll('resume');
        const seen = () => {
          const { datagramsReceived, datagramsOverflowed } = server.stats.totals;
          return { datagramsReceived, datagramsOverflowed };
        };
        // The count comes with a datagram that is received after the loss.
        let more = 0;
        await awaitCondition(async () => {
          const { datagramsReceived, datagramsOverflowed } = seen();
          if (datagramsReceived + datagramsOverflowed === sent + more) return true;
          await peer.send('and now?', server.addresses[0]!);
          more += 1;
          await new Promise((resolve) => setTimeout(resolve, 5));
          return false;
        }, 'every datagram to be received or counted as lost');
        assert.ok(seen().datagramsOverflowed > 0);
      }));

    it('an ICMP error is told, with the peer that it is about', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape);
        const gone = await stage.peer();
        const url = `udp://127.0.0.1:${gone.port}`;
        await new Promise<void>((resolve) => {
          gone.socket.close(resolve);
        });
        gone.socket.close = () => gone.socket;
        const last = shape.reactors - 1;
        assert.equal(await server.execute(last, 'send', { to: url, text: 'hello?' }), 'queued');
        await counted(server, 'datagramErrors', 1);
        await awaitCondition(async () => (await report(server)).errors.length > 0, 'the error');
        assert.deepEqual((await report(server)).errors, [`ECONNREFUSED ${url}`]);
        // It does not hurt others.
        const peer = await stage.peer();
        await peer.send('fine', server.addresses[0]!);
        assert.deepEqual((await peer.read(1)).map(String), ['fine']);
      }));
  });
}

/** Opens a socket that the test closes. */
async function withSocket(
  options: Parameters<typeof datagram>[0],
  run: (socket: DatagramSocket) => Promise<void>,
): Promise<void> {
  const socket = await datagram(options);
  try {
    await run(socket);
  } finally {
    socket.close();
  }
}

describe('sending', () => {
  it('datagrams that are too long are refused as such, and the longest is not', () =>
    staged(async (stage) => {
      const peer = await stage.peer();
      const to = `udp://127.0.0.1:${peer.port}`;
      await withSocket({}, async (socket) => {
        assert.equal(socket.send(Buffer.alloc(65_508), to), 'too-long');
        assert.equal(socket.send(Buffer.alloc(65_507, 'x'), to), 'queued');
        assert.equal((await peer.read(1))[0]!.byteLength, 65_507);
        assert.equal(socket.sendSegments(Buffer.alloc(65_000), 10, to), 'too-long');
      });
    }));

  it('what was given may be changed at once', () =>
    staged(async (stage) => {
      const peer = await stage.peer();
      await withSocket({ connect: `udp://127.0.0.1:${peer.port}` }, async (socket) => {
        const bytes = Buffer.from('first');
        socket.send(bytes);
        bytes.write('XXXXX');
        socket.send(bytes);
        assert.deepEqual((await peer.read(2)).map(String), ['first', 'XXXXX']);
      });
    }));

  it('flush hands over at once', () =>
    staged(async (stage) => {
      const peer = await stage.peer();
      await withSocket({ connect: `udp://127.0.0.1:${peer.port}` }, async (socket) => {
        socket.send('now');
        assert.equal(socket.stats.sent, 0);
        socket.flush();
        assert.equal(socket.stats.sent, 1);
        await peer.read(1);
      });
    }));

  it('thousands at once go out as they are, in order, one by one or together', () =>
    staged(async (stage) => {
      const got: string[] = [];
      await withSocket(
        {
          bind: 'udp://127.0.0.1:0',
          receiveBufferBytes: 4_000_000,
          handler: {
            onDatagram(_socket, bytes) {
              got.push(bytes.toString());
            },
          },
        },
        async (receiver) => {
          const peer = await stage.peer();
          await withSocket({ connect: receiver.localAddress }, async (socket) => {
            const sent: string[] = [];
            const other = `udp://127.0.0.1:${peer.port}`;
            // Of all lengths, so that some can be joined and some cannot.
            for (let i = 0; i < 150; i += 1) {
              const text = `${i}:`.padEnd(8 + (i % 7 < 4 ? 0 : i % 5), '.');
              sent.push(text);
              assert.equal(socket.send(text), 'queued');
            }
            void other;
            await awaitCondition(() => got.length >= sent.length, 'all of them');
            assert.deepEqual(got, sent);
            assert.equal(socket.stats.sent, sent.length);
          });
        },
      );
    }));

  it('segments arrive as datagrams of that length', () =>
    staged(async (stage) => {
      const peer = await stage.peer();
      await withSocket({ connect: `udp://127.0.0.1:${peer.port}` }, async (socket) => {
        const bytes = Buffer.from(Array.from({ length: 2_500 }, (_, i) => i & 255));
        assert.equal(socket.sendSegments(bytes, 1_000), 'queued');
        const got = await peer.read(3);
        assert.deepEqual(
          got.map(({ byteLength }) => byteLength),
          [1_000, 1_000, 500],
        );
        assert.ok(Buffer.concat(got).equals(bytes));
        assert.equal(socket.stats.sent, 3);
        // Larger than loopback's MTU: the kernel will not divide it so, and we do.
        const large = Buffer.alloc(65_500, 'y');
        socket.sendSegments(large, 65_499);
        assert.deepEqual((await peer.read(5)).slice(3).map(String), [
          large.toString('latin1', 0, 65_499),
          'y',
        ]);
      });
    }));

  it('datagrams that the kernel has put together are taken apart', async () => {
    const got: Buffer[] = [];
    const options = {
      bind: 'udp://127.0.0.1:0',
      gro: true,
      handler: {
        onDatagram(_socket: DatagramSocket, bytes: Buffer, _peer: DatagramPeer, length: number) {
          assert.equal(bytes.byteLength, length);
          got.push(Buffer.from(bytes));
        },
      },
    };
    await withSocket(options, (receiver) =>
      withSocket({ connect: receiver.localAddress }, async (socket) => {
        const bytes = Buffer.from(Array.from({ length: 6_300 }, (_, i) => (i * 7) & 255));
        socket.sendSegments(bytes, 100);
        await awaitCondition(() => got.length >= 63, 'all segments');
        assert.ok(got.every(({ byteLength }) => byteLength === 100));
        assert.ok(Buffer.concat(got).equals(bytes));
        assert.equal(receiver.stats.received, 63);
      }),
    );
  });

  it('a connected socket tells ICMP errors, and goes on', () =>
    staged(async (stage) => {
      const gone = await stage.peer();
      const url = `udp://127.0.0.1:${gone.port}`;
      await new Promise<void>((resolve) => {
        gone.socket.close(resolve);
      });
      gone.socket.close = () => gone.socket;
      const errors: string[] = [];
      const handler = {
        onDatagramError(_socket: DatagramSocket, error: Error, peer: DatagramPeer | undefined) {
          errors.push(`${(error as NodeJS.ErrnoException).code} ${peer?.address}`);
        },
      };
      await withSocket({ connect: url, handler }, async (socket) => {
        for (let i = 1; i <= 3; i += 1) {
          assert.equal(socket.send('hello?'), 'queued');
          await awaitCondition(() => errors.length >= i, 'an error');
        }
        assert.equal(socket.stats.errors, errors.length);
        assert.ok(errors.every((error) => error === `ECONNREFUSED ${url}`));
      });
    }));

  it('broadcast is refused until it is allowed', async () => {
    const errors: string[] = [];
    const handler = {
      onDatagramError(_socket: DatagramSocket, error: Error) {
        errors.push(String((error as NodeJS.ErrnoException).code));
      },
    };
    await withSocket({ handler }, async (socket) => {
      assert.equal(socket.send('x', 'udp://127.255.255.255:9'), 'queued');
      await awaitCondition(() => errors.length === 1, 'the refusal');
      assert.deepEqual(errors, ['EACCES']);
      assert.equal(socket.stats.dropped, 1);
      socket.setBroadcast(true);
      socket.send('x', 'udp://127.255.255.255:9');
      socket.flush();
      assert.equal(socket.stats.sent, 1);
    });
  });
});

describe('the queue', () => {
  const cases: { policy: 'refuse' | 'drop-new' | 'drop-oldest'; answer: SendResult }[] = [
    { policy: 'refuse', answer: 'full' },
    { policy: 'drop-new', answer: 'dropped' },
    { policy: 'drop-oldest', answer: 'queued' },
  ];
  for (const { policy, answer } of cases) {
    it(`is bounded, with the policy ${policy}`, async () => {
      const name = `unixgram-abstract://millrace-queue-${process.pid}-${policy}`;
      const got: string[] = [];
      let drains = 0;
      const onDatagram = (_socket: DatagramSocket, bytes: Buffer) => {
        got.push(bytes.toString());
      };
      await withSocket({ bind: name, handler: { onDatagram } }, async (reader) => {
        reader.pause();
        const options = {
          connect: name,
          sendQueueMax: 20,
          whenQueueFull: policy,
          handler: {
            onSocketDrain() {
              drains += 1;
            },
          },
        };
        await withSocket(options, async (socket) => {
          let last: SendResult = 'queued';
          let sent = 0;
          for (; sent < 200 && last === 'queued' && socket.stats.dropped === 0; sent += 1) {
            last = socket.send(String(sent));
            socket.flush();
          }
          assert.equal(last, answer);
          assert.equal(socket.queuedDatagrams, 20);
          reader.resume();
          const lost = policy === 'refuse' ? 1 : socket.stats.dropped;
          await awaitCondition(() => got.length >= sent - lost, 'what was taken');
          const all = Array.from({ length: sent }, (_, i) => String(i));
          const oldest = all.filter((_, i) => i !== sent - 21);
          assert.deepEqual(got, policy === 'drop-oldest' ? oldest : all.slice(0, -1));
          await awaitCondition(() => socket.queuedDatagrams === 0, 'the queue to be empty');
          await awaitCondition(() => drains === (policy === 'refuse' ? 1 : 0), 'onSocketDrain');
        });
      });
    });
  }

  it('of a Unix socket: a peer that does not read holds nobody up', async () => {
    const prefix = `unixgram-abstract://millrace-slow-${process.pid}`;
    const got: string[] = [];
    const onDatagram = (_socket: DatagramSocket, bytes: Buffer) => {
      got.push(bytes.toString());
    };
    await withSocket({ bind: `${prefix}-slow`, handler: { onDatagram } }, (slow) =>
      withSocket({ bind: `${prefix}-fast`, handler: { onDatagram } }, (fast) =>
        withSocket({ bind: `${prefix}-sender`, sendQueueMax: 80 }, async (sender) => {
          slow.pause();
          let result: SendResult = 'queued';
          let taken = 0;
          for (; taken < 500 && result === 'queued'; taken += 1) {
            result = sender.send(`slow ${taken}`, slow.localAddress);
            sender.flush();
          }
          assert.equal(result, 'full');
          // It has an eighth of the queue: the rest is for others.
          assert.equal(sender.queuedDatagrams, 10);
          for (let i = 0; i < 30; i += 1) {
            assert.equal(sender.send(`fast ${i}`, fast.localAddress), 'queued');
            sender.flush();
            await awaitCondition(() => got.length === i + 1, 'the fast one');
          }
          got.length = 0;
          slow.resume();
          await awaitCondition(() => got.length === taken - 1, 'the slow one');
          assert.deepEqual(
            got,
            Array.from({ length: taken - 1 }, (_, i) => `slow ${i}`),
          );
        }),
      ),
    );
  });
});
