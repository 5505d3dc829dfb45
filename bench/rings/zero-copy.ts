/**
 * What zero-copy send is worth: the same bytes sent by OP_SEND, by OP_SEND_ZC, and by OP_SEND_ZC from a registered
 * buffer, in turn, by one sender (send-program.ts) on the same connections to native/byte-sink.c. What lies between
 * them is said in networks.ts.
 */
import { fileURLToPath } from 'node:url';
import { nativePath } from '../build-native.js';
import { type Client, startClient } from '../client-process.js';
import { coresBusySeconds } from '../cores.js';
import { type ServerProcess, startServer } from '../server-process.js';
import { median } from '../statistics.js';
import { fixed, grouped, percent, printTable } from '../table.js';
import { createNetwork, type Network } from './networks.js';
import type { RingsOptions } from './options.js';
import { SEND_KINDS, type SendKind, type SendReport } from './send-kinds.js';

const PROGRAM = fileURLToPath(new URL('./send-program.js', import.meta.url));
const ANSWER_TIMEOUT_MS = 30_000;
/** Where nobody listens (RFC 863). */
const DISCARD_PORT = 9;

export interface SendSlice {
  readonly network: string;
  readonly round: number;
  readonly kind: SendKind;
  readonly bytes: number;
  readonly report: SendReport;
  /** Until the receiver, if there is one, had everything. */
  readonly seconds: number;
  readonly receiverCpuSeconds: number;
  readonly coresBusySeconds: number;
}

export interface SendSummary {
  readonly network: string;
  readonly bytes: number;
  readonly kind: SendKind;
  readonly megabytesPerSecond: number;
  /** Medians over the rounds of what it was over what `send` was in the same round. */
  readonly rateAgainstSend: number;
  readonly cpuAgainstSend: number;
  readonly senderUsPerMegabyte: number;
  readonly receiverUsPerMegabyte: number;
  /** Part of the notifications that said that the bytes were copied; NaN where there are none. */
  readonly copied: number;
  /** Waits for a buffer, for each send. */
  readonly starved: number;
  /** Part of the two cores that neither sender nor receiver used. */
  readonly foreignBusy: number;
}

export interface SendResult {
  readonly slices: readonly SendSlice[];
  readonly summaries: readonly SendSummary[];
}

/** Sender and receiver on one network, both up all the time. */
interface Pair {
  readonly network: Network;
  readonly sender: Client<SendReport>;
  /** Undefined where nobody receives. */
  readonly receiver: ServerProcess | undefined;
  readonly cores: readonly number[];
}

interface ReceiverStats {
  readonly bytes: number;
  readonly cpuSeconds: number;
}

export async function measureZeroCopy(options: RingsOptions): Promise<SendResult> {
  const slices: SendSlice[] = [];
  const summaries: SendSummary[] = [];
  for (const name of options.networks) {
    const network = createNetwork(name);
    const measured = await measureNetwork(network, options);
    slices.push(...measured);
    const own = summarizeSends(measured);
    summaries.push(...own);
    printSends(network.name, own, options);
  }
  return { slices, summaries };
}

async function measureNetwork(network: Network, options: RingsOptions): Promise<SendSlice[]> {
  const { load, streams, buffers } = options;
  const sizes = [...new Set(options.sizes.map((bytes) => Math.min(bytes, network.bytesMax)))];
  const slices: SendSlice[] = [];
  const command = [...network.prefix, nativePath('byte-sink'), network.address];
  let receiver: ServerProcess | undefined;
  let sender: Client<SendReport> | undefined;
  try {
    if (!network.isDeaf) {
      receiver = await startServer({ name: 'the receiver', argv: command }, load.clientCore);
    }
    const protocol = network.isDeaf ? 'udp' : 'tcp';
    const address = `tcp://${network.address}:${receiver?.port ?? DISCARD_PORT}`;
    const counts = [streams, buffers, sizes.at(-1) ?? 0].map(String);
    const argv = [process.execPath, PROGRAM, protocol, address, ...counts];
    sender = await startClient<SendReport>('the sender', argv, load.serverCore);
    const pair = { network, sender, receiver, cores: [load.serverCore, load.clientCore] };
    for (let round = 0; round <= load.rounds; round += 1) {
      process.stderr.write(`bench: ${network.name}, round ${round} of ${load.rounds}\n`);
      for (const bytes of sizes) {
        for (let i = 0; i < SEND_KINDS.length; i += 1) {
          const kind = SEND_KINDS[(i + round) % SEND_KINDS.length]!;
          const slice = await runSlice(pair, round, kind, bytes, load.sliceSeconds);
          // In the first round code is compiled, and the windows of the connections grow.
          if (round > 0) slices.push(slice);
        }
      }
    }
  } finally {
    await sender?.stop();
    await receiver?.stop();
    network.remove();
  }
  return slices;
}

async function runSlice(
  { network, sender, receiver, cores }: Pair,
  round: number,
  kind: SendKind,
  bytes: number,
  seconds: number,
): Promise<SendSlice> {
  const before = await statsOf(receiver);
  const busyBefore = coresBusySeconds(cores);
  const start = performance.now();
  const command = `run ${kind} ${bytes} ${seconds}`;
  const report = await sender.command(command, seconds * 1_000 + ANSWER_TIMEOUT_MS);
  const after = await statsWith(receiver, before.bytes + report.bytes);
  return {
    network: network.name,
    round,
    kind,
    bytes,
    report,
    seconds: (performance.now() - start) / 1_000,
    receiverCpuSeconds: after.cpuSeconds - before.cpuSeconds,
    coresBusySeconds: coresBusySeconds(cores) - busyBefore,
  };
}

async function statsOf(receiver: ServerProcess | undefined): Promise<ReceiverStats> {
  if (receiver === undefined) return { bytes: 0, cpuSeconds: 0 };
  return JSON.parse(await receiver.ask('stats', ANSWER_TIMEOUT_MS)) as ReceiverStats;
}

/** Waits until the receiver has `bytes`; what never comes, or is too much, makes the run fail. */
async function statsWith(
  receiver: ServerProcess | undefined,
  bytes: number,
): Promise<ReceiverStats> {
  const deadline = performance.now() + ANSWER_TIMEOUT_MS;
  for (;;) {
    const stats = await statsOf(receiver);
    if (stats.bytes === bytes || receiver === undefined) return stats;
    if (stats.bytes > bytes || performance.now() > deadline) {
      throw new Error(`${bytes} bytes were sent in all, and ${stats.bytes} received`);
    }
  }
}

function summarizeSends(slices: readonly SendSlice[]): SendSummary[] {
  const sizes = [...new Set(slices.map((slice) => slice.bytes))];
  return sizes.flatMap((bytes) => {
    const same = slices.filter((slice) => slice.bytes === bytes);
    return SEND_KINDS.map((kind) => summarizeKind(same, kind));
  });
}

function summarizeKind(slices: readonly SendSlice[], kind: SendKind): SendSummary {
  const own = slices.filter((slice) => slice.kind === kind);
  const plain = new Map(
    slices.filter((slice) => slice.kind === 'send').map((slice) => [slice.round, slice]),
  );
  const against = (figure: (slice: SendSlice) => number): number =>
    median(own.map((slice) => figure(slice) / figure(plain.get(slice.round)!)));
  const middle = (figure: (slice: SendSlice) => number): number => median(own.map(figure));
  return {
    network: own[0]?.network ?? '',
    bytes: own[0]?.bytes ?? 0,
    kind,
    megabytesPerSecond: middle(rateOf),
    rateAgainstSend: against(rateOf),
    cpuAgainstSend: against(cpuOf),
    senderUsPerMegabyte: middle(({ report }) => (report.cpuSeconds * 1e12) / report.bytes),
    receiverUsPerMegabyte: middle((s) => (s.receiverCpuSeconds * 1e12) / s.report.bytes),
    copied: middle(({ report }) => report.copied / report.notifications),
    starved: middle(({ report }) => report.starved / report.sends),
    foreignBusy: middle((s) =>
      Math.max(
        0,
        (s.coresBusySeconds - s.report.cpuSeconds - s.receiverCpuSeconds) / (2 * s.seconds),
      ),
    ),
  };
}

/** Megabytes (10⁶) a second. */
function rateOf({ report, seconds }: SendSlice): number {
  return report.bytes / 1e6 / seconds;
}

/** CPU time of both ends for each byte. */
function cpuOf({ report, receiverCpuSeconds }: SendSlice): number {
  return (report.cpuSeconds + receiverCpuSeconds) / report.bytes;
}

function printSends(network: string, summaries: readonly SendSummary[], options: RingsOptions) {
  const { load, streams, buffers } = options;
  process.stdout.write(
    `\nzero-copy send over ${network}: ${streams} connections with ${buffers} buffers each; ` +
      `${load.rounds} rounds of ${load.sliceSeconds} s\n`,
  );
  printTable(
    [
      'bytes',
      'kind',
      'MB/s',
      '/ send',
      'sender µs/MB',
      'receiver µs/MB',
      'both CPU / send',
      'copied',
      'waits/send',
      'other CPU',
    ],
    summaries.map((s) => [
      grouped(s.bytes),
      s.kind,
      grouped(s.megabytesPerSecond),
      fixed(s.rateAgainstSend, 2),
      grouped(s.senderUsPerMegabyte),
      grouped(s.receiverUsPerMegabyte),
      fixed(s.cpuAgainstSend, 2),
      Number.isNaN(s.copied) ? '–' : percent(s.copied),
      fixed(s.starved, 3),
      percent(s.foreignBusy),
    ]),
  );
}
