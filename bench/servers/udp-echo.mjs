// A UDP echo server of millrace: `node udp-echo.mjs [epoll|uring] [sessions|gro]`; prints "listening PORT".
import { closeOnSignals, serve } from '../../dist/index.js';

const [driver = 'auto', kind] = process.argv.slice(2);
const server = await serve({
  listen: 'udp://127.0.0.1:0',
  driver,
  datagram: { sessions: kind === 'sessions', gro: kind === 'gro' },
  handler: {
    onDatagram(socket, bytes, peer) {
      socket.send(bytes, peer);
    },
    onSessionData(session, bytes) {
      session.send(bytes);
    },
  },
});
closeOnSignals(server);
process.stdout.write(`listening ${new URL(server.addresses[0]).port}\n`);
