/** `datagram`: what it takes and refuses, how it ends. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { datagram, serve } from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';

describe('datagram', () => {
  it('binds to any free port without options', async () => {
    const socket = await datagram();
    assert.match(socket.localAddress, /^udp:\/\/0\.0\.0\.0:\d+$/);
    assert.deepEqual([socket.isOpen, socket.remoteAddress, socket.sessionCount], [true, '', 0]);
    socket.close();
    assert.equal(socket.isOpen, false);
    assert.match(socket.localAddress, /^udp:/, 'it is known afterwards');
    socket.close();
  });

  it('opens with its context, closes once, with the reason', async () => {
    const told: string[] = [];
    const controller = new AbortController();
    const socket = await datagram({
      bind: 'udp://127.0.0.1:0',
      context: 'mine',
      signal: controller.signal,
      handler: {
        onSocketOpen: (opened) => {
          told.push(`open ${String(opened.context)}`);
        },
        onSocketClose: (closed, { code }) => {
          told.push(`${code} ${closed.isOpen}`);
        },
      },
    });
    controller.abort();
    assert.equal(socket.isOpen, false);
    await awaitCondition(() => told.length === 2, 'the close');
    assert.deepEqual(told, ['open mine', 'closed false']);
  });

  it('resolves names', async () => {
    const socket = await datagram({ connect: 'udp4://localhost:9' });
    assert.equal(socket.remoteAddress, 'udp://127.0.0.1:9');
    socket.close();
    await assert.rejects(datagram({ connect: 'udp://no-such-name.invalid:9' }), {
      name: 'MillraceError',
    });
  });

  it('refuses what makes no sense', async () => {
    const aborted = AbortSignal.abort(new Error('too late'));
    await assert.rejects(datagram({ signal: aborted, bind: 'udp://127.0.0.1:0' }), /too late/);
    await assert.rejects(datagram({ bind: 'tcp://127.0.0.1:0' }), TypeError);
    await assert.rejects(datagram({ bindd: 'udp://127.0.0.1:0' } as never), TypeError);
    await assert.rejects(datagram({ bind: 'udp://192.0.2.1:0' }), { code: 'EADDRNOTAVAIL' });
    await assert.rejects(datagram({ connect: 'unixgram:///no/such/socket' }), { code: 'ENOENT' });
    await assert.rejects(
      datagram({ bind: 'udp://127.0.0.1:0', connect: 'udp://[::1]:9' }),
      TypeError,
    );
    await assert.rejects(
      serve({ listen: 'udp://127.0.0.1:0', handler: {}, datagram: { nonsense: 1 } as never }),
      TypeError,
    );
  });

  it('refuses to send nothing, to nobody, or elsewhere', async () => {
    const socket = await datagram();
    assert.throws(() => socket.send('x'), /not connected, and no peer was given/);
    assert.throws(() => socket.send(5 as never, 'udp://127.0.0.1:9'), TypeError);
    assert.throws(() => socket.send('x', 'udp://[::1]:9'), TypeError);
    assert.throws(() => socket.sendSegments(Buffer.alloc(9), 0, 'udp://127.0.0.1:9'), RangeError);
    assert.throws(() => socket.setTtl(0), RangeError);
    socket.close();
    assert.equal(socket.send('x', 'udp://127.0.0.1:9'), 'closed');
    socket.pause();
    socket.resume();
    socket.flush();
    socket.joinGroup('239.1.2.3');
  });
});
