/** Connections without a server: one reactor for the thread, which does not hold the process by itself. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';

import { dial } from '../../src/engine/dial.js';
import { awaitCondition } from '../support/await-condition.js';
import { RawListener } from '../support/raw-peer.js';

/** Runs a module that has `dial`, and `url`, where somebody listens; answers its output. */
function run(body: string): string {
  const listener = RawListener.listen('tcp://127.0.0.1:0');
  const source = `import { dial } from ${JSON.stringify(new URL('../../src/engine/dial.js', import.meta.url).href)};
    const url = ${JSON.stringify(listener.url)};
    ${body}`;
  const end = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  listener.close();
  assert.equal(end.status, 0, `${end.signal} ${end.stderr}`);
  return end.stdout.trim();
}

describe('dial()', () => {
  it('makes connections of one reactor', async () => {
    const listener = RawListener.listen('tcp://127.0.0.1:0');
    const [first, second] = await Promise.all([dial(listener.url), dial(listener.url)]);
    assert.equal(first.reactor, second.reactor);
    assert.equal(first.reactor.connectionCount, 2);
    assert.notEqual(first.id, second.id);
    assert.deepEqual(
      [first.reactor.index, first.reactor.count, first.reactor.driver],
      [0, 1, 'epoll'],
    );
    first.abort();
    second.abort();
    await awaitCondition(() => first.reactor.connectionCount === 0, 'the closes');
    listener.close();
  });

  it('rejects for a wrong argument instead of throwing', async () => {
    for (const url of [undefined, 5, '', 'http://a', 'tcp://127.0.0.1', 'fd://3']) {
      const promise = dial(url as string);
      await assert.rejects(promise, TypeError, String(url));
    }
    const unknown = { handler: { onData: 5 } } as never;
    await assert.rejects(dial('tcp://127.0.0.1:9', unknown), TypeError);
    await assert.rejects(dial('tcp://127.0.0.1:9', { attemptDelayMs: -1 }), RangeError);
    const noDelay = 'yes' as unknown as boolean;
    await assert.rejects(dial('tcp://127.0.0.1:9', { noDelay }), TypeError);
  });

  it('keeps the process while it connects and while there is a connection, and not after', () => {
    const output = run(`
      const connection = await dial(url, { handler: { onClose: () => console.log('closed') } });
      console.log(connection.state);
      setTimeout(() => connection.abort(), 30).unref();`);
    assert.equal(output, 'open\nclosed');
  });

  it('does not keep the process after it was refused', () => {
    const output = run(`
      await dial('unix-abstract://nobody-listens-here').catch(({ code }) => console.log(code));`);
    assert.equal(output, 'ECONNREFUSED');
  });
});
