/** Files over real sockets, in a folder with everything in it that may lead out of it. */

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';

import { Router } from '../../src/http/router.js';
import { type StaticOptions, staticFiles } from '../../src/http/static-files.js';
import { openDescriptors } from '../support/open-descriptors.js';
import { until } from '../support/until.js';
import { get, type HttpClient, HttpRig } from './rig.js';

const BIG = Buffer.alloc(1_000_000);
for (let i = 0; i < BIG.byteLength; i += 4) {
  BIG.writeUInt32BE(i, i);
}
let folder: string;
let root: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-static-'));
  root = join(folder, 'root');
  mkdirSync(join(root, 'sub'), { recursive: true });
  mkdirSync(join(root, 'empty'));
  mkdirSync(join(folder, 'root-too'));
  writeFileSync(join(folder, 'secret'), 'secret');
  writeFileSync(join(folder, 'root-too', 'secret'), 'secret');
  writeFileSync(join(root, 'index.html'), '<p>root');
  writeFileSync(join(root, 'sub', 'index.html'), '<p>sub');
  writeFileSync(join(root, 'a b ä.txt'), 'text');
  writeFileSync(join(root, '.hidden'), 'hidden');
  writeFileSync(join(root, 'none'), '');
  writeFileSync(join(root, 'big.bin'), BIG);
  writeFileSync(join(root, 'app.js'), 'let a;'.repeat(100));
  writeFileSync(join(root, 'app.js.gz'), zlib.gzipSync('let a;'.repeat(100)));
  writeFileSync(join(root, 'app.js.br'), zlib.brotliCompressSync('let a;'.repeat(100)));
  symlinkSync('index.html', join(root, 'inside'));
  symlinkSync('../secret', join(root, 'outside'));
  symlinkSync('..', join(root, 'up'));
  symlinkSync('../root-too', join(root, 'too'));
  symlinkSync('loop', join(root, 'loop'));
  execFileSync('mkfifo', [join(root, 'pipe')]);
});
after(() => rmSync(folder, { recursive: true }));

async function open(options?: StaticOptions): Promise<HttpClient> {
  const serveFile = await staticFiles(root, options);
  const rig = await HttpRig.open({
    onRequest: (request, response) => serveFile(request, response),
  });
  return rig.connect();
}

async function ask(client: HttpClient, path: string, ...fields: string[]) {
  await client.send(get(path, ...fields));
  return client.answer();
}

describe('staticFiles', () => {
  it('sends files and the index of folders', async () => {
    const client = await open();
    for (const [path, body, type] of [
      ['/', '<p>root', 'text/html; charset=utf-8'],
      ['/index.html', '<p>root', 'text/html; charset=utf-8'],
      ['/sub/', '<p>sub', 'text/html; charset=utf-8'],
      ['/a%20b%20%C3%A4.txt?x=y', 'text', 'text/plain; charset=utf-8'],
      ['/none', '', 'application/octet-stream'],
      ['/inside', '<p>root', 'application/octet-stream'],
      ['/big.bin', BIG.toString('latin1'), 'application/octet-stream'],
    ] as const) {
      const answer = await ask(client, path);
      assert.equal(answer.status, 200, path);
      assert.ok(answer.body === body, path);
      assert.equal(answer.fields.get('content-type'), type);
      assert.equal(answer.fields.get('content-length'), String(body.length));
    }
    const { status, fields } = await ask(client, '/sub?a=b');
    assert.deepEqual([status, fields.get('location')], [308, '/sub/?a=b']);
  });

  it('sends nothing that lies outside, is hidden, or is no file', async () => {
    const client = await open();
    for (const path of [
      '/../secret',
      '/%2e%2e/secret',
      '/sub/../../secret',
      '/..%2fsecret',
      '/%2e%2e%2fsecret',
      '/%252e%252e/secret',
      '/outside',
      '/up/secret',
      '/too/secret',
      '/loop',
      '/pipe',
      '/.hidden',
      '/%2ehidden',
      '/index.html%00',
      '/%00',
      '//index.html',
      '/sub//index.html',
      '/./index.html',
      '//etc/passwd',
      '/etc/passwd',
      '/%',
      '/%ff',
      '/index.html/',
      '/index.html/x',
      '/empty/',
      '/missing',
      `/${'x'.repeat(300)}`,
      '/%5c..%5csecret',
      '/..%5c..%5csecret',
      '/up',
      '//',
      '//evil.example/..',
    ]) {
      const { status, body } = await ask(client, path);
      assert.deepEqual([status, body], [404, ''], path);
    }
    for (const method of ['POST', 'PUT', 'DELETE']) {
      await client.send(get('/index.html').replace('GET', method));
      const { status, fields } = await client.answer();
      assert.deepEqual([status, fields.get('allow')], [405, 'GET, HEAD']);
    }
  });

  it('answers conditions and ranges', async () => {
    const client = await open({ maxAgeSeconds: 60, immutable: true });
    const { fields } = await ask(client, '/big.bin');
    const etag = fields.get('etag')!;
    assert.match(etag, /^"[0-9a-z]+-[0-9a-z]+"$/);
    assert.equal(fields.get('cache-control'), 'public, max-age=60, immutable');
    const same = await ask(client, '/big.bin', `If-None-Match: ${etag}`);
    assert.deepEqual([same.status, same.fields.get('etag')], [304, etag]);
    const since = `If-Modified-Since: ${fields.get('last-modified')}`;
    assert.equal((await ask(client, '/big.bin', since)).status, 304);
    assert.equal((await ask(client, '/big.bin', 'If-Match: "x"')).status, 412);
    for (const [range, start, end] of [
      ['0-9', 0, 10],
      ['999990-', 999_990, 1_000_000],
      ['-100000', 900_000, 1_000_000],
    ] as const) {
      const part = await ask(client, '/big.bin', `Range: bytes=${range}`, `If-Range: ${etag}`);
      assert.equal(part.status, 206);
      assert.equal(part.fields.get('content-range'), `bytes ${start}-${end - 1}/1000000`);
      assert.ok(part.body === BIG.toString('latin1', start, end));
    }
    const beyond = await ask(client, '/big.bin', 'Range: bytes=1000000-');
    assert.deepEqual([beyond.status, beyond.fields.get('content-range')], [416, 'bytes */1000000']);
    // Only GET has ranges.
    await client.send(get('/big.bin', 'Range: bytes=0-9').replace('GET', 'HEAD'));
    const head = await client.answer(true);
    assert.deepEqual([head.status, head.fields.get('content-length')], [200, '1000000']);
  });

  for (const sendFile of [true, false]) {
    it(`answers several ranges in parts, ${sendFile ? 'with' : 'without'} sendfile`, async () => {
      const client = await open({ rangesMax: 3, sendFile });
      const boundaries = new Set<string>();
      for (const ranges of [
        '0-9,999990-',
        '100000-399999,-100000,50-59',
        '0-99999,500000-500000',
      ]) {
        const answer = await ask(client, '/big.bin', `Range: bytes=${ranges}`);
        assert.equal(answer.status, 206);
        assert.equal(answer.fields.get('content-range'), undefined);
        assert.equal(answer.fields.get('content-length'), String(answer.body.length));
        const type = /^multipart\/byteranges; boundary=([0-9a-z-]{1,70})$/.exec(
          answer.fields.get('content-type')!,
        )!;
        boundaries.add(type[1]!);
        const pieces = `\r\n${answer.body}`.split(`\r\n--${type[1]}`);
        assert.deepEqual([pieces.shift(), pieces.pop()], ['', '--\r\n']);
        assert.equal(pieces.length, ranges.split(',').length);
        for (const piece of pieces) {
          const end = piece.indexOf('\r\n\r\n');
          const [, start, last] = /Content-Range: bytes (\d+)-(\d+)\/1000000/.exec(piece)!;
          assert.match(piece.slice(0, end), /Content-Type: application\/octet-stream/);
          assert.ok(
            piece.slice(end + 4) === BIG.toString('latin1', Number(start), Number(last) + 1),
          );
        }
      }
      assert.equal(boundaries.size, 3);
      const tooMany = await ask(client, '/big.bin', 'Range: bytes=0-0,200-200,400-400,600-600');
      assert.equal(tooMany.status, 200);
      assert.ok(tooMany.body === BIG.toString('latin1'));
      const one = await ask(client, '/big.bin', 'Range: bytes=0-9,5-19');
      assert.equal(one.fields.get('content-range'), 'bytes 0-19/1000000');
      assert.equal((await ask(client, '/big.bin', 'Range: bytes=1000000-,2000000-')).status, 416);
    });
  }

  it('keeps the order of pipelined answers, large ones among them', async () => {
    const client = await open();
    const paths = ['/index.html', '/big.bin', '/app.js', '/big.bin', '/none'];
    await client.send(paths.map((path) => get(path)).join(''));
    for (const length of [7, 1_000_000, 600, 1_000_000, 0]) {
      assert.equal((await client.answer()).body.length, length);
    }
  });

  it('sends the variant that the client likes best, of those that there are', async () => {
    const client = await open({ precompressed: ['zstd', 'br', 'gzip'] });
    for (const [accepted, coding] of [
      ['gzip, br, zstd', 'br'],
      ['gzip', 'gzip'],
      ['zstd', undefined],
      ['', undefined],
    ] as const) {
      const answer = await ask(client, '/app.js', `Accept-Encoding: ${accepted}`);
      assert.equal(answer.fields.get('content-encoding'), coding);
      assert.equal(answer.fields.get('content-type'), 'text/javascript; charset=utf-8');
      assert.equal(answer.fields.get('vary'), 'Accept-Encoding');
      const bytes = Buffer.from(answer.body, 'latin1');
      const plain =
        coding === 'br'
          ? zlib.brotliDecompressSync(bytes)
          : coding === 'gzip'
            ? zlib.gunzipSync(bytes)
            : bytes;
      assert.equal(plain.toString(), 'let a;'.repeat(100));
    }
  });

  it('works below a route, and leaves what is not there to others', async () => {
    const serveFile = await staticFiles(root, {
      index: '',
      dotFiles: true,
      otherwise: (_, response) => response.end('other'),
    });
    const router = new Router().get('/files/*path', (request, response) =>
      serveFile(request, response, request.path.slice('/files'.length)),
    );
    const client = await (await HttpRig.open({ onRequest: router.onRequest })).connect();
    assert.equal((await ask(client, '/files/.hidden')).body, 'hidden');
    assert.equal((await ask(client, '/files/sub/')).body, 'other');
    assert.equal((await ask(client, '/files/sub')).body, 'other');
    assert.equal((await ask(client, '/files/../secret')).body, 'other');
  });

  it('closes its files, also when the client goes, and when a file gets shorter', async () => {
    const client = await open();
    await ask(client, '/index.html');
    const shrinking = join(root, 'shrinking');
    writeFileSync(shrinking, Buffer.alloc(50_000_000));
    await client.send(get('/shrinking'));
    await client.raw.readable();
    truncateSync(shrinking, 10_000_000);
    // Cut off in the middle: whoever read all of it has all that there was.
    assert.ok((await client.rest().catch(() => '')).length < 50_000_000);
    const other = await open();
    writeFileSync(shrinking, Buffer.alloc(50_000_000));
    await other.send(get('/shrinking'));
    await other.raw.readable();
    other.raw.reset();
    client.raw.close();
    const isOpen = () => [...openDescriptors().values()].some((path) => path.startsWith(root));
    await until('the files to be closed', () => !isOpen());
  });

  it('rejects for a folder that is not there, and throws for wrong options', async () => {
    await assert.rejects(staticFiles(join(folder, 'missing')), { code: 'ENOENT' });
    await assert.rejects(staticFiles(root, { maxAgeSeconds: -1 }), RangeError);
    await assert.rejects(staticFiles(root, { rangesMax: 0 }), RangeError);
  });

  it('curl continues a download', async () => {
    const serveFile = await staticFiles(root);
    const { url } = await HttpRig.open({
      onRequest: (request, response) => serveFile(request, response),
    });
    const args = ['-s', '-S', '--max-time', '30', '-C', '500000', `${url}/big.bin`];
    const { stdout } = await promisify(execFile)('curl', args, {
      encoding: 'buffer',
      maxBuffer: 2e6,
    });
    assert.ok(stdout.equals(BIG.subarray(500_000)));
  });
});
