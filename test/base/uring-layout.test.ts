/**
 * Every constant and offset of uring.ts against what the C compiler of this machine says of <linux/io_uring.h>. The C
 * program is written from the exports themselves, so that nothing can be added without being compared. What the
 * installed header is too old to know is listed with the Linux that brought it, and is compared as soon as it is known.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import * as uring from '../../src/base/uring.js';

type Name = keyof typeof uring;

/** Exports that do not have the kernel's name for it (see `cNameOf`). */
const EXPRESSIONS: Partial<Record<Name, string>> = {
  SYS_IO_URING_SETUP: 'SYS_io_uring_setup',
  SYS_IO_URING_ENTER: 'SYS_io_uring_enter',
  SYS_IO_URING_REGISTER: 'SYS_io_uring_register',
  PARAMS_SIZE: 'sizeof(struct io_uring_params)',
  PARAMS_SQ_ENTRIES: 'offsetof(struct io_uring_params, sq_entries)',
  PARAMS_CQ_ENTRIES: 'offsetof(struct io_uring_params, cq_entries)',
  PARAMS_FLAGS: 'offsetof(struct io_uring_params, flags)',
  PARAMS_FEATURES: 'offsetof(struct io_uring_params, features)',
  PARAMS_SQ_OFFSETS: 'offsetof(struct io_uring_params, sq_off)',
  PARAMS_CQ_OFFSETS: 'offsetof(struct io_uring_params, cq_off)',
  MMAP_OFFSET_RINGS: 'IORING_OFF_SQ_RING',
  MMAP_OFFSET_SQES: 'IORING_OFF_SQES',
  SQE_SIZE: 'sizeof(struct io_uring_sqe)',
  CQE_SIZE: 'sizeof(struct io_uring_cqe)',
  SQE_FIXED_FILE: 'IOSQE_FIXED_FILE',
  SQE_BUFFER_SELECT: 'IOSQE_BUFFER_SELECT',
  CQE_BUFFER_SHIFT: 'IORING_CQE_BUFFER_SHIFT',
  BUF_REG_SIZE: 'sizeof(struct io_uring_buf_reg)',
  BUF_REG_ADDRESS: 'offsetof(struct io_uring_buf_reg, ring_addr)',
  BUF_REG_ENTRIES: 'offsetof(struct io_uring_buf_reg, ring_entries)',
  BUF_REG_GROUP: 'offsetof(struct io_uring_buf_reg, bgid)',
  // Called `pad` before it had a use.
  BUF_REG_FLAGS: 'offsetof(struct io_uring_buf_reg, bgid) + 2',
  PBUF_RING_INC: 'IOU_PBUF_RING_INC',
  BUF_SIZE: 'sizeof(struct io_uring_buf)',
  BUF_TAIL: 'offsetof(struct io_uring_buf, resv)',
  RSRC_REGISTER_SIZE: 'sizeof(struct io_uring_rsrc_register)',
  PROBE_HEADER: 'sizeof(struct io_uring_probe)',
  PROBE_OP_SIZE: 'sizeof(struct io_uring_probe_op)',
  PROBE_OP_FLAGS: 'offsetof(struct io_uring_probe_op, flags)',
  OP_SUPPORTED: 'IO_URING_OP_SUPPORTED',
};

/** The Linux whose headers know it first, for what those of older distributions do not. */
const SINCE: Partial<Record<Name, string>> = {
  OP_FIXED_FD_INSTALL: '6.8',
  CQE_F_BUF_MORE: '6.12',
  PBUF_RING_INC: '6.12',
};
/** What those values are: the kernel's interface never changes them. */
const FIXED: Partial<Record<Name, number>> = {
  OP_FIXED_FD_INSTALL: 54,
  CQE_F_BUF_MORE: 0x10,
  PBUF_RING_INC: 2,
};

const PROGRAM_HEADERS = ['linux/io_uring.h', 'stddef.h', 'stdio.h', 'sys/syscall.h'];

const hasCompiler = spawnSync('gcc', ['--version']).status === 0;
const isCi = process.env.CI !== undefined && process.env.CI !== '';
const options = { skip: hasCompiler || isCi ? false : 'there is no gcc' };

function cNameOf(name: Name): string {
  return EXPRESSIONS[name] ?? `IORING_${name}`;
}

/** Compiles a program that prints `names`; its output by name, or undefined if it does not compile. */
function evaluateInC(names: readonly Name[]): Map<string, number> | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-uring-'));
  try {
    const source = [
      ...PROGRAM_HEADERS.map((header) => `#include <${header}>`),
      'int main(void) {',
      ...names.map((name) => `printf("${name} %lld\\n", (long long)(${cNameOf(name)}));`),
      'return 0; }',
    ].join('\n');
    writeFileSync(join(folder, 'print.c'), source);
    const compiled = spawnSync('gcc', ['-o', 'print', 'print.c'], { cwd: folder });
    if (compiled.status !== 0) return undefined;
    const run = spawnSync(join(folder, 'print'), { encoding: 'utf8' });
    assert.equal(run.status, 0);
    const lines = run.stdout.trimEnd().split('\n');
    return new Map(
      lines.map((line): [string, number] => [line.split(' ')[0]!, Number(line.split(' ')[1])]),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The exports by name. */
const ours = new Map<Name, number>(Object.entries(uring) as [Name, number][]);

test('uring.ts exports numbers only', () => {
  for (const [name, value] of ours) assert.equal(typeof value, 'number', name);
});

test('every export of uring.ts that all headers know has its value there', options, () => {
  const known = [...ours.keys()].filter((name) => SINCE[name] === undefined);
  const values = evaluateInC(known);
  assert.ok(values, 'gcc and <linux/io_uring.h> of Linux 6.1 are needed and must know all names');
  for (const name of known) {
    // FILE_INDEX_ALLOC is ~0U, and all others are small: compared as 32 bits.
    assert.equal(ours.get(name), values.get(name)! >>> 0, name);
  }
});

test('what older headers do not know is listed, and compared where it is known', options, (t) => {
  assert.deepEqual(Object.keys(SINCE).sort(), Object.keys(FIXED).sort());
  const unknown: string[] = [];
  for (const name of Object.keys(SINCE) as Name[]) {
    assert.equal(ours.get(name), FIXED[name], name);
    const value = evaluateInC([name])?.get(name);
    if (value === undefined) unknown.push(`${name} (${SINCE[name]})`);
    else assert.equal(ours.get(name), value, name);
  }
  if (unknown.length > 0) t.diagnostic(`not known here: ${unknown.join(', ')}`);
});

test('the tables of offsets have the order that linux-ring.ts reads', options, () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-uring-'));
  const sq = ['head', 'tail', 'ring_mask', 'ring_entries', 'flags', 'dropped', 'array'];
  const cq = ['head', 'tail', 'ring_mask', 'ring_entries', 'overflow', 'cqes', 'flags'];
  const fields = [
    ...sq.map((field) => `offsetof(struct io_sqring_offsets, ${field})`),
    ...cq.map((field) => `offsetof(struct io_cqring_offsets, ${field})`),
  ];
  try {
    const source = [
      ...PROGRAM_HEADERS.map((header) => `#include <${header}>`),
      'int main(void) {',
      ...fields.map((field) => `printf("%d ", (int)${field});`),
      'return 0; }',
    ].join('\n');
    writeFileSync(join(folder, 'print.c'), source);
    const compiled = spawnSync('gcc', ['-o', 'print', 'print.c'], { cwd: folder });
    assert.equal(compiled.status, 0, String(compiled.stderr));
    const run = spawnSync(join(folder, 'print'), { encoding: 'utf8' });
    const words = [0, 4, 8, 12, 16, 20, 24];
    assert.deepEqual(run.stdout.trim().split(' ').map(Number), [...words, ...words]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
