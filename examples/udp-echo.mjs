/**
 * UDP, plain and with sessions: sends back what it receives; or, with `--sessions`, greets each new peer and says
 * goodbye to the log when it has been silent for a while.
 *
 *     node examples/udp-echo.mjs [--sessions] [listen URL …]     such as udp://127.0.0.1:9000
 *     nc -u 127.0.0.1 9000
 */
// @ts-check

import { closeOnSignals, serve } from 'millrace';

const args = process.argv.slice(2);
const hasSessions = args[0] === '--sessions';
const urls = hasSessions ? args.slice(1) : args;

const server = await serve({
  listen: urls.length > 0 ? urls : ['udp://127.0.0.1:9000'],
  datagram: { sessions: hasSessions && { idleTimeoutMs: 10_000, max: 10_000 } },
  handler: {
    // `bytes` and `peer` are borrowed: what is sent is copied, and `peer.keep()` gives one that stays.
    onDatagram(socket, bytes, peer) {
      socket.send(bytes, peer);
    },

    onSessionOpen(session) {
      session.context = 0;
      session.send(`hello ${session.remoteAddress}\n`);
    },
    onSessionData(session, bytes) {
      session.context = Number(session.context) + 1;
      session.send(bytes);
    },
    onSessionClose(session, reason) {
      console.log(`${session.remoteAddress}: ${session.context} datagrams, ${reason.code}`);
    },

    // A peer that is gone: its host has answered that nobody listens there.
    onDatagramError(_socket, error) {
      console.error(`udp-echo: ${error.message}`);
    },
  },
});

console.log(`udp-echo: listening on ${server.addresses.join(', ')}`);
closeOnSignals(server);
