/**
 * Constants and layouts of io_uring: what io_uring_setup(2), io_uring_enter(2) and io_uring_register(2) take, in the
 * kernel's spelling without its prefixes IORING_ and IOSQE_. test/base/uring-layout.test.ts compares them with what a
 * C compiler says where its headers know them. Since which Linux something exists stands beside it.
 */

// The calls' numbers, the same on x86-64 and arm64.
export const SYS_IO_URING_SETUP = 425;
export const SYS_IO_URING_ENTER = 426;
export const SYS_IO_URING_REGISTER = 427;

// Flags of io_uring_setup.
/** The length of the completion queue is given. */
export const SETUP_CQSIZE = 1 << 3;
/** 5.18: goes on with the next submission when one is wrong. */
export const SETUP_SUBMIT_ALL = 1 << 7;
/** 5.19: no interrupt for finished work: it is looked after at the next call. */
export const SETUP_COOP_TASKRUN = 1 << 8;
/** 5.19: SQ_TASKRUN says that there is such work. */
export const SETUP_TASKRUN_FLAG = 1 << 9;
/** 6.0: one thread submits. */
export const SETUP_SINGLE_ISSUER = 1 << 12;
/** 6.1: finished work waits for ENTER_GETEVENTS. */
export const SETUP_DEFER_TASKRUN = 1 << 13;

// What the kernel says it can: io_uring_params.features.
export const FEAT_SINGLE_MMAP = 1 << 0;
export const FEAT_NODROP = 1 << 1;

// io_uring_params, and the offsets in its two tables.
export const PARAMS_SIZE = 120;
export const PARAMS_SQ_ENTRIES = 0;
export const PARAMS_CQ_ENTRIES = 4;
export const PARAMS_FLAGS = 8;
export const PARAMS_FEATURES = 20;
export const PARAMS_SQ_OFFSETS = 40;
export const PARAMS_CQ_OFFSETS = 80;
/** Where io_uring's memory is mapped from: the rings, and the submission entries. */
export const MMAP_OFFSET_RINGS = 0;
export const MMAP_OFFSET_SQES = 0x1000_0000;

export const SQE_SIZE = 64;
export const CQE_SIZE = 16;

// io_uring_enter.
export const ENTER_GETEVENTS = 1;

// Flags in the shared rings.
/** Completions wait that did not fit: ENTER_GETEVENTS brings them. */
export const SQ_CQ_OVERFLOW = 1 << 1;
export const SQ_TASKRUN = 1 << 2;
/** Set by us: do not signal the registered eventfd. */
export const CQ_EVENTFD_DISABLED = 1;

// Operations.
export const OP_POLL_ADD = 6;
export const OP_POLL_REMOVE = 7;
export const OP_ACCEPT = 13;
export const OP_ASYNC_CANCEL = 14;
export const OP_CLOSE = 19;
export const OP_SEND = 26;
export const OP_RECV = 27;
export const OP_SENDMSG = 9;
export const OP_SHUTDOWN = 34;
export const OP_SEND_ZC = 47;
/** 6.7: socket options, also of direct descriptors. */
export const OP_URING_CMD = 46;
/** 6.8: makes a number of the process's table out of a direct descriptor. */
export const OP_FIXED_FD_INSTALL = 54;

// Flags of a submission.
/** `fd` is an index of the ring's own table of files. */
export const SQE_FIXED_FILE = 1 << 0;
/** The kernel picks a buffer of the group. */
export const SQE_BUFFER_SELECT = 1 << 5;

// ioprio of OP_ACCEPT (5.19) and OP_RECV (6.0).
export const ACCEPT_MULTISHOT = 1 << 0;
export const RECV_MULTISHOT = 1 << 1;

/** file_index of OP_ACCEPT: the kernel picks a free place of the table (5.19). */
export const FILE_INDEX_ALLOC = 0xffff_ffff;

// `len` of OP_POLL_ADD.
export const POLL_ADD_MULTI = 1 << 0;

// `cancel_flags` of OP_ASYNC_CANCEL (5.19).
export const ASYNC_CANCEL_ALL = 1 << 0;
export const ASYNC_CANCEL_FD = 1 << 1;
export const ASYNC_CANCEL_ANY = 1 << 2;
/** 6.0 */
export const ASYNC_CANCEL_FD_FIXED = 1 << 3;

// Flags of a completion.
/** The upper 16 bits are the number of a buffer. */
export const CQE_F_BUFFER = 1 << 0;
/** More completions of this submission follow. */
export const CQE_F_MORE = 1 << 1;
/** 6.12: the buffer goes on being filled. */
export const CQE_F_BUF_MORE = 1 << 4;
export const CQE_BUFFER_SHIFT = 16;

// io_uring_register.
export const REGISTER_EVENTFD = 4;
export const UNREGISTER_EVENTFD = 5;
export const REGISTER_PROBE = 8;
/** 5.19 */
export const REGISTER_FILES2 = 13;
/** 5.19 */
export const REGISTER_PBUF_RING = 22;
export const UNREGISTER_PBUF_RING = 23;

/** io_uring_buf_reg: address of the ring (u64), entries (u32), group (u16), flags (u16), three reserved u64. */
export const BUF_REG_SIZE = 40;
export const BUF_REG_ADDRESS = 0;
export const BUF_REG_ENTRIES = 8;
export const BUF_REG_GROUP = 12;
export const BUF_REG_FLAGS = 14;
/** 6.12: a buffer is filled by several receives, one after the other. */
export const PBUF_RING_INC = 2;

/** io_uring_buf: address (u64), length (u32), number (u16), reserved (u16), which in the first is the ring's tail. */
export const BUF_SIZE = 16;
export const BUF_TAIL = 14;

/** io_uring_rsrc_register: number (u32), flags (u32), reserved, data, tags (u64 each). */
export const RSRC_REGISTER_SIZE = 32;
export const RSRC_REGISTER_SPARSE = 1;

/** io_uring_probe: last operation (u8), how many (u8), reserved; then 8 bytes for each: number (u8), …, flags (u16). */
export const PROBE_HEADER = 16;
export const PROBE_OP_SIZE = 8;
export const PROBE_OP_FLAGS = 2;
export const OP_SUPPORTED = 1;
