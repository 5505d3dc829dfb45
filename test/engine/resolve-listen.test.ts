/** Listen addresses become numeric. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { formatAddress, parseAddress } from '../../src/base/address.js';
import { resolveListen } from '../../src/engine/resolve-listen.js';

const resolveUrls = async (...urls: string[]) =>
  (await resolveListen(urls.map((url) => parseAddress(url)))).map((address) =>
    formatAddress(address),
  );

it('what is numeric or has no host stays as it is, in order', async () => {
  const urls = [
    'unix:///a/b',
    'tcp://127.0.0.1:80',
    'fd://3',
    'tcp6://[::1]:81',
    'unix-abstract://name',
    'systemd://web',
  ];
  assert.deepEqual(await resolveUrls(...urls), urls);
  assert.deepEqual(await resolveUrls(), []);
});

it('a name becomes all the addresses that it means, of the family asked for', async () => {
  const all = await resolveUrls('tcp://localhost:80');
  assert.ok(
    all.length > 0 && all.every((url) => /^tcp:\/\/(127\.0\.0\.1|\[::1\]):80$/.test(url)),
    all.join(),
  );
  assert.deepEqual(await resolveUrls('tcp4://localhost:80'), ['tcp4://127.0.0.1:80']);
});
