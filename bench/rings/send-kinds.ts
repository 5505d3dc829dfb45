/** The ways to send that are compared, and those constants of io_uring that only they need. */
import { OP_SEND, OP_SEND_ZC } from '../../src/base/uring.js';

/** ioprio of OP_SEND_ZC (6.0): the memory is that of the registered buffer `buf_index`. */
const RECVSEND_FIXED_BUF = 1 << 2;
/** ioprio of OP_SEND_ZC (6.2): the notification says whether the bytes were copied all the same. */
const SEND_ZC_REPORT_USAGE = 1 << 3;

/** Result of a notification: IORING_NOTIF_USAGE_ZC_COPIED, which is the sign. */
export const NOTIF_USAGE_ZC_COPIED = 1 << 31;

/** Flag of a completion (6.0): the kernel no longer reads the memory of an earlier one's submission. */
export const CQE_F_NOTIF = 1 << 3;

/** io_uring_register: an array of iovecs. */
export const REGISTER_BUFFERS = 0;

export const SEND_KINDS = ['send', 'zc', 'zc-fixed'] as const;

export type SendKind = (typeof SEND_KINDS)[number];

/** The first word of the submission: operation, and ioprio in the upper half. */
export const SEND_HEADS: Readonly<Record<SendKind, number>> = {
  send: OP_SEND,
  zc: OP_SEND_ZC | (SEND_ZC_REPORT_USAGE << 16),
  'zc-fixed': OP_SEND_ZC | ((SEND_ZC_REPORT_USAGE | RECVSEND_FIXED_BUF) << 16),
};

/** What a sender reports of one slice. */
export interface SendReport {
  readonly bytes: number;
  /** Completed submissions; those that met a full socket are counted in `full` alone. */
  readonly sends: number;
  readonly full: number;
  /** Second completions, and how many of them said that the bytes were copied. */
  readonly notifications: number;
  readonly copied: number;
  /** How often a connection could not go on, since the kernel still had all its buffers. */
  readonly starved: number;
  /** Of all threads of the sender. */
  readonly cpuSeconds: number;
}
