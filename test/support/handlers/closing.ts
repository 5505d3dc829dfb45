/** Ends its connections with as much unsent output as the peer orders, in the way that it orders. */

import type { Action, Connection, Handler, Reactor, WriteResult } from '../../../src/index.js';
import { noise } from '../noise.js';
import { hello, observed } from '../observed.js';
import { CODES, ENDINGS, type Ending, ORDER_BYTES, SEED } from './closing-order.js';

export interface ClosingData {
  /** One cell for each of `CODES`. */
  readonly memory: SharedArrayBuffer;
}

interface Context {
  ending: Ending | undefined;
}

/** Too large to be copied, and so small that 8 MiB of them are more than IOV_MAX. */
const PIECE_BYTES = 2_500;

/** Arrays given away, and given back. */
let owned = 0;
let freed = 0;

export function handler({ memory }: ClosingData): Handler {
  const cells = new Int32Array(memory);
  owned = 0;
  freed = 0;
  return observed({
    onOpen(connection) {
      connection.context = { ending: undefined } satisfies Context;
      connection.write(hello(connection));
    },
    onData(connection, bytes) {
      const context = connection.context as Context;
      if (context.ending === 'echo') {
        connection.write(bytes);
      } else if (context.ending === undefined) {
        if (bytes.byteLength < ORDER_BYTES) {
          throw new Error('An order came in pieces: tests send it in one');
        }
        context.ending = ENDINGS[bytes[0]!]!;
        if (context.ending === 'echo') {
          connection.write(bytes.subarray(ORDER_BYTES));
        }
        return carryOut(connection, context.ending, noise(SEED, bytes.readUInt32BE(1)));
      }
      return undefined;
    },
    onClose(_connection, { code }) {
      Atomics.add(cells, CODES.indexOf(code), 1);
    },
    tasks: {
      stateOf: (reactor: Reactor, id: number) => reactor.find(id)?.state ?? 'none',
      queuedBytesOf: (reactor: Reactor, id: number) => reactor.find(id)?.queuedBytes ?? 0,
      isPaused: (reactor: Reactor, id: number) => reactor.find(id)?.isPaused ?? false,
      owned: () => ({ owned, freed }),
    },
  });
}

function carryOut(connection: Connection, ending: Ending, output: Buffer): Action {
  switch (ending) {
    case 'close':
      demand(connection.write(output));
      connection.close();
      break;
    case 'action':
      giveAway(connection, output);
      return 'close';
    case 'close later': {
      const half = output.byteLength >> 1;
      demand(connection.writev([output.subarray(0, half), output.subarray(half)]));
      connection.reactor.execute(() => connection.close());
      break;
    }
    case 'close corked':
      connection.cork();
      demand(connection.write(output));
      connection.close();
      break;
    case 'close pieces':
      connection.cork();
      for (let at = 0; at < output.byteLength; at += PIECE_BYTES) {
        giveAway(connection, output.subarray(at, at + PIECE_BYTES));
      }
      connection.uncork();
      connection.close();
      break;
    case 'close paused':
      demand(connection.write(output));
      connection.pause();
      connection.reactor.execute(() => connection.close());
      break;
    case 'end':
      demand(connection.write(output));
      connection.end();
      break;
    case 'abort':
      giveAway(connection, output);
      connection.abort();
      break;
    case 'paused':
      demand(connection.write(output));
      connection.pause();
      break;
    default:
  }
  return 'none';
}

function giveAway(connection: Connection, bytes: Buffer): void {
  owned += 1;
  demand(
    connection.writeOwned(bytes, () => {
      freed += 1;
    }),
  );
}

function demand(result: WriteResult): void {
  if (result !== 'sent' && result !== 'queued') {
    throw new Error(`The output is ${result}`);
  }
}
