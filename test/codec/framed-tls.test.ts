/** Frames under TLS: nothing of the codec knows of it. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { encodeFrame, type FramedConnection, framed, lengthField } from '../../src/codec/index.js';
import { certificates } from '../support/tls-pair.js';
import { checkLeaks, NodeClient, startTls } from '../support/tls-rig.js';

checkLeaks();

it('frames of all sizes come back, a pause between each two', async () => {
  const codec = lengthField({ lengthBytes: 3, maxFrameBytes: 400_000 });
  const handler = framed<Buffer, Uint8Array | string>(codec, {
    onFrame(connection: FramedConnection<Uint8Array | string>, frame) {
      connection.send(frame);
      connection.pause();
      connection.connection.setTimer(1, () => connection.resume());
    },
  });
  const rig = await startTls(certificates, handler);
  const client = await NodeClient.connect(rig.port, {
    ca: certificates.ca.cert,
    servername: 'localhost',
  });
  const stream = Buffer.concat(
    [0, 1, 100, 16_384, 70_000, 3, 399_997, 2].map((n) =>
      encodeFrame(codec, Buffer.alloc(n, 'frame')),
    ),
  );
  client.socket.write(stream);
  assert.ok((await client.read(stream.byteLength)).equals(stream));
  assert.equal(handler.frameStats.framesReceived, 8);
});
