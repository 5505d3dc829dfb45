/** cli/system-limits: the limits of a machine, judged. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { examineLimits } from '../../src/cli/system-limits.js';

const GOOD: Readonly<Record<string, string>> = {
  '/proc/self/limits':
    'Limit                     Soft Limit           Hard Limit           Units\n' +
    'Max processes             96365                96365                processes\n' +
    'Max open files            1048576              1048576              files\n',
  '/proc/sys/fs/nr_open': '1048576\n',
  '/proc/sys/fs/file-max': '9223372036854775807\n',
  '/proc/sys/net/core/somaxconn': '4096\n',
  '/proc/sys/net/ipv4/tcp_max_syn_backlog': '2048\n',
  '/proc/sys/net/ipv4/ip_local_port_range': '32768\t60999\n',
  '/proc/sys/net/ipv4/tcp_mem': '287898\t383867\t575796\n',
  '/proc/sys/net/ipv4/tcp_rmem': '4096\t131072\t33554432\n',
  '/proc/sys/net/ipv4/tcp_wmem': '4096\t16384\t4194304\n',
  '/proc/sys/net/ipv4/tcp_tw_reuse': '2\n',
  '/proc/sys/vm/max_map_count': '65530\n',
};

function examine(changes: Readonly<Record<string, string>> = {}, isContainer = false) {
  const files: Readonly<Record<string, string | undefined>> = { ...GOOD, ...changes };
  const findings = examineLimits((path) => files[path], isContainer);
  return new Map(findings.map((finding) => [finding.name, finding]));
}

test('a machine of usual settings is well', () => {
  const findings = examine();
  assert.equal(findings.size, Object.keys(GOOD).length);
  for (const finding of findings.values()) {
    assert.equal(finding.level, 'ok', finding.name);
    assert.equal(finding.remedy, undefined, finding.name);
  }
  assert.match(findings.get('net.ipv4.ip_local_port_range')!.value, /: 28,232 to dial from$/);
});

test('each setting that is too small is told with the command that mends it', () => {
  const small: Record<string, [string, string]> = {
    'fs.nr_open': ['65536', 'sudo sysctl -w fs.nr_open=1048576'],
    'fs.file-max': ['10000', 'sudo sysctl -w fs.file-max=2097152'],
    'net.core.somaxconn': ['128', 'sudo sysctl -w net.core.somaxconn=4096'],
    'net.ipv4.tcp_max_syn_backlog': ['128', 'sudo sysctl -w net.ipv4.tcp_max_syn_backlog=4096'],
    'net.ipv4.ip_local_port_range': [
      '50000 51000',
      'sudo sysctl -w net.ipv4.ip_local_port_range="1024 65535"',
    ],
    'net.ipv4.tcp_mem': ['1 2 3', 'sudo sysctl -w net.ipv4.tcp_mem="65536 98304 131072"'],
    'net.ipv4.tcp_rmem': [
      '4096 65536 65536',
      'sudo sysctl -w net.ipv4.tcp_rmem="4096 131072 6291456"',
    ],
    'net.ipv4.tcp_wmem': [
      '4096 16384 65536',
      'sudo sysctl -w net.ipv4.tcp_wmem="4096 16384 4194304"',
    ],
    'net.ipv4.tcp_tw_reuse': ['0', 'sudo sysctl -w net.ipv4.tcp_tw_reuse=1'],
    'vm.max_map_count': ['1000', 'sudo sysctl -w vm.max_map_count=65530'],
  };
  for (const [name, [value, remedy]] of Object.entries(small)) {
    const finding = examine({ [`/proc/sys/${name.replaceAll('.', '/')}`]: value }).get(name)!;
    assert.notEqual(finding.level, 'ok', name);
    assert.equal(finding.remedy, remedy);
    assert.notEqual(finding.why, '');
  }
});

test('what a remedy sets is itself well', () => {
  for (const [name, finding] of examine()) {
    const path = `/proc/sys/${name.replaceAll('.', '/')}`;
    const bad = examine({ [path]: '0 0 0' }).get(name);
    const target = /=(?:"([^"]+)"|(\d+))$/.exec(bad?.remedy ?? '');
    if (target !== null) {
      assert.equal(examine({ [path]: target[1] ?? target[2]! }).get(name)?.level, 'ok', name);
    }
    assert.equal(finding.level, 'ok');
  }
});

test('in a container the settings of its network are those of its runtime, others the host\u2019s', () => {
  const findings = examine(
    { '/proc/sys/net/core/somaxconn': '128', '/proc/sys/fs/nr_open': '65536' },
    true,
  );
  assert.equal(
    findings.get('net.core.somaxconn')?.remedy,
    'docker run --sysctl net.core.somaxconn=4096 …',
  );
  assert.match(findings.get('fs.nr_open')?.remedy ?? '', / on the host$/);
});

test('descriptors are judged by the number of connections that they allow', () => {
  const limits = (soft: string, hard: string) =>
    examine({ '/proc/self/limits': `Max open files   ${soft}   ${hard}   files\n` }).get(
      'descriptors (RLIMIT_NOFILE)',
    )!;
  assert.equal(limits('unlimited', 'unlimited').level, 'ok');
  assert.equal(limits('20000', '20000').level, 'note');
  const few = limits('1024', '4096');
  assert.equal(few.level, 'warn');
  assert.equal(few.value, 'soft 1,024, hard 4,096');
  assert.match(few.why, /fewer than 1,024/);
  assert.match(few.remedy!, /prlimit --pid \$\$ --nofile=1048576:1048576/);
});

test('no limit of descriptors above fs.nr_open is proposed, since the kernel would refuse it', () => {
  const findings = examine({
    '/proc/self/limits': 'Max open files   1024   1024   files\n',
    '/proc/sys/fs/nr_open': '65536',
  });
  assert.match(findings.get('descriptors (RLIMIT_NOFILE)')?.remedy ?? '', /=65536:65536/);
});

test('what cannot be read, or is something else, gives no finding', () => {
  assert.deepEqual(
    examineLimits(() => undefined, false),
    [],
  );
  assert.equal(examine({ '/proc/sys/fs/nr_open': 'many' }).has('fs.nr_open'), false);
});
