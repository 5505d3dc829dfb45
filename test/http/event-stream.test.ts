import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EventStream, encodeEvent } from '../../src/http/event-stream.js';
import { httpHandler } from '../../src/http/http-handler.js';
import { SimRig } from '../support/reactor-rig.js';
import { until } from '../support/until.js';
import { get, HttpRig } from './rig.js';

describe('EventStream', () => {
  it('sends events as they are made', async () => {
    const streams: EventStream[] = [];
    const rig = await HttpRig.open({
      onRequest: (request, response) => void streams.push(new EventStream(request, response)),
    });
    const client = await rig.connect();
    await client.send(get('/', 'Last-Event-ID: 41'));
    await until('the stream', () => streams.length === 1);
    const [stream] = streams;
    assert.equal(stream!.lastEventId, '41');
    assert.notEqual(stream!.send({ data: 'ä', id: '42' }), 'full');
    stream!.send({ data: 'two\nlines', event: 'x', retry: 100 });
    stream!.close();
    assert.ok(stream!.isClosed);
    assert.equal(stream!.send({ data: '' }), 'closed');
    const { fields, body } = await client.answer();
    assert.equal(fields.get('content-type'), 'text/event-stream');
    assert.equal(
      Buffer.from(body, 'latin1').toString(),
      'id: 42\ndata: ä\n\nevent: x\nretry: 100\ndata: two\ndata: lines\n\n',
    );
  });

  it('tells when its client goes', async () => {
    let closed = 0;
    const rig = await HttpRig.open({
      onRequest: (request, response) =>
        new EventStream(request, response).onClose(() => {
          closed += 1;
        }),
    });
    const client = await rig.connect();
    await client.send(get('/'));
    await client.raw.readable();
    client.raw.reset();
    await until('the close', () => closed === 1);
  });

  it('takes no event that would be another one', () => {
    assert.equal(encodeEvent({ data: 'a\r\nb\rc' }), 'data: a\ndata: b\ndata: c\n\n');
    assert.equal(encodeEvent({ data: '' }), 'data: \n\n');
    assert.throws(() => encodeEvent({ data: '', event: 'a\ndata: b' }), TypeError);
    assert.throws(() => encodeEvent({ data: '', id: 'a\rb' }), TypeError);
    assert.throws(() => encodeEvent({ data: '', id: 'a\0' }), TypeError);
    assert.throws(() => encodeEvent({ data: '', retry: -1 }), RangeError);
  });

  it('sends a comment when there was no event for a while', async () => {
    const streams: EventStream[] = [];
    const rig = SimRig.open(
      httpHandler({
        wallClock: () => 0,
        onRequest: (request, response) =>
          void streams.push(new EventStream(request, response, { keepAliveMs: 10_000 })),
      }),
    );
    const { peer } = await rig.connect();
    peer.send(get('/'));
    await rig.pass(9_000);
    streams[0]!.send({ data: 'x' });
    await rig.pass(26_000);
    const text = peer.received().toString();
    assert.match(text, /\r\n\r\n9\r\ndata: x\n\n\r\n3\r\n:\n\n\r\n3\r\n:\n\n\r\n$/);
    await rig.close();
  });
});
