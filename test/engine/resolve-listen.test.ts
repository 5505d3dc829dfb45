/** Listen addresses become numeric. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { formatAddress } from '../../src/base/address.js';
import {
  datagramAddressUrl,
  isDatagramAddress,
  parseListenAddress,
} from '../../src/base/datagram-address.js';
import { resolveListen } from '../../src/engine/resolve-listen.js';

const resolveUrls = async (...urls: string[]) =>
  (await resolveListen(urls.map((url) => parseListenAddress(url)))).map((address) =>
    isDatagramAddress(address) ? datagramAddressUrl(address) : formatAddress(address),
  );

it('what is numeric or has no host stays as it is, in order', async () => {
  const urls = [
    'unix:///a/b',
    'tcp://127.0.0.1:80',
    'fd://3',
    'tcp6://[::1]:81',
    'unix-abstract://name',
    'systemd://web',
    'udp://127.0.0.1:53',
    'udp6://[::1]:53',
    'unixgram:///a/b',
    'seqpacket-abstract://name',
  ];
  assert.deepEqual(await resolveUrls(...urls), urls);
  assert.deepEqual(await resolveUrls(), []);
});

it('a name of a datagram address, too', async () => {
  assert.deepEqual(await resolveUrls('udp4://localhost:53'), ['udp4://127.0.0.1:53']);
});

it('a name becomes all the addresses that it means, of the family asked for', async () => {
  const all = await resolveUrls('tcp://localhost:80');
  assert.ok(
    all.length > 0 && all.every((url) => /^tcp:\/\/(127\.0\.0\.1|\[::1\]):80$/.test(url)),
    all.join(),
  );
  assert.deepEqual(await resolveUrls('tcp4://localhost:80'), ['tcp4://127.0.0.1:80']);
});
