/** ClientHellos as real clients send them, and everything else: read without a throw. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import tls from 'node:tls';

import fc from 'fast-check';

import { type ClientHello, HELLO_BYTES_MAX, readClientHello } from '../../src/tls/client-hello.js';

/** What node:tls sends first. */
async function helloOf(options: tls.ConnectionOptions & tls.TLSSocketOptions): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = tls.connect({ port, host: '127.0.0.1', ...options });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  let bytes = Buffer.alloc(0);
  while (readClientHello(bytes) === 'incomplete') {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    bytes = Buffer.concat([bytes, chunk]);
  }
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

const samples = {
  named: await helloOf({ servername: 'Some.Example.ORG' }),
  ocsp: await helloOf({ servername: 'b.test', requestOCSP: true, ALPNProtocols: ['h2', 'x'] }),
  old: await helloOf({ servername: 'b.test', maxVersion: 'TLSv1.2' }),
  bare: await helloOf({}),
};

function assertHello(bytes: Buffer): ClientHello {
  const hello = readClientHello(bytes);
  assert.notEqual(typeof hello, 'string', String(hello));
  return hello as ClientHello;
}

/** One handshake message in records of `size` bytes of it. */
function fragmented(record: Buffer, size: number): Buffer {
  const message = record.subarray(5);
  const pieces: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const piece = message.subarray(at, at + size);
    pieces.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 0xff]), piece);
  }
  return Buffer.concat(pieces);
}

function vector(size: 1 | 2, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(size);
  length.writeUIntBE(body.length, 0, size);
  return Buffer.concat([length, body]);
}

function extension(type: number, ...parts: Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 0xff]), vector(2, ...parts)]);
}

function built(...extensions: Buffer[]): Buffer {
  const body = Buffer.concat([
    ...[
      Buffer.alloc(34),
      vector(1),
      vector(2, Buffer.from([0x13, 1])),
      vector(1, Buffer.from([0])),
    ],
    vector(2, ...extensions),
  ]);
  const message = Buffer.concat([Buffer.from([1, 0]), vector(2, body)]);
  return Buffer.concat([Buffer.from([22, 3, 1]), vector(2, message)]);
}

function nameExtension(name: string, type = 0): Buffer {
  return extension(0, vector(2, Buffer.from([type]), vector(2, Buffer.from(name, 'latin1'))));
}

describe('readClientHello()', () => {
  it('finds the name, in lower case, and the wish for an OCSP response', () => {
    assert.equal(assertHello(samples.named).serverName, 'some.example.org');
    assert.equal(assertHello(samples.named).wantsOcsp, false);
    assert.equal(assertHello(samples.ocsp).wantsOcsp, true);
    assert.equal(assertHello(samples.old).serverName, 'b.test');
    assert.equal(assertHello(samples.bare).serverName, undefined);
    assert.deepEqual(assertHello(samples.named).ticketKeyNames, []);
  });

  it('is incomplete up to the last byte, however the message is cut into records', () => {
    for (const sample of [samples.named, samples.ocsp, samples.old]) {
      for (const size of [1, 3, 4, 5, 100, 4_000]) {
        const bytes = fragmented(sample, size);
        const whole = readClientHello(bytes);
        assert.deepEqual(whole, readClientHello(sample), `records of ${size} bytes`);
        for (let n = 0; n < bytes.length; n += size === 1 ? 7 : 1) {
          assert.equal(readClientHello(bytes.subarray(0, n)), 'incomplete', `${n} of ${size}`);
        }
      }
    }
  });

  it('does not look at what follows the message', () => {
    const more = Buffer.concat([samples.named, Buffer.from('anything')]);
    assert.deepEqual(readClientHello(more), readClientHello(samples.named));
  });

  it('gives the key names of tickets of both versions', () => {
    const a = Buffer.alloc(60, 'a');
    const b = Buffer.alloc(60, 'b');
    assert.deepEqual(assertHello(built(extension(35, a))).ticketKeyNames, [a.subarray(0, 16)]);
    const age = Buffer.alloc(4);
    const identities = vector(2, vector(2, a), age, vector(2, b), age);
    const offered = built(extension(41, identities, vector(2, vector(1, Buffer.alloc(32)))));
    assert.deepEqual(assertHello(offered).ticketKeyNames, [a.subarray(0, 16), b.subarray(0, 16)]);
    assert.deepEqual(assertHello(built(extension(35))).ticketKeyNames, []);
  });

  it('takes no name that is none', () => {
    assert.equal(assertHello(built(nameExtension('a.test.'))).serverName, 'a.test');
    for (const name of ['', 'a\0.test', 'a b', '\xe4.test', 'x'.repeat(254)]) {
      assert.equal(assertHello(built(nameExtension(name))).serverName, undefined, name);
    }
    assert.equal(assertHello(built(nameExtension('a.test', 1))).serverName, undefined);
    // The inner length says more than there is.
    const cut = extension(0, Buffer.from([0, 9, 0, 0, 6]), Buffer.from('a.t'));
    assert.equal(assertHello(built(cut)).serverName, undefined);
  });

  it('leaves to OpenSSL what is no ClientHello', () => {
    const invalid = [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from([23, 3, 3, 0, 1, 1]),
      Buffer.from([22, 2, 0, 0, 4, 1, 0, 0, 0]),
      Buffer.from([22, 3, 1, 0, 0]),
      Buffer.from([22, 3, 1, 0xff, 0xff]),
      Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0]),
      Buffer.from([22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff]),
    ];
    for (const bytes of invalid) {
      assert.equal(readClientHello(bytes), 'invalid', bytes.toString('hex'));
    }
    const size = HELLO_BYTES_MAX - 3;
    assert.equal(
      readClientHello(Buffer.from([22, 3, 1, 0, 4, 1, 0, size >> 8, size & 0xff])),
      'invalid',
    );
  });

  it('never throws, whatever is changed in a real one', () => {
    const sources = Object.values(samples);
    const change = fc.record({ at: fc.nat(2_000), to: fc.nat(255) });
    fc.assert(
      fc.property(
        fc.constantFrom(...sources),
        fc.array(change, { minLength: 1, maxLength: 20 }),
        fc.option(fc.nat(2_000)),
        (source, changes, length) => {
          const bytes = Buffer.from(source);
          for (const { at, to } of changes) {
            bytes[at % bytes.length] = to;
          }
          const cut = length === null ? bytes : bytes.subarray(0, length);
          const before = Buffer.from(cut);
          readClientHello(cut);
          assert.deepEqual(cut, before, 'the bytes are not changed');
        },
      ),
      { numRuns: 20_000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        readClientHello(Buffer.concat([Buffer.from([22, 3, 1, 1, 44, 1, 0, 1, 40]), bytes]));
      }),
      { numRuns: 5_000 },
    );
  });
});
