/** Streams without a descriptor become connections. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { Duplex, PassThrough } from 'node:stream';
import { it } from 'node:test';
import tls from 'node:tls';

import { socketPair } from '../../src/base/socket-pair.js';
import type { Connection } from '../../src/index.js';
import { fromDuplex } from '../../src/node/index.js';
import { awaitCondition, rounds, settled } from '../support/await-condition.js';
import { openDescriptors } from '../support/open-descriptors.js';
import { rawKernel } from '../support/raw-peer.js';
import { TestCertificates } from '../support/test-certificates.js';
import { listening, textOf } from './support.js';

const certificates = new TestCertificates();

const ECHO = {
  allowHalfOpen: true,
  whenFull: 'pause-source' as const,
  handler: {
    onData: (connection: Connection, bytes: Buffer) => void connection.write(bytes),
    onEnd: (connection: Connection) => connection.end(),
  },
};

it('a pair of sockets is non-blocking, and each one’s peer is the other', () => {
  const [a, b] = socketPair();
  const region = rawKernel.allocate(16);
  assert.equal(rawKernel.receive(a, region), -11);
  assert.equal(rawKernel.send(b, Buffer.from('over')), 4);
  assert.equal(rawKernel.receive(a, region), 4);
  rawKernel.release(region);
  rawKernel.close(a);
  rawKernel.close(b);
});

it('a tls.TLSSocket of Node, with half-close and large data', async (t) => {
  const { cert, key } = certificates.server;
  const server = tls.createServer({ cert, key, allowHalfOpen: true }, (socket) => {
    void fromDuplex(socket, ECHO);
  });
  const port = await listening(t, server);
  const client = tls.connect({ port, host: 'localhost', ca: certificates.ca.cert });
  client.allowHalfOpen = true;
  const large = Buffer.alloc(2_000_000, 'large ');
  client.write(large);
  let text = '';
  client.on('data', (bytes: Buffer) => {
    text += bytes;
  });
  await awaitCondition(() => text.length === large.byteLength, 'the echo');
  client.end(' and the end');
  await settled(once(client, 'close'), 'the close');
  assert.equal(text, `${large} and the end`);
});

it('a stream of HTTP/2', async (t) => {
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.respond();
    void fromDuplex(stream, ECHO);
  });
  const port = await listening(t, server);
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const stream = session.request({ ':method': 'POST' });
  stream.end('over a stream');
  assert.equal(await settled(textOf(stream), 'the echo'), 'over a stream');
  await new Promise<void>((resolve) => session.close(resolve));
});

/** A stream whose other side is ours. */
function streamPair(): { duplex: Duplex; fromProgram: PassThrough; toProgram: PassThrough } {
  const [fromProgram, toProgram] = [new PassThrough(), new PassThrough()];
  return {
    duplex: Duplex.from({ readable: toProgram, writable: fromProgram }),
    fromProgram,
    toProgram,
  };
}

it('is aborted with its stream, and the stream destroyed with it; descriptors are closed', async () => {
  const before = openDescriptors().size;
  for (const side of ['stream', 'connection']) {
    const { duplex, toProgram } = streamPair();
    const seen: string[] = [];
    const connection = await fromDuplex(duplex, {
      head: Buffer.from('head, '),
      handler: {
        onData: (_, bytes) => void seen.push(bytes.toString()),
        onClose: (_, { code }) => void seen.push(code),
      },
    });
    toProgram.write('body');
    await awaitCondition(() => seen.join('') === 'head, body', 'the bytes');
    if (side === 'stream') {
      duplex.destroy(new Error('broken'));
    } else {
      connection.abort();
    }
    await awaitCondition(() => seen.at(-1) === 'aborted', 'the close');
    await awaitCondition(() => duplex.destroyed, 'the end of the stream');
  }
  await awaitCondition(() => openDescriptors().size <= before + 4, 'the descriptors');
});

it('lets the stream wait for a connection that reads nothing', async () => {
  const { duplex, toProgram } = streamPair();
  const connection = await fromDuplex(duplex, { handler: { onOpen: (c) => c.pause() } });
  let written = 0;
  for (let refused = 0; refused < 50; ) {
    if (toProgram.writableNeedDrain) {
      refused += 1;
      await rounds(1);
    } else {
      toProgram.write(Buffer.alloc(16_384));
      written += 16_384;
      refused = 0;
    }
  }
  assert.ok(written < 4_194_304, `${written} bytes are on their way`);
  connection.abort();
  await awaitCondition(() => duplex.destroyed, 'the end of the stream');
});

it('refuses what is no stream of bytes', async () => {
  await assert.rejects(fromDuplex(null as never), TypeError);
  await assert.rejects(fromDuplex(new PassThrough({ objectMode: true })), /object mode/);
  await assert.rejects(fromDuplex(new PassThrough({ encoding: 'utf8' })), /encoding/);
  const before = openDescriptors().size;
  await assert.rejects(fromDuplex(new PassThrough(), { head: 'text' as never }), TypeError);
  await awaitCondition(() => openDescriptors().size <= before, 'the descriptors');
});
