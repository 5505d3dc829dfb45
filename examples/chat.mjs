/**
 * A chat of lines over several reactors: what one says, all read, whichever thread their connection lives in. The first
 * line is one's name.
 *
 *     node examples/chat.mjs [listen URL]
 *     nc 127.0.0.1 9001
 *
 * This file is both: the main program, and the module that each reactor's thread loads for its `handler`.
 */
// @ts-check

import { isMainThread } from 'node:worker_threads';

import { closeOnSignals, serve } from 'millrace';

/** The most bytes of a line, and the most that may wait for somebody who does not read. */
const LINE_MAX = 1_024;
const UNREAD_MAX = 65_536;

/** @type {import('millrace').Handler<string | undefined>} */
export const handler = {
  onOpen(connection) {
    connection.write('What is your name?\n');
  },

  // Pull style: what is no whole line yet stays in the reader.
  onReadable(connection) {
    const { reader } = connection;
    for (let line = reader.until('\n'); line !== undefined; line = reader.until('\n')) {
      if (line.length > LINE_MAX) return tooLong(connection);
      hear(connection, line);
    }
    if (reader.length > LINE_MAX) return tooLong(connection);
  },

  onClose(connection) {
    if (connection.context !== undefined) tellAll(connection, `* ${connection.context} left`);
  },

  // What `tellAll` sent arrives here, in each reactor, which writes it to its own connections. One that is full is
  // closed by `whenFull`: who does not read does not make the others wait.
  onMessage(reactor, bytes) {
    for (const connection of reactor.connections()) {
      if (connection.context !== undefined) connection.write(bytes);
    }
  },
};

/** @param {import('millrace').Connection<string | undefined>} connection @param {Buffer} line */
function hear(connection, line) {
  // Control characters could do things to the others' terminals.
  const text = `${line}`.replace(/\p{Cc}+/gu, ' ').trim();
  if (connection.context === undefined) {
    connection.context = text.slice(0, 20) || 'somebody';
    tellAll(connection, `* ${connection.context} is here`);
  } else if (!tellAll(connection, `${connection.context}: ${text}`)) {
    connection.write('* not everybody got that, say it again later\n');
  }
}

/** @param {import('millrace').Connection} connection @param {string} line */
function tellAll({ reactor }, line) {
  return reactor.broadcast(Buffer.from(`${line}\n`));
}

/** @param {import('millrace').Connection} connection @returns {import('millrace').Action} */
function tooLong(connection) {
  connection.write(`* a line has at most ${LINE_MAX} bytes\n`);
  return 'close';
}

// Not in the threads, and not for `millrace run examples/chat.mjs`: these want the handler alone.
if (isMainThread && process.argv[1] === import.meta.filename) {
  const server = await serve({
    listen: process.argv[2] ?? 'tcp://127.0.0.1:9001',
    handler: new URL(import.meta.url),
    reactors: 2,
    writeQueueMax: UNREAD_MAX,
    whenFull: 'close',
  });
  console.log(`chat: listening on ${server.addresses.join(', ')}`);
  closeOnSignals(server);
}
