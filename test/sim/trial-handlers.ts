/**
 * Handlers for trials, one drawn by each seed. Whatever they do, what a peer gets is a prefix of a known stream: its
 * own (an echo) or, from sources, that of its number with all bits of SOURCE flipped.
 */

import type { Action, Connection, Handler } from '../../src/api.js';
import type { Random } from './random.js';
import { type Entry, entryOf, type Ledger, NONCE_BYTES, streamBytes } from './trial-ledger.js';

export const SOURCE = 0x5a5a5a5a;
const FRAME_BYTES = 37;
const CHAOS = 'chaos';

export const KINDS = [
  'echo',
  'pull',
  'framed',
  'sink',
  'source',
  'replier',
  'corker',
  'pauser',
  'chaos',
  'receipts',
  'before-write',
  'proxy',
] as const;
export type Kind = (typeof KINDS)[number];

/** Whether peers get the source's stream rather than their own back. */
export function sends(kind: Kind): boolean {
  return kind === 'source' || kind === 'replier';
}

export function isChaos(error: unknown): boolean {
  return error instanceof Error && error.message === CHAOS;
}

/** What all kinds share: the ledger's checks. */
function base(ledger: Ledger): Handler {
  return {
    onOpen(connection) {
      ledger.open(connection);
    },
    onDrain(connection) {
      entryOf(connection).alive('drain');
    },
    onEnd(connection) {
      const entry = entryOf(connection);
      entry.alive('end');
      entry.ended += 1;
    },
    onClose(connection, reason) {
      entryOf(connection).close(reason);
    },
  };
}

/** Writes back; when the queue is full there is no going on without a gap. */
function echo(entry: Entry, bytes: Uint8Array): void {
  const { connection } = entry;
  const result = entry.wrote(connection.write(bytes), bytes.byteLength);
  if (result === 'full') {
    finish(entry);
    connection.close();
  }
}

function finish(entry: Entry): void {
  entry.isFinished = true;
}

/** Writes the source's stream as far as the queue takes it. */
function pump(entry: Entry): void {
  const { connection } = entry;
  while (entry.written < entry.goal) {
    const n = Math.min(entry.goal - entry.written, 700);
    const bytes = streamBytes(entry.nonce ^ SOURCE, entry.written, n);
    const result = entry.wrote(connection.write(bytes), n);
    if (result === 'full' || result === 'closed') {
      return;
    }
    entry.written += n;
  }
  connection.end();
}

export function makeHandler(kind: Kind, ledger: Ledger, random: Random, bytesMax: number): Handler {
  const common = base(ledger);
  switch (kind) {
    case 'pull':
      return pulls(common, (entry) => pull(entry, random));
    case 'framed':
      return pulls(common, frame);
    case 'sink':
      return { ...common, onData: (connection, bytes) => entryOf(connection).take(bytes) };
    case 'source':
      return source(common, random, bytesMax);
    case 'replier':
      return replier(common, random, bytesMax);
    case 'corker':
      return { ...common, onData: (connection, bytes) => cork(entryOf(connection), bytes, random) };
    case 'pauser':
      return { ...common, onData: (connection, bytes) => pause(connection, bytes, random) };
    case 'chaos':
      return chaos(common, random);
    case 'receipts':
      return { ...common, onData: (connection, bytes) => receipt(entryOf(connection), bytes) };
    case 'before-write':
      return beforeWrite(common);
    default:
      return { ...common, onData: (connection, bytes) => take(entryOf(connection), bytes) };
  }
}

function take(entry: Entry, bytes: Uint8Array): void {
  entry.take(bytes);
  echo(entry, bytes);
}

/** A handler that may leave a rest unread. */
function pulls(common: Handler, read: (entry: Entry) => void): Handler {
  return {
    ...common,
    onOpen(connection) {
      common.onOpen!(connection);
      entryOf(connection).readsAll = false;
    },
    onReadable: (connection) => read(entryOf(connection)),
  };
}

function pull(entry: Entry, random: Random): void {
  const { reader } = entry.connection;
  const bytes = reader.next(random.between(0, reader.length));
  if (bytes !== undefined && bytes.byteLength > 0) {
    take(entry, bytes);
  }
}

function frame(entry: Entry): void {
  const bytes = entry.connection.reader.next(FRAME_BYTES);
  if (bytes !== undefined) {
    take(entry, bytes);
  }
}

function source(common: Handler, random: Random, bytesMax: number): Handler {
  return {
    ...common,
    onData(connection, bytes) {
      const entry = entryOf(connection);
      const before = entry.received;
      entry.take(bytes);
      if (before < NONCE_BYTES && entry.nonce >= 0) {
        entry.goal = random.between(0, bytesMax);
        pump(entry);
      }
    },
    onDrain(connection) {
      entryOf(connection).alive('drain');
      pump(entryOf(connection));
    },
  };
}

function replier(common: Handler, random: Random, bytesMax: number): Handler {
  return {
    ...common,
    onData: (connection, bytes) => entryOf(connection).take(bytes),
    onEnd(connection) {
      const entry = entryOf(connection);
      entry.alive('end');
      entry.ended += 1;
      if (entry.nonce < 0) {
        connection.end();
        return;
      }
      entry.goal = random.between(0, bytesMax);
      connection.setTimer(random.between(0, 20), () => pump(entry));
    },
    onDrain(connection) {
      entryOf(connection).alive('drain');
      pump(entryOf(connection));
    },
  };
}

function cork(entry: Entry, bytes: Uint8Array, random: Random): void {
  entry.take(bytes);
  const { connection } = entry;
  const half = bytes.byteLength >> 1;
  const first = Buffer.from(bytes.subarray(0, half));
  const second = Buffer.from(bytes.subarray(half));
  const isCorked = random.chance(0.5);
  if (isCorked) {
    connection.cork();
  }
  const way = random.below(3);
  if (way === 0) {
    echo(entry, first);
    if (!entry.isFinished) {
      echo(entry, second);
    }
  } else if (way === 1) {
    refuse(entry, entry.wrote(connection.writev([first, second]), bytes.byteLength));
  } else {
    own(entry, first);
    if (!entry.isFinished) {
      own(entry, second);
    }
  }
  if (isCorked) {
    connection.uncork();
  }
}

function own(entry: Entry, bytes: Buffer): void {
  const before = entry.freed;
  entry.owned += 1;
  const result = entry.connection.writeOwned(bytes, () => {
    entry.freed += 1;
  });
  entry.wrote(result, bytes.byteLength);
  if ((result === 'full' || result === 'closed') && entry.freed === before) {
    entry.owned -= 1;
  }
  refuse(entry, result);
}

function refuse(entry: Entry, result: string): void {
  if (result === 'full') {
    finish(entry);
    entry.connection.close();
  }
}

function pause(connection: Connection, bytes: Uint8Array, random: Random): void {
  take(entryOf(connection), bytes);
  if (random.chance(0.5)) {
    connection.pause();
    connection.setTimer(random.between(0, 30), () => connection.resume());
  }
  if (random.chance(0.1)) {
    connection.wake();
  }
}

function chaos(common: Handler, random: Random): Handler {
  const act = (entry: Entry): Action | undefined => {
    if (!random.chance(0.15)) {
      return undefined;
    }
    finish(entry);
    switch (random.below(4)) {
      case 0:
        entry.connection.close();
        return undefined;
      case 1:
        entry.connection.abort();
        return undefined;
      case 2:
        return 'close';
      default:
        throw new Error(CHAOS);
    }
  };
  return {
    ...common,
    onOpen(connection) {
      common.onOpen!(connection);
      return act(entryOf(connection));
    },
    onData(connection, bytes) {
      take(entryOf(connection), bytes);
      return act(entryOf(connection));
    },
    onEnd(connection) {
      common.onEnd!(connection);
      return act(entryOf(connection));
    },
    onServerClose(connection) {
      const entry = entryOf(connection);
      entry.alive('server-close');
      // At once, somehow; after a while; or never, which is what the deadline is for.
      const action = act(entry);
      if (action === undefined && random.chance(0.7)) {
        connection.setTimer(random.between(0, 20), () => connection.end());
        connection.setTimer(random.between(0, 30), () => connection.close());
      }
      return action;
    },
  };
}

function receipt(entry: Entry, bytes: Uint8Array): void {
  take(entry, bytes);
  entry.receipts += 1;
  entry.connection.receipt(() => {
    entry.receiptsFired += 1;
  });
}

function beforeWrite(common: Handler): Handler {
  return {
    ...common,
    onData: (connection, bytes) => take(entryOf(connection), bytes),
    onBeforeWrite(connection) {
      entryOf(connection).alive('before-write');
    },
  };
}
