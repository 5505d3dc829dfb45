/** cli/push: ticks for plain clients and WebSockets, as their users see them. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';

import { WebSocket as WsClient } from 'ws';

import { awaitCondition } from '../support/await-condition.js';
import { NetClient } from '../support/net-client.js';
import { startCommand } from '../support/spawned-program.js';

/** The numbers of the ticks in a text, which has nothing else but perhaps a last line that is not complete. */
function ticksIn(text: string): number[] {
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => Number(/^tick (\d+)$/.exec(line)?.[1]));
}

function assertConsecutive(numbers: readonly number[], who: string): void {
  const expected = numbers.map((_, i) => numbers[0]! + i);
  assert.deepEqual(numbers, expected, who);
}

for (const reactors of [1, 2]) {
  test(`${reactors} reactors: every client gets each tick once, in order`, async (t) => {
    const server = startCommand(t, [
      ...['push', '--listen', 'tcp://127.0.0.1:0', '--reactors', `${reactors}`],
    ]);
    const [url] = await server.addresses();
    const received: string[][] = [];
    for (let i = 0; i < 4; i += 1) {
      const client = new WsClient(url!.replace('tcp:', 'ws:'));
      t.after(() => client.terminate());
      await once(client, 'open');
      const lines: string[] = [];
      received.push(lines);
      client.on('message', (data: Buffer, isBinary: boolean) => {
        lines.push(isBinary ? 'binary' : data.toString());
      });
    }
    const talking = await NetClient.connect(t, url!);
    talking.write('hello\n');
    const silent = await NetClient.connect(t, url!);
    const listening = await NetClient.connect(t, url!);
    listening.write('\n');
    listening.socket.end();
    const plain = [talking, silent, listening];
    await awaitCondition(
      () =>
        received.every((lines) => lines.length >= 2) &&
        plain.every((client) => ticksIn(client.text).length >= 2),
      'two ticks for everybody',
      60_000,
    );
    for (const [i, lines] of received.entries()) {
      assertConsecutive(ticksIn(`${lines.join('\n')}\n`), `WebSocket ${i}`);
    }
    for (const [i, client] of plain.entries()) {
      assertConsecutive(ticksIn(client.text), `plain client ${i}`);
      client.socket.end();
    }
    server.signal('SIGTERM');
    const { code, stderr } = await server.ended();
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  });
}
