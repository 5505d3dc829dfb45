/**
 * Typed messages over TCP: a store of keys, in JSON after a length of four bytes.
 *
 *     node examples/frames.mjs [LISTEN-URL]           serves, on tcp://127.0.0.1:9004
 *     node examples/frames.mjs --ask URL key [value]  gets or sets a key, and prints the answer
 */

import { closeOnSignals, dial, serve } from 'millrace';
import { framed, jsonCodec, lengthField } from 'millrace/codec';

/**
 * @typedef {{ key: string, value?: unknown }} Request
 * @typedef {{ key: string, value: unknown } | { error: string }} Response
 */

const framing = lengthField({ maxFrameBytes: 65_536 });
const KEYS_MAX = 10_000;

async function start(/** @type {string} */ listen) {
  /** @type {Map<string, unknown>} */
  const store = new Map();
  /** @type {import('millrace/codec').Codec<Request, Response>} */
  const codec = jsonCodec(framing);
  const handler = framed(codec, {
    onFrame(connection, request) {
      const { key, value } = request ?? {};
      if (typeof key !== 'string') {
        connection.send({ error: 'expected a key' });
      } else if (value !== undefined && !store.has(key) && store.size >= KEYS_MAX) {
        connection.send({ error: 'no more keys' });
      } else {
        if (value !== undefined) store.set(key, value);
        connection.send({ key, value: store.get(key) ?? null });
      }
    },
    onFrameError(connection, error) {
      connection.send({ error: error.message });
      // The next frame may be better, unless nobody knows where it begins.
      return error.code === 'ERR_FRAME_DECODE' ? 'skip' : 'close';
    },
  });
  const server = await serve({ listen, handler, idleTimeoutMs: 60_000 });
  console.log(`frames: listening on ${server.addresses.join(', ')}`);
  closeOnSignals(server);
}

async function ask(
  /** @type {string} */ url,
  /** @type {string} */ key,
  /** @type {string | undefined} */ value,
) {
  /** @type {import('millrace/codec').Codec<Response, Request>} */
  const codec = jsonCodec(framing);
  const handler = framed(codec, {
    onFrame(connection, response) {
      console.log(JSON.stringify(response));
      connection.close();
    },
  });
  const connection = await dial(url, { handler });
  handler.of(connection).send(value === undefined ? { key } : { key, value });
  await connection.closed();
}

const [first = 'tcp://127.0.0.1:9004', url = '', key = '', value] = process.argv.slice(2);
await (first === '--ask' ? ask(url, key, value) : start(first));
