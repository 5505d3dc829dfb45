/** examples/http-proxy.mjs: curl and our client go through it. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { dial, serve } from '../../src/index.js';
import { HttpClient, httpHandler } from '../../src/http/index.js';
import { seededBytes } from '../support/bytes.js';
import { startExample } from '../support/spawned-program.js';

const curl = async (...args: string[]) => {
  const all = ['-sS', '--max-time', '30', ...args];
  const options = { encoding: 'latin1', maxBuffer: 50_000_000 } as const;
  return (await promisify(execFile)('curl', all, options)).stdout;
};

test('tunnels to the ports that are allowed, and plain requests', async (t) => {
  const bytes = seededBytes(20_000_000, 4);
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: httpHandler({
      onRequest: async (request, response) => {
        if (request.path === '/large') {
          response.end(bytes);
        } else {
          const body = request.hasBody ? await request.text() : '';
          response.field('X-Via', request.header('x-a') ?? 'none');
          response.end(`${request.method} ${request.target} ${request.contentLength} ${body}`);
        }
      },
    }),
  });
  t.after(() => server.close({ deadlineMs: 0 }));
  const origin = server.addresses[0]!.replace('tcp:', 'http:');
  const port = origin.split(':').at(-1)!;
  const example = startExample(t, 'http-proxy', ['tcp://127.0.0.1:0', port]);
  const [address] = await example.addresses();
  const proxy = address!.replace('tcp:', 'http:');
  // In a tunnel.
  assert.equal(await curl('-p', '-x', proxy, `${origin}/a`), 'GET /a 0 ');
  const large = await curl('-p', '-x', proxy, `${origin}/large`);
  assert.ok(Buffer.from(large, 'latin1').equals(bytes));
  // Whole.
  assert.equal(await curl('-x', proxy, '-d', 'hello', `${origin}/b?c`), 'POST /b?c 5 hello');
  assert.match(await curl('-x', proxy, '-i', '-H', 'X-A: b', `${origin}/d`), /\r\nX-Via: b\r\n/);
  const client = new HttpClient(dial);
  t.after(() => client.close({ deadlineMs: 0 }));
  const refused = await client.connect(proxy, '127.0.0.1:1');
  assert.deepEqual([refused.status, await refused.text()], [403, 'not to that port\n']);
  const direct = await client.request(proxy);
  assert.deepEqual([direct.status, await direct.text()], [400, 'this is a proxy\n']);
  example.signal('SIGINT');
  const { code, stderr } = await example.ended();
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});
