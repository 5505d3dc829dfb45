/**
 * TLS: `npm run bench -- tls`. Echo over established connections, and handshakes, new and resumed, of millrace and of
 * node:tls with the same certificate, and of a loop in C on the system's OpenSSL (native/tls-reference.c): what the
 * kernel and OpenSSL cost; and what an idle connection costs, beside what OpenSSL itself needs for it. The load is
 * native/tls-load.c, on the system's OpenSSL.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildProgram } from '../build-native.js';
import { integer } from '../option-values.js';
import { COMMON_USAGE, integers, parseProtocolOptions, type ProtocolOptions } from './options.js';
import type { Load } from './rounds.js';
import { runProtocolBenchmark, withUsage } from './run.js';
import { NODE_TLS, tlsReference, tlsServers } from './servers.js';

const USAGE = `usage: npm run bench -- tls [options]
  --connections LIST   connections that echo (100)
  --bytes LIST         bytes of a message of echo (512,16384)
  --handshaking N      handshakes under way at a time (32)
${COMMON_USAGE}`;

interface Parsed {
  readonly options: ProtocolOptions;
  readonly loads: readonly Load[];
}

function parse(argv: readonly string[]): Parsed {
  const { options, own } = parseProtocolOptions(
    argv,
    { connections: '100', idle: '2000' },
    {
      bytes: { type: 'string', default: '512,16384' },
      handshaking: { type: 'string', default: '32' },
    },
  );
  const handshaking = integer('--handshaking', String(own.handshaking), 1, 1_000);
  const sizes = integers('--bytes', String(own.bytes), 1, 65_536);
  const load = (name: string, connections: number, ...argv: string[]): Load => ({
    ...{ name, program: 'tls-load', connections },
    argv: ['--connections', String(connections), ...argv],
  });
  return {
    options,
    loads: [
      ...options.connections.flatMap((count) =>
        sizes.map((size) => load(`echo ${size} B, ${count}`, count, '--bytes', String(size))),
      ),
      load('handshakes', handshaking, '--handshakes'),
      load('handshakes, resumed', handshaking, '--handshakes', '--resume'),
      load('handshakes, TLS 1.2', handshaking, '--handshakes', '--version', '2'),
    ],
  };
}

/** A certificate as most servers have them today: ECDSA, P-256. */
function makeCertificate(folder: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      ...['-days', '2', '-subj', '/CN=localhost', '-keyout', key, '-out', cert],
    ],
    { stdio: 'pipe' },
  );
  return { cert, key };
}

/** Runs the benchmark; the exit code. */
export function runTlsBenchmark(argv: readonly string[]): Promise<number> {
  return withUsage(
    USAGE,
    argv,
    () => parse(argv),
    async ({ options, loads }) => {
      for (const program of ['tls-load', 'tls-reference'] as const) {
        buildProgram(program, ['-lssl', '-lcrypto']);
      }
      const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
      try {
        const { cert, key } = makeCertificate(folder);
        const servers = tlsServers(options, cert, key);
        await runProtocolBenchmark(
          {
            ...{ name: 'tls', title: 'TLS', reference: NODE_TLS, loads },
            servers: [...servers, tlsReference(cert, key)],
            idle: { servers, load: { program: 'tls-load', argv: [] } },
          },
          options,
        );
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
}
