/**
 * Remote calls: frames of a 32-bit length and JSON, answered as they get ready, not in the order of the questions.
 *
 *     node examples/rpc.mjs [listen URL]
 *     node examples/rpc.mjs --call URL           calls that server and prints the answers
 */
// @ts-check

import { setTimeout as sleep } from 'node:timers/promises';

import { closeOnSignals, dial, serve } from 'millrace';

/** @typedef {import('millrace').Connection<any>} Connection */

/** The largest frame, and the most calls of one connection that may be under way. */
const FRAME_MAX = 65_536;
const CALLS_MAX = 100;

/** What can be called. @type {Record<string, (argument: any) => unknown>} */
const methods = { add: ([a, b]) => a + b, later: (text) => sleep(200, text) };
/** What `--call` asks. */
const questions = Object.entries({ later: 'asked first', add: [1, 2], divide: [1, 0] });

/** Takes each whole frame that is there, as text. @param {Connection} connection */
function* frames({ reader }) {
  for (let head = reader.peek(4); head !== undefined; head = reader.peek(4)) {
    const length = head.readUInt32BE();
    // A hook that throws costs its connection, and is told as a warning.
    if (length > FRAME_MAX) throw new RangeError(`A frame of ${length} bytes`);
    if (reader.length < 4 + length) return;
    reader.skip(4);
    yield reader.readString(length) ?? '';
  }
}

/** @param {Connection} connection @param {object} message */
function send(connection, message) {
  const text = JSON.stringify(message);
  connection.writer.writeUint32(Buffer.byteLength(text));
  connection.writer.writeString(text);
  // Who asks and does not read the answers is cut off.
  if (connection.writer.flush() === 'full') connection.abort();
}

/** Never throws, whatever the peer sends. @param {Connection} connection @param {string} text */
async function answer(connection, text) {
  let id;
  try {
    const call = JSON.parse(text);
    id = call.id;
    if (!Object.hasOwn(methods, call.method)) throw new Error(`there is no ${call.method}`);
    send(connection, { id, result: await methods[call.method]?.(call.argument) });
  } catch (error) {
    send(connection, { id, error: String(error) });
  }
  connection.context -= 1;
  connection.resume();
}

/** @param {Connection} connection Its context: how many of its calls are under way. */
function onCalls(connection) {
  for (const text of frames(connection)) {
    connection.context = (connection.context ?? 0) + 1;
    void answer(connection, text);
    // Called again after `resume`, as something may be left to read.
    if (connection.context >= CALLS_MAX) return connection.pause();
  }
}

/** @param {Connection} connection Its context: how many answers are to come. */
function onAnswers(connection) {
  for (const text of frames(connection)) {
    console.log(text);
    connection.context -= 1;
    if (connection.context === 0) connection.close();
  }
}

const [option = 'tcp://127.0.0.1:9002', url = 'tcp://127.0.0.1:9002'] = process.argv.slice(2);
if (option === '--call') {
  const options = { handler: { onReadable: onAnswers }, context: questions.length };
  const connection = await dial(url, options);
  for (const [method, argument] of questions) send(connection, { id: method, method, argument });
} else {
  const server = await serve({ listen: option, handler: { onReadable: onCalls } });
  console.log(`rpc: listening on ${server.addresses.join(', ')}`);
  closeOnSignals(server);
}
