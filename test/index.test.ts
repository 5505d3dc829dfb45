/** The public face: exactly these names, and types that fit together. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { it } from 'node:test';

import type {
  Action,
  Balance,
  CloseReason,
  Connection,
  ConnectionOptions,
  ConnectionState,
  DialOptions,
  Handler,
  HistogramSnapshot,
  ListenerOptions,
  Reader,
  ReactorSnapshot,
  Reactor,
  Remote,
  RemoteHandle,
  ServeOptions,
  Server,
  ServerStats,
  SignalOptions,
  SocketOptions,
  Writer,
  WriteResult,
} from '../src/index.js';
import * as millrace from '../src/index.js';

it('exports these functions and classes, and nothing else', () => {
  const kinds = Object.entries(millrace).map(([name, value]) => `${name}: ${typeof value}`);
  assert.deepEqual(kinds.sort(), [
    'MillraceError: function',
    'SystemError: function',
    'adopt: function',
    'closeOnSignals: function',
    'datagram: function',
    'dial: function',
    'onDiagnostic: function',
    'remote: function',
    'serve: function',
  ]);
});

it('loads without side effects: no handle, no timer, no listener', () => {
  const url = JSON.stringify(new URL('../src/index.js', import.meta.url).href);
  const code = `const look = async () => {
      for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
      // Node 26 opens a piped stdin by itself some time.
      const resources = process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap');
      return [...resources, ...process.eventNames().map(String)].join();
    };
    const before = await look();
    await import(${url});
    console.log(before === (await look()));`;
  const args = ['--input-type=module', '-e', code];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.deepEqual([status, stdout], [0, 'true\n']);
});

// What follows is checked by the compiler: each type is used as a program would use it.

interface Session {
  count: number;
}

class Echo implements Handler<Session> {
  onOpen(connection: Connection<Session>): Action {
    connection.context = { count: 0 };
    const state: ConnectionState = connection.state;
    return state === 'open' ? 'none' : 'close';
  }

  onData(connection: Connection<Session>, bytes: Buffer): void {
    connection.context.count += 1;
    const result: WriteResult = connection.write(bytes);
    if (result === 'full') {
      connection.pause();
    }
  }

  onDrain(connection: Connection<Session>): void {
    connection.resume();
  }

  onClose(
    _connection: Connection<Session>,
    { code, error, timeout, unsentBytes }: CloseReason,
  ): void {
    assert.ok(code.length > 0 && unsentBytes >= 0 && (error ?? timeout ?? true));
  }

  onTick(reactor: Reactor): number {
    return reactor.connectionCount > 0 ? 100 : 1_000;
  }
}

const lines: Handler = {
  onReadable: ({ reader, writer, setTimer }) => {
    const input: Reader = reader;
    const output: Writer = writer;
    for (let line = input.until('\n'); line !== undefined; line = input.until('\n')) {
      output.writeBytes(line);
    }
    assert.equal(typeof setTimer, 'function');
    return output.flush() === 'closed' ? 'close' : undefined;
  },
  tasks: { count: (reactor: Reactor) => reactor.connectionCount },
};

async function program(): Promise<void> {
  const socketOptions: SocketOptions = { noDelay: true, lingerSeconds: null };
  const connectionOptions: ConnectionOptions = { ...socketOptions, whenFull: 'pause-source' };
  const listenerOptions: ListenerOptions = { backlog: 128, mode: 0o660 };
  const balance: Balance = 'least-connections';
  const options: ServeOptions = {
    ...connectionOptions,
    ...listenerOptions,
    balance,
    listen: 'tcp://127.0.0.1:0',
    handler: new Echo(),
  };
  await using server: Server = await millrace.serve(options);
  const signals: SignalOptions = { deadlineMs: 1_000 };
  millrace.closeOnSignals(server, signals)();
  const dialOptions: DialOptions = { handler: lines, connectTimeoutMs: 1_000 };
  const connection: Connection = await millrace.dial(server.addresses[0], dialOptions);
  const value: number | null | undefined = connection.getOption('lingerSeconds');
  // @ts-expect-error An option has a value of its own type.
  assert.throws(() => connection.setOption('noDelay', 5));
  // @ts-expect-error There is no such option.
  assert.throws(() => connection.setOption('nodelay', true));
  const handle: RemoteHandle = server.remoteHandle();
  const remote: Remote = millrace.remote(handle);
  const stats: ServerStats = server.stats;
  const [snapshot]: readonly ReactorSnapshot[] = stats.reactors;
  const histogram: HistogramSnapshot = snapshot.turnMicroseconds;
  assert.ok(remote.reactorCount === 1 && histogram.count >= 0 && value !== undefined);
  connection.abort();
}

it('types and values fit together in a program', program);
