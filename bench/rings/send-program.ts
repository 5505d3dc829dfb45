/**
 * The sender of the zero-copy part as a program of its own, so that it has a core and its CPU time to itself:
 *
 *     node send-program.js (tcp|udp) tcp://127.0.0.1:4711 STREAMS BUFFERS BYTES_MAX
 *
 * "run KIND BYTES SECONDS" on standard input is one slice, answered with a line of JSON (`SendReport`).
 */
import { createInterface } from 'node:readline';
import { encodeSockaddr, parseAddress } from '../../src/base/address.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { SEND_KINDS } from './send-kinds.js';
import { SendLoop } from './send-loop.js';

const [protocol, address = '', ...numbers] = process.argv.slice(2);
const [streams = 0, buffers = 0, bytesMax = 0] = numbers.map(Number);
const sockaddr = encodeSockaddr(parseAddress(address));
const isDatagram = protocol === 'udp';
const options = { sockaddr, isDatagram, streams, buffers, bytesMax };
const loop = new SendLoop(new LinuxKernel(), options);
process.stdout.write('{"mode":"ready"}\n');

for await (const line of createInterface({ input: process.stdin })) {
  const [, name, bytes, seconds] = line.split(' ');
  const kind = SEND_KINDS.find((known) => known === name);
  if (kind === undefined) throw new TypeError(`not a command: ${line}`);
  const report = await loop.run(kind, Number(bytes), Number(seconds));
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
loop.close();
