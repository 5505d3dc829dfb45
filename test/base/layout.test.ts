/**
 * Every constant, size, offset and errno of the base layer against what the C compiler of this machine says. The C
 * program is written from the exports themselves, so that nothing can be added without being compared. Without gcc
 * the test is skipped, but not where CI is set.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import * as errno from '../../src/base/errno.js';
import * as layout from '../../src/base/layout.js';
import * as linux from '../../src/base/linux.js';

/** Constants of layout.ts as C expressions. */
const LAYOUT: Record<keyof typeof layout, string> = {
  EPOLL_EVENT_SIZE: 'sizeof(struct epoll_event)',
  EPOLL_EVENT_EVENTS: 'offsetof(struct epoll_event, events)',
  EPOLL_EVENT_DATA: 'offsetof(struct epoll_event, data)',
  SOCKADDR_FAMILY: 'offsetof(struct sockaddr, sa_family)',
  SOCKADDR_STORAGE_SIZE: 'sizeof(struct sockaddr_storage)',
  SOCKADDR_IN_SIZE: 'sizeof(struct sockaddr_in)',
  SOCKADDR_IN_PORT: 'offsetof(struct sockaddr_in, sin_port)',
  SOCKADDR_IN_ADDRESS: 'offsetof(struct sockaddr_in, sin_addr)',
  SOCKADDR_IN6_SIZE: 'sizeof(struct sockaddr_in6)',
  SOCKADDR_IN6_PORT: 'offsetof(struct sockaddr_in6, sin6_port)',
  SOCKADDR_IN6_FLOWINFO: 'offsetof(struct sockaddr_in6, sin6_flowinfo)',
  SOCKADDR_IN6_ADDRESS: 'offsetof(struct sockaddr_in6, sin6_addr)',
  SOCKADDR_IN6_SCOPE: 'offsetof(struct sockaddr_in6, sin6_scope_id)',
  SOCKADDR_UN_SIZE: 'sizeof(struct sockaddr_un)',
  SOCKADDR_UN_PATH: 'offsetof(struct sockaddr_un, sun_path)',
  LINGER_SIZE: 'sizeof(struct linger)',
  LINGER_ON: 'offsetof(struct linger, l_onoff)',
  LINGER_SECONDS: 'offsetof(struct linger, l_linger)',
  UCRED_SIZE: 'sizeof(struct ucred)',
  UCRED_PID: 'offsetof(struct ucred, pid)',
  UCRED_UID: 'offsetof(struct ucred, uid)',
  UCRED_GID: 'offsetof(struct ucred, gid)',
  MSGHDR_SIZE: 'sizeof(struct msghdr)',
  MSGHDR_NAME: 'offsetof(struct msghdr, msg_name)',
  MSGHDR_NAME_LENGTH: 'offsetof(struct msghdr, msg_namelen)',
  MSGHDR_VECTOR: 'offsetof(struct msghdr, msg_iov)',
  MSGHDR_VECTOR_LENGTH: 'offsetof(struct msghdr, msg_iovlen)',
  MSGHDR_CONTROL: 'offsetof(struct msghdr, msg_control)',
  MSGHDR_CONTROL_LENGTH: 'offsetof(struct msghdr, msg_controllen)',
  MSGHDR_FLAGS: 'offsetof(struct msghdr, msg_flags)',
  MMSGHDR_SIZE: 'sizeof(struct mmsghdr)',
  MMSGHDR_LENGTH: 'offsetof(struct mmsghdr, msg_len)',
  CMSGHDR_SIZE: 'CMSG_LEN(0)',
  CMSGHDR_LENGTH: 'offsetof(struct cmsghdr, cmsg_len)',
  CMSGHDR_LEVEL: 'offsetof(struct cmsghdr, cmsg_level)',
  CMSGHDR_TYPE: 'offsetof(struct cmsghdr, cmsg_type)',
  GROUP_REQ_SIZE: 'sizeof(struct group_req)',
  GROUP_REQ_INTERFACE: 'offsetof(struct group_req, gr_interface)',
  GROUP_REQ_GROUP: 'offsetof(struct group_req, gr_group)',
  GROUP_SOURCE_REQ_SIZE: 'sizeof(struct group_source_req)',
  GROUP_SOURCE_REQ_SOURCE: 'offsetof(struct group_source_req, gsr_source)',
  IP_MREQN_SIZE: 'sizeof(struct ip_mreqn)',
  IP_MREQN_INTERFACE: 'offsetof(struct ip_mreqn, imr_ifindex)',
  IN_PKTINFO_SIZE: 'sizeof(struct in_pktinfo)',
  IN_PKTINFO_INTERFACE: 'offsetof(struct in_pktinfo, ipi_ifindex)',
  IN_PKTINFO_SOURCE: 'offsetof(struct in_pktinfo, ipi_spec_dst)',
  IN_PKTINFO_DESTINATION: 'offsetof(struct in_pktinfo, ipi_addr)',
  IN6_PKTINFO_SIZE: 'sizeof(struct in6_pktinfo)',
  IN6_PKTINFO_ADDRESS: 'offsetof(struct in6_pktinfo, ipi6_addr)',
  IN6_PKTINFO_INTERFACE: 'offsetof(struct in6_pktinfo, ipi6_ifindex)',
  EXTENDED_ERROR_SIZE: 'sizeof(struct sock_extended_err)',
  EXTENDED_ERROR_ERRNO: 'offsetof(struct sock_extended_err, ee_errno)',
  EXTENDED_ERROR_ORIGIN: 'offsetof(struct sock_extended_err, ee_origin)',
  EXTENDED_ERROR_TYPE: 'offsetof(struct sock_extended_err, ee_type)',
  EXTENDED_ERROR_CODE: 'offsetof(struct sock_extended_err, ee_code)',
  IOVEC_SIZE: 'sizeof(struct iovec)',
  IOVEC_BASE: 'offsetof(struct iovec, iov_base)',
  IOVEC_LENGTH: 'offsetof(struct iovec, iov_len)',
  TIMESPEC_SIZE: 'sizeof(struct timespec)',
  TIMESPEC_SECONDS: 'offsetof(struct timespec, tv_sec)',
  TIMESPEC_NANOSECONDS: 'offsetof(struct timespec, tv_nsec)',
  RLIMIT_SIZE: 'sizeof(struct rlimit)',
  RLIMIT_SOFT: 'offsetof(struct rlimit, rlim_cur)',
  RLIMIT_HARD: 'offsetof(struct rlimit, rlim_max)',
};

const HEADERS = [
  'errno.h',
  'fcntl.h',
  'limits.h',
  'netinet/in.h',
  'netinet/tcp.h',
  'netinet/udp.h',
  'sched.h',
  'stddef.h',
  'stdio.h',
  'sys/epoll.h',
  'sys/eventfd.h',
  'sys/mman.h',
  'sys/resource.h',
  'sys/socket.h',
  'sys/stat.h',
  'sys/uio.h',
  'sys/un.h',
  'time.h',
  // After time.h, whose structures it uses.
  'linux/errqueue.h',
  'unistd.h',
];

const hasCompiler = spawnSync('gcc', ['--version']).status === 0;
const isCi = process.env.CI !== undefined && process.env.CI !== '';
const options = { skip: hasCompiler || isCi ? false : 'there is no gcc' };

/** The exports that are numbers. */
function numbersOf(module: object): [string, number][] {
  return Object.entries(module).filter((entry): entry is [string, number] => {
    return typeof entry[1] === 'number';
  });
}

/** Compiles and runs a program that prints each expression; the values by name, in the order given. */
function evaluateInC(expressions: readonly (readonly [string, string])[]): [string, number][] {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-layout-'));
  try {
    const source = [
      '#define _GNU_SOURCE',
      ...HEADERS.map((header) => `#include <${header}>`),
      'int main(void) {',
      ...expressions.map(([name, c]) => `printf("${name} %lld\\n", (long long)(${c}));`),
      'return 0; }',
    ].join('\n');
    writeFileSync(join(folder, 'print.c'), source);
    const compiled = spawnSync('gcc', ['-o', 'print', 'print.c'], {
      cwd: folder,
      encoding: 'utf8',
    });
    assert.equal(compiled.status, 0, `gcc is needed and must know all names: ${compiled.stderr}`);
    const run = spawnSync(join(folder, 'print'), { encoding: 'utf8' });
    assert.equal(run.status, 0);
    return run.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' '))
      .map(([name, value]) => [name!, Number(value)]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('every export of linux.ts has the value of the C headers', options, () => {
  const ours = numbersOf(linux);
  assert.equal(ours.length, Object.keys(linux).length, 'linux.ts exports numbers only');
  assert.deepEqual(evaluateInC(ours.map(([name]) => [name, name])), ours);
});

test('every export of layout.ts has the size or offset that the C compiler uses', options, () => {
  const ours = numbersOf(layout);
  assert.equal(ours.length, Object.keys(layout).length, 'layout.ts exports numbers only');
  const expressions = ours.map(([name]) => {
    const c = LAYOUT[name as keyof typeof layout];
    assert.notEqual(c, undefined, `${name} is not compared`);
    return [name, c] as const;
  });
  assert.equal(Object.keys(LAYOUT).length, ours.length);
  assert.deepEqual(evaluateInC(expressions), ours);
});

test('every errno has the number of the C headers', options, () => {
  const ours = [
    ...numbersOf(errno),
    ...Object.entries(errno.ERRNO).map(([name, number]) => [name, number] as [string, number]),
  ];
  assert.deepEqual(evaluateInC(ours.map(([name]) => [name, name])), ours);
});

test('every errno of the C headers is exported', options, () => {
  const { status, stdout } = spawnSync('gcc', ['-E', '-dM', '-'], {
    input: '#define _GNU_SOURCE\n#include <errno.h>\n',
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  const names = [...stdout.matchAll(/^#define (E[A-Z0-9]+) /gm)].map((match) => match[1]!);
  assert.ok(names.length > 130);
  const exported = new Set(numbersOf(errno).map(([name]) => name));
  assert.deepEqual(
    names.filter((name) => !exported.has(name)),
    [],
  );
});
