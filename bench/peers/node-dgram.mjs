// Peer: one process, one thread, node:dgram, with what it needs and nothing more. Prints "listening PORT".
import { createSocket } from 'node:dgram';

const socket = createSocket('udp4');
socket.on('message', (bytes, { port, address }) => {
  socket.send(bytes, 0, bytes.length, port, address);
});
socket.on('error', () => {});
socket.bind(0, '127.0.0.1', () => {
  process.stdout.write(`listening ${socket.address().port}\n`);
});
