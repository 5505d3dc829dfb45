/** cli/surroundings: CPUs, memory, container and filter, of machines that the test makes up. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { containerHints, examineSurroundings } from '../../src/cli/surroundings.js';

const GB = 2 ** 30;

function examine(files: Readonly<Record<string, string>>, environment: NodeJS.ProcessEnv = {}) {
  const machine = { cpus: 4, memoryBytes: 8 * GB, environment };
  const findings = examineSurroundings((path) => files[path], machine);
  return new Map(findings.map((finding) => [finding.name, finding]));
}

test('a bare machine has no limits', () => {
  const findings = examine({ '/proc/self/status': 'Seccomp:\t0\nCpus_allowed_list:\t0-3\n' });
  assert.equal(findings.get('CPUs')?.value, '4 (0-3)');
  assert.equal(findings.get('memory')?.value, '8,589.9 MB, no cgroup limit');
  assert.equal(findings.get('system call filter (seccomp)')?.value, 'none');
  assert.equal(findings.get('container')?.value, 'no sign of one');
  for (const { level } of findings.values()) assert.equal(level, 'ok');
});

test('the quota of a cgroup bounds the reactors, in both versions', () => {
  const unified = {
    '/proc/self/cgroup': '0::/app\n',
    '/sys/fs/cgroup/app/cpu.max': '150000 100000\n',
  };
  const legacy = {
    '/proc/self/cgroup': '5:cpuacct,cpu:/app\n',
    '/sys/fs/cgroup/cpu/app/cpu.cfs_quota_us': '150000\n',
    '/sys/fs/cgroup/cpu/app/cpu.cfs_period_us': '100000\n',
  };
  for (const files of [unified, legacy]) {
    const finding = examine(files).get('CPUs')!;
    assert.equal(finding.level, 'note');
    assert.equal(finding.value, '4, of which a cgroup gives 1.5');
    assert.equal(finding.remedy, '--reactors 1');
  }
  const none = { ...unified, '/sys/fs/cgroup/app/cpu.max': 'max 100000\n' };
  assert.equal(examine(none).get('CPUs')?.value, '4');
  const off = { ...legacy, '/sys/fs/cgroup/cpu/app/cpu.cfs_quota_us': '-1\n' };
  assert.equal(examine(off).get('CPUs')?.level, 'ok');
});

test('the memory of a cgroup counts, in both versions, also where the path is the host\u2019s', () => {
  const cases = [
    { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': `${GB}\n` },
    { '/proc/self/cgroup': '0::/docker/abc\n', '/sys/fs/cgroup/memory.max': `${GB}\n` },
    {
      '/proc/self/cgroup': '4:memory:/app\n0::/\n',
      '/sys/fs/cgroup/memory/app/memory.limit_in_bytes': `${GB}\n`,
    },
  ];
  for (const files of cases) {
    assert.match(examine(files).get('memory')!.value, /^1,073\.7 MB by a cgroup, of 8,589\.9 MB$/);
  }
  const unlimited = {
    '/proc/self/cgroup': '4:memory:/\n',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
  };
  assert.match(examine(unlimited).get('memory')!.value, /no cgroup limit$/);
  const little = { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': '67108864' };
  assert.equal(examine(little).get('memory')?.level, 'warn');
});

test('a filter of system calls is a note', () => {
  const finding = examine({ '/proc/self/status': 'Seccomp:\t2\n' }).get(
    'system call filter (seccomp)',
  );
  assert.equal(finding?.level, 'note');
  assert.equal(finding?.value, 'on');
});

test('signs of a container are found where runtimes leave them', () => {
  const files: Record<string, string> = {
    '/.dockerenv': '',
    '/run/.containerenv': 'engine="podman"',
    '/proc/1/cgroup': '0::/kubepods/besteffort/pod1\n',
  };
  const environment = { container: 'podman', KUBERNETES_SERVICE_HOST: '10.0.0.1' };
  assert.deepEqual(
    containerHints((path) => files[path], environment),
    ['/.dockerenv', '/run/.containerenv', 'container=podman', 'Kubernetes', 'cgroup of kubepods'],
  );
  assert.deepEqual(
    containerHints(() => undefined, {}),
    [],
  );
});
