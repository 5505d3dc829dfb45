/** Files and other pieces as the body of a response, over plain connections and TLS. */

import assert from 'node:assert/strict';
import { request as httpsRequest } from 'node:https';
import { after, describe, it } from 'node:test';

import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { serve } from '../../src/engine/serve.js';
import { httpHandler, type OnRequest } from '../../src/http/index.js';
import { tlsHandler } from '../../src/tls/index.js';
import { openLinuxFile } from '../contract/linux-file.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { get, HttpRig } from './rig.js';

const CONTENT = Buffer.alloc(1_500_000);
for (let i = 0; i < CONTENT.byteLength; i += 4) {
  CONTENT.writeUInt32BE(i, i);
}
const kernel = new LinuxKernel();
const { fd } = openLinuxFile(CONTENT);
after(() => kernel.close(fd));

/** Bytes before, a part of the file, and bytes after. */
const answerWithFile: OnRequest = async (_request, response) => {
  response.field('Content-Length', 1_200_012);
  await response.writeAll('before');
  await response.sendFile(fd, 100, 1_200_000);
  response.end('after!');
};
const EXPECTED = `before${CONTENT.toString('latin1', 100, 1_200_100)}after!`;

describe('HttpResponse.sendFile', () => {
  it('sends a part of a file in order with all else, pipelined too', async () => {
    const rig = await HttpRig.open({ onRequest: answerWithFile });
    const client = await rig.connect();
    await client.send(get('/').repeat(3));
    for (let i = 0; i < 3; i += 1) {
      assert.ok((await client.answer()).body === EXPECTED);
    }
    await client.send(get('/').replace('GET', 'HEAD') + get('/'));
    assert.equal((await client.answer(true)).fields.get('content-length'), '1200012');
    assert.ok((await client.answer()).body === EXPECTED);
    assert.equal(rig.handler.httpStats.handlerErrors, 0);
  });

  it('with queues that take next to nothing', async () => {
    const options = { writeQueueMax: 2_000, highWaterMark: 1_000, lowWaterMark: 500 };
    const rig = await HttpRig.open(
      { onRequest: answerWithFile },
      { ...options, sendBufferBytes: 4_096 },
    );
    const client = await rig.connect();
    await client.send(get('/').repeat(2));
    assert.ok((await client.answer()).body === EXPECTED);
    assert.ok((await client.answer()).body === EXPECTED);
  });

  it('needs a length, and keeps to it', async () => {
    const failures: unknown[] = [];
    const rig = await HttpRig.open({
      onRequest: async (request, response) => {
        if (request.path === '/long') {
          response.field('Content-Length', 10);
        }
        await response.sendFile(fd, 0, 11).catch((error: unknown) => failures.push(error));
        response.end(request.path === '/long' ? '0123456789' : 'whole');
      },
    });
    const client = await rig.connect();
    await client.send(get('/none') + get('/long'));
    assert.equal((await client.answer()).body, 'whole');
    assert.equal((await client.answer()).body, '0123456789');
    assert.ok(failures[0] instanceof TypeError && failures[1] instanceof RangeError);
  });

  it('to a client that went is false, and no error of the handler', async () => {
    const outcomes: unknown[] = [];
    let goOn: () => void = () => {};
    const gone = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const rig = await HttpRig.open(
      {
        onRequest: async (request, response) => {
          if (request.path === '/gone') {
            await gone;
            // Nobody is there: what is set does not matter, and that it cannot be sent is a value.
            response.status = 404;
            response.field('X-Late', 'x').fields({ 'X-Later': 'y' });
          } else {
            response.field('Content-Length', CONTENT.byteLength);
          }
          outcomes.push(
            request.path === '/gone'
              ? response.end('late')
              : await response.sendFile(fd, 0, CONTENT.byteLength),
          );
        },
      },
      { sendBufferBytes: 4_096 },
    );
    const slow = await rig.connect({ receiveBufferBytes: 4_096 });
    await slow.send(get('/'));
    await slow.raw.readable();
    slow.raw.reset();
    const other = await rig.connect();
    await other.send(get('/gone'));
    await awaitCondition(() => rig.handler.httpStats.requests === 2, 'the request');
    other.raw.reset();
    await awaitCondition(() => rig.server.stats.totals.connections === 0, 'the closes');
    goOn();
    await awaitCondition(() => outcomes.length === 2, 'both');
    assert.deepEqual(outcomes, [false, 'closed']);
    assert.equal(rig.handler.httpStats.handlerErrors, 0);
  });

  it('a client that does not take the file is cut off below the rate', async () => {
    const rig = await HttpRig.open(
      { onRequest: answerWithFile, rateGraceMs: 1 },
      { sendBufferBytes: 4_096 },
    );
    const client = await rig.connect({ receiveBufferBytes: 4_096 });
    await client.send(get('/'));
    await awaitCondition(() => rig.handler.httpStats.slowReaders === 1, 'the end of it');
    await awaitCondition(() => rig.server.stats.totals.connections === 0, 'the close');
  });

  it('over TLS', async () => {
    const certificates = new TestCertificates();
    const { cert, key } = certificates.server;
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: tlsHandler({ cert, key }, httpHandler({ onRequest: answerWithFile })),
    });
    after(() => server.close({ deadlineMs: 0 }));
    const port = Number(server.addresses[0]!.split(':').at(-1));
    const body = await settled(
      new Promise<string>((resolve, reject) => {
        const options = { port, host: '127.0.0.1', servername: 'localhost', agent: false as const };
        httpsRequest({ ...options, ca: certificates.ca.cert }, (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.on('end', () => resolve(Buffer.concat(pieces).toString('latin1')));
          response.on('error', reject);
        })
          .on('error', reject)
          .end();
      }),
      'the response',
    );
    assert.ok(body === EXPECTED);
  });
});
