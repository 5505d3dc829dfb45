/** `millrace/http` as programs load it: by its name, from the published files. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

const ROOT = join(import.meta.dirname, '../../..');

/** Runs a module in the package's folder, where the package finds itself by its name. */
function run(code: string): string {
  const args = ['--input-type=module', '-e', code];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

describe('millrace/http', () => {
  it('exports what it says, and nothing else', () => {
    const names = run("console.log(Object.keys(await import('millrace/http')).sort().join())");
    assert.deepEqual(names.split(','), [
      'CODINGS',
      'EventStream',
      'HttpClient',
      'HttpClientError',
      'Router',
      'encodeEvent',
      'encodeProxyHeader',
      'formatHttpDate',
      'httpHandler',
      'parseHttpDate',
      'prepareFields',
      'proxyHeaderOf',
      'proxyProtocol',
      'sendCompressed',
      'sendWebResponse',
      'staticFiles',
      'webHandler',
    ]);
  });

  it('the example of the manual works', () => {
    const manual = readFileSync(join(ROOT, 'docs/http.md'), 'utf8');
    const [, example] = /```js\n([\s\S]*?)```/.exec(manual)!;
    const program = `${example!.replace(':8080', ':0')}
      const url = server.addresses[0].replace('tcp', 'http');
      const ask = async (path, init) => (await fetch(url + path, init)).text();
      console.log(await ask('/plaintext'), await ask('/users/a%20b'));
      console.log(await ask('/echo', { method: 'POST', body: 'hello' }));
      process.kill(process.pid, 'SIGTERM');`;
    assert.equal(run(program), 'Hello, World! user a b\nhello');
  });
});
