/**
 * What `millrace doctor` tries rather than reads: the FFI, epoll with an eventfd, and an echo through a server and a
 * dial of millrace itself. Everything is loaded inside, since it may not load at all.
 */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { platformProblem, platformRemedy } from '../base/platform.js';
import { describeFailure } from './failure.js';
import { formatCount } from './figures.js';
import type { Finding, ReadFile } from './finding.js';
import { readPackageFacts } from './package-facts.js';

const ECHO_BYTES = 65_536;
const ECHO_TIMEOUT_MS = 5_000;

/** In the order in which one needs the other; after a failure the rest is not tried. */
export async function tryAll(read: ReadFile): Promise<Finding[]> {
  const findings = [examinePlatform(read), examineNode()];
  for (const attempt of [tryFfi, tryEpoll, tryUring, tryEcho, tryOpenSsl]) {
    if (findings.some(({ level }) => level === 'fail')) {
      break;
    }
    findings.push(await attempt());
  }
  return findings;
}

function examinePlatform(read: ReadFile): Finding {
  const { platform, arch } = process;
  const release = read('/proc/sys/kernel/osrelease')?.trim();
  const problem = platformProblem(platform, arch);
  return {
    name: 'platform',
    level: problem === undefined ? 'ok' : 'fail',
    value: `${platform} ${arch}${release === undefined ? '' : `, kernel ${release}`}`,
    why:
      problem ?? 'the drivers epoll and io_uring are system calls of Linux, here on x64 and arm64',
    ...(problem === undefined ? {} : { remedy: platformRemedy(platform) }),
  };
}

function examineNode(): Finding {
  const wanted = readPackageFacts().nodeVersionMin;
  const isRecent = isAtLeast(process.versions.node, wanted);
  return {
    name: 'Node.js',
    level: isRecent ? 'ok' : 'fail',
    value: `${process.versions.node}${process.platform === 'linux' ? ` (${libcName()})` : ''}`,
    why: `version ${wanted} or later is needed`,
    ...(isRecent
      ? {}
      : { remedy: 'install the present LTS version: https://nodejs.org/en/download' }),
  };
}

/** Whether a version is at least another; both are numbers with dots. */
export function isAtLeast(version: string, wanted: string): boolean {
  const have = version.split('.').map(Number);
  for (const [i, need] of wanted.split('.').map(Number).entries()) {
    const difference = (have[i] ?? 0) - need;
    if (difference !== 0) {
      return difference > 0;
    }
  }
  return true;
}

function libcName(): string {
  // Otherwise the report looks up a name for each address of the host.
  (process.report as { excludeNetwork?: boolean }).excludeNetwork = true;
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const glibc = report.header?.glibcVersionRuntime;
  return glibc === undefined ? 'musl or another libc' : `glibc ${glibc}`;
}

async function tryFfi(): Promise<Finding> {
  const finding = { name: 'FFI (koffi)', why: 'system calls go through it' };
  try {
    const { LinuxKernel } = await import('../base/linux-kernel.js');
    new LinuxKernel().now();
    return { ...finding, level: 'ok', value: `${ffiVersion()}, its binary loads` };
  } catch (error) {
    return {
      ...finding,
      level: 'fail',
      value: describeFailure(error, false),
      remedy: 'npm install --include=optional koffi (its binary is an optional dependency)',
    };
  }
}

function ffiVersion(): string {
  const main = createRequire(import.meta.url).resolve('koffi');
  const text = readFileSync(join(dirname(main), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** An epoll instance that reports an eventfd which was signalled. */
async function tryEpoll(): Promise<Finding> {
  const { LinuxKernel } = await import('../base/linux-kernel.js');
  const { EPOLL_EVENT_SIZE } = await import('../base/layout.js');
  const { EPOLL_CTL_ADD, EPOLLIN } = await import('../base/linux.js');
  const { errnoName } = await import('../base/errno.js');
  const kernel = new LinuxKernel();
  const events = kernel.allocate(EPOLL_EVENT_SIZE);
  const instance = kernel.epollCreate();
  const signalled = kernel.eventfd();
  const answers = {
    epoll_create1: instance,
    eventfd: signalled,
    epoll_ctl: kernel.epollControl(instance, EPOLL_CTL_ADD, signalled, EPOLLIN, 1, 1),
    write: kernel.signal(signalled),
    epoll_wait: kernel.epollWait(instance, events),
  };
  kernel.close(signalled);
  kernel.close(instance);
  kernel.release(events);
  const refused = Object.entries(answers).find(([, n]) => n < 0);
  const works = refused === undefined && answers.epoll_wait === 1;
  return {
    name: 'driver epoll',
    level: works ? 'ok' : 'fail',
    value: works
      ? 'works: an instance reported an eventfd'
      : refused === undefined
        ? 'an eventfd was signalled and not reported'
        : `${refused[0]} answers ${errnoName(-refused[1])}`,
    why: 'it is the driver that works everywhere',
    ...(works
      ? {}
      : { remedy: 'allow epoll and eventfd in the profile of the sandbox or container' }),
  };
}

/** What io_uring can do here, if it is allowed. Not to have it is no fault: epoll takes its place. */
async function tryUring(): Promise<Finding> {
  const { driverOfAuto } = await import('../engine/driver-of-auto.js');
  const { name, reason, features } = driverOfAuto();
  return {
    name: 'driver uring',
    level: name === 'uring' ? 'ok' : 'note',
    value: reason,
    why: 'it saves calls; auto takes it where it is faster',
    ...(name === 'uring'
      ? {}
      : {
          remedy:
            features === undefined
              ? 'allow io_uring: sysctl kernel.io_uring_disabled, and the profile of the container'
              : 'Linux 6.12 or later; --driver uring takes it all the same',
        }),
  };
}

async function tryEcho(): Promise<Finding> {
  const finding = { name: 'echo through millrace', why: 'it is what a server does' };
  try {
    return { ...finding, level: 'ok', value: await measureEcho() };
  } catch (error) {
    return {
      ...finding,
      level: 'fail',
      value: describeFailure(error, false),
      remedy: 'see that the loopback interface is up: ip link set lo up',
    };
  }
}

/** Without it everything but TLS works. */
async function tryOpenSsl(): Promise<Finding> {
  const finding = {
    name: 'OpenSSL, for TLS',
    why: 'millrace/tls stands on it; all else does without',
  };
  try {
    const { loadOpenSsl } = await import('../base/openssl.js');
    const { version, origin } = loadOpenSsl();
    const where = origin === 'node' ? 'that node exports' : origin;
    return { ...finding, level: 'ok', value: `${version}, ${where}` };
  } catch (error) {
    return {
      ...finding,
      level: 'note',
      value: describeFailure(error, false),
      remedy: "take Node's own builds, or install the system's libssl.so.3",
    };
  }
}

/** Sends bytes to a server in this process and compares what comes back. */
async function measureEcho(): Promise<string> {
  const { dial, serve } = await import('../index.js');
  const { threadKernel } = await import('../engine/thread-kernel.js');
  const { handler } = await import('./echo-handler.js');
  const kernel = threadKernel();
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler, whenFull: 'pause-source' });
  try {
    const startedAt = kernel.now();
    const connection = await dial(server.addresses[0], {
      connectTimeoutMs: ECHO_TIMEOUT_MS,
      idleTimeoutMs: ECHO_TIMEOUT_MS,
    });
    const sent = Buffer.alloc(ECHO_BYTES, 'millrace');
    connection.write(sent);
    connection.end();
    const pieces: Buffer[] = [];
    for await (const piece of connection) {
      pieces.push(piece);
    }
    if (!Buffer.concat(pieces).equals(sent)) {
      throw new Error('what came back is not what was sent');
    }
    const milliseconds = (kernel.now() - startedAt).toFixed(1);
    return `${formatCount(ECHO_BYTES)} bytes over loopback TCP and back in ${milliseconds} ms`;
  } finally {
    await server.close({ deadlineMs: 0 });
  }
}
