// udp-reference: a UDP echo server in C, as plain as it can be and fast: epoll, and batches of recvmmsg and sendmmsg.
// Prints "listening PORT". With --single one recvfrom and one sendto for each datagram; with --multishot io_uring's
// multishot receive in place of recvmmsg: the three ways that there are, for comparison.
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "endpoint.h"

#define BATCH 64
#define BYTES_MAX 65536
#define STRIDE (BYTES_MAX + 64)
#define RING_ENTRIES 256
// Of multishot receives: a head, the name, and the payload.
#define BUFFER_BYTES 2048
#define NAME_BYTES 16

static unsigned char *payloads;
static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];
static struct sockaddr_in names[BATCH];

static void reply(int fd, int count) {
  for (int first = 0; first < count;) {
    int n = sendmmsg(fd, messages + first, (unsigned)(count - first), MSG_DONTWAIT);
    // A datagram that finds no room is lost, as datagrams are.
    first += n > 0 ? n : 1;
  }
}

static void serve_batches(int fd) {
  for (;;) {
    for (int i = 0; i < BATCH; i++) {
      vectors[i].iov_len = BYTES_MAX;
      messages[i].msg_hdr.msg_namelen = sizeof names[i];
    }
    int n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    if (n <= 0) return;
    for (int i = 0; i < n; i++) vectors[i].iov_len = messages[i].msg_len;
    reply(fd, n);
    if (n < BATCH) return;
  }
}

static void serve_single(int fd) {
  for (;;) {
    socklen_t bytes = sizeof names[0];
    struct sockaddr *name = (struct sockaddr *)&names[0];
    ssize_t n = recvfrom(fd, payloads, BYTES_MAX, MSG_DONTWAIT, name, &bytes);
    if (n < 0) return;
    sendto(fd, payloads, (size_t)n, MSG_DONTWAIT, name, bytes);
  }
}

struct ring {
  int fd;
  unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
  struct io_uring_buf_ring *buffers;
  unsigned char *memory;
  struct msghdr header;
};

static void *map(int fd, size_t bytes, off_t offset) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
  if (memory == MAP_FAILED) fail("mmap: %s", strerror(errno));
  return memory;
}

static void provide(struct ring *ring, unsigned id, unsigned short *tail) {
  struct io_uring_buf *buffer = &ring->buffers->bufs[*tail & (RING_ENTRIES - 1)];
  buffer->addr = (uint64_t)(uintptr_t)(ring->memory + (size_t)id * BUFFER_BYTES);
  buffer->len = BUFFER_BYTES;
  buffer->bid = (unsigned short)id;
  (*tail)++;
}

static void arm(struct ring *ring, int fd) {
  struct io_uring_sqe *sqe = &ring->sqes[*ring->sq_tail & *ring->sq_mask];
  memset(sqe, 0, sizeof *sqe);
  sqe->opcode = IORING_OP_RECVMSG;
  sqe->fd = fd;
  sqe->addr = (uint64_t)(uintptr_t)&ring->header;
  sqe->ioprio = IORING_RECV_MULTISHOT;
  sqe->flags = IOSQE_BUFFER_SELECT;
  __atomic_store_n(ring->sq_tail, *ring->sq_tail + 1, __ATOMIC_RELEASE);
}

static struct ring open_ring(void) {
  struct ring ring = {.header = {.msg_namelen = NAME_BYTES}};
  struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
  ring.fd = (int)syscall(SYS_io_uring_setup, RING_ENTRIES, &params);
  if (ring.fd < 0) fail("io_uring_setup: %s", strerror(errno));
  size_t bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
  size_t array = params.sq_off.array + params.sq_entries * sizeof(unsigned);
  char *rings = map(ring.fd, bytes > array ? bytes : array, IORING_OFF_SQ_RING);
  ring.sqes = map(ring.fd, params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
  ring.sq_tail = (unsigned *)(rings + params.sq_off.tail);
  ring.sq_mask = (unsigned *)(rings + params.sq_off.ring_mask);
  ring.sq_array = (unsigned *)(rings + params.sq_off.array);
  ring.cq_head = (unsigned *)(rings + params.cq_off.head);
  ring.cq_tail = (unsigned *)(rings + params.cq_off.tail);
  ring.cq_mask = (unsigned *)(rings + params.cq_off.ring_mask);
  ring.cqes = (struct io_uring_cqe *)(rings + params.cq_off.cqes);
  for (unsigned i = 0; i < params.sq_entries; i++) ring.sq_array[i] = i;
  size_t table = RING_ENTRIES * sizeof(struct io_uring_buf);
  int anonymous = MAP_ANONYMOUS | MAP_PRIVATE;
  ring.buffers = mmap(NULL, table, PROT_READ | PROT_WRITE, anonymous, -1, 0);
  struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)ring.buffers, .ring_entries = RING_ENTRIES};
  if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_PBUF_RING, &reg, 1) < 0) {
    fail("io_uring_register: %s", strerror(errno));
  }
  ring.memory = allocate(RING_ENTRIES, BUFFER_BYTES);
  return ring;
}

static void serve_multishot(int fd) {
  static struct ring ring;
  ring = open_ring();
  unsigned short tail = 0;
  for (unsigned i = 0; i < RING_ENTRIES; i++) provide(&ring, i, &tail);
  __atomic_store_n(&ring.buffers->tail, tail, __ATOMIC_RELEASE);
  arm(&ring, fd);
  unsigned submit = 1;
  for (;;) {
    syscall(SYS_io_uring_enter, ring.fd, submit, 1, IORING_ENTER_GETEVENTS, NULL, 0);
    submit = 0;
    unsigned head = *ring.cq_head;
    unsigned end = __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE);
    while (head != end) {
      int count = 0;
      unsigned first = head;
      for (; head != end && count < BATCH; head++) {
        struct io_uring_cqe *cqe = &ring.cqes[head & *ring.cq_mask];
        if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
          arm(&ring, fd);
          submit = 1;
        }
        if (cqe->res < 0) continue;
        unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        unsigned char *at = ring.memory + (size_t)id * BUFFER_BYTES;
        struct io_uring_recvmsg_out *out = (struct io_uring_recvmsg_out *)at;
        vectors[count].iov_base = at + sizeof *out + NAME_BYTES;
        vectors[count].iov_len = out->payloadlen;
        messages[count].msg_hdr.msg_name = at + sizeof *out;
        messages[count].msg_hdr.msg_namelen = out->namelen;
        count++;
      }
      reply(fd, count);
      for (unsigned i = first; i != head; i++) {
        struct io_uring_cqe *cqe = &ring.cqes[i & *ring.cq_mask];
        if (cqe->res >= 0) provide(&ring, cqe->flags >> IORING_CQE_BUFFER_SHIFT, &tail);
      }
      __atomic_store_n(&ring.buffers->tail, tail, __ATOMIC_RELEASE);
    }
    __atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
  }
}

int main(int count, char **arguments) {
  const char *way = count > 1 ? arguments[1] : "";
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, bytes) < 0) fail("bind: %s", strerror(errno));
  getsockname(fd, (struct sockaddr *)&address, &bytes);
  payloads = allocate(BATCH, STRIDE);
  for (int i = 0; i < BATCH; i++) {
    vectors[i] = (struct iovec){.iov_base = payloads + (size_t)i * STRIDE, .iov_len = BYTES_MAX};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
  }
  int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN};
  if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll: %s", strerror(errno));
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);
  if (strcmp(way, "--multishot") == 0) serve_multishot(fd);
  for (;;) {
    epoll_wait(epoll_fd, &event, 1, -1);
    if (strcmp(way, "--single") == 0) serve_single(fd);
    else serve_batches(fd);
  }
}
