/** examples/websocket-chat.mjs: its clients are spread over two reactors. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';

import { WebSocket as WsClient } from 'ws';

import { awaitCondition } from '../support/await-condition.js';
import { startExample } from '../support/spawned-program.js';

class Member {
  readonly lines: string[] = [];
  readonly client: WsClient;

  private constructor(client: WsClient) {
    this.client = client;
    client.on('message', (data: Buffer) => this.lines.push(data.toString()));
  }

  static async join(scope: { after(end: () => void): void }, url: string): Promise<Member> {
    const member = new Member(new WsClient(url));
    scope.after(() => member.client.terminate());
    await once(member.client, 'open');
    return member;
  }

  async reads(line: string): Promise<void> {
    await awaitCondition(() => this.lines.includes(line), JSON.stringify(line));
  }
}

test('what one says all in the room read, once, and nobody else', async (t) => {
  const example = startExample(t, 'websocket-chat', ['tcp://127.0.0.1:0']);
  const [address] = await example.addresses();
  const url = address!.replace('tcp:', 'ws:');
  const names = ['ann', 'bob', 'cem', 'dân'];
  const members: Member[] = [];
  for (const name of names) {
    const member = await Member.join(t, `${url}/lobby?${encodeURIComponent(name)}`);
    members.push(member);
    for (const each of members) await each.reads(`* ${name} is here`);
  }
  const other = await Member.join(t, `${url}/garden?eve`);
  await other.reads('* eve is here');
  for (const [i, member] of members.entries()) {
    member.client.send(`hello from ${names[i]}`);
    for (const each of members) await each.reads(`${names[i]}: hello from ${names[i]}`);
  }
  for (const { lines } of members) assert.equal(new Set(lines).size, lines.length, 'each once');
  assert.deepEqual(other.lines, ['* eve is here']);
  members[0]!.client.close();
  await members[1]!.reads('* ann left');
  members[1]!.client.send(Buffer.from('bytes'));
  const [code, reason] = await once(members[1]!.client, 'close');
  assert.deepEqual([code, String(reason)], [1003, 'text only']);
  await members[2]!.reads('* bob left');
  members[2]!.client.send('x'.repeat(2_000));
  assert.equal((await once(members[2]!.client, 'close'))[0], 1009);
});

test('without a name there is no chat', async (t) => {
  const [address] = await startExample(t, 'websocket-chat', ['tcp://127.0.0.1:0']).addresses();
  for (const target of ['/lobby', '/lobby?', '/lobby?%ff']) {
    const client = new WsClient(`${address!.replace('tcp:', 'ws:')}${target}`);
    const [error] = await once(client, 'error');
    assert.match((error as Error).message, /400/);
  }
});
