/**
 * `npm run bench -- million`: a server with a million open connections, or as many as --connections says. It is
 * connected to by processes of C (million/fleet.ts), observed from outside, and from inside when it is
 * servers/million-server.mjs.
 *
 * Exit code 0 when nothing was lost, 1 when something failed, 2 for a wrong command line or a machine that does not
 * allow it.
 */
import { buildNative } from './build-native.js';
import { describeMachine } from './machine.js';
import { Fleet, planFleet } from './million/fleet.js';
import { findObstacles, findServerObstacle } from './million/limits.js';
import { MILLION_USAGE, type MillionOptions, parseMillionOptions } from './million/options.js';
import { type MillionResult, runPhases } from './million/phases.js';
import { printMillion } from './million/report.js';
import { Subject } from './million/subject.js';
import { writeResultFile } from './result-file.js';
import { startServer } from './server-process.js';

/** What the machine or the command line does not allow, as lines to be shown. */
class Refusal extends Error {}

export async function runMillionBenchmark(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help')) {
    process.stdout.write(MILLION_USAGE);
    return 0;
  }
  try {
    return await run(readOptions(argv));
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof Refusal ? 2 : 1;
  }
}

function readOptions(argv: readonly string[]): MillionOptions {
  try {
    return parseMillionOptions(argv);
  } catch (error) {
    throw new Refusal(
      `${error instanceof Error ? error.message : String(error)}\n${MILLION_USAGE}`,
    );
  }
}

async function run(options: MillionOptions): Promise<number> {
  const plan = planFleet(options.connections, options.perClient);
  const active = Math.ceil(options.connections * Math.max(...options.shares));
  const needsRing = options.server.argv.includes('uring');
  refuse(await findObstacles(plan, active, needsRing));
  buildNative();
  const machine = describeMachine();
  const fleet = new Fleet(plan);
  const server = await startServer(options.server, options.serverCores);
  let result: MillionResult;
  try {
    const obstacle = options.isDirect
      ? undefined
      : findServerObstacle(server.filesMax(), options.connections);
    refuse(obstacle === undefined ? [] : [obstacle]);
    process.stderr.write(
      `bench: million: ${plan.processes} client processes, ${plan.perProcess} connections each\n`,
    );
    await fleet.start(server.port, options.messageBytes, options.clientCores);
    result = await runPhases(new Subject(server, options.isInstrumented), fleet, options);
  } finally {
    await fleet.stop();
    await server.stop();
  }
  printMillion(result, options);
  const path = writeResultFile('million', options.json, { machine, options, plan, result });
  if (path !== undefined) process.stderr.write(`bench: every figure is in ${path}\n`);
  if (result.lost === 0) return 0;
  const reasons = fleet.complaints().join('\n  - ');
  throw new Error(`${result.lost} connections or messages were lost:\n  - ${reasons}`);
}

function refuse(obstacles: readonly string[]): void {
  if (obstacles.length === 0) return;
  throw new Refusal(['the machine does not allow this yet:', ...obstacles].join('\n  - '));
}
