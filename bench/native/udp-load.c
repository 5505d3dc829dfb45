// udp-load: a closed-loop load generator for UDP echo servers. One thread, one epoll loop, recvmmsg and sendmmsg.
//
//   udp-load --address 127.0.0.1:9000 --sockets 4 --window 16 --bytes 64 --seconds 1
//
// Each socket is connected and keeps `window` datagrams on their way: for each echo that comes back it sends the next
// one, all that came together in one call. Each carries its number and a pattern, both of which are compared. A socket
// that hears nothing for LOST_TIMEOUT counts what is missing as lost and fills its window again.
//
// With --bulk it sends and receives as QUIC's implementations do: a window goes out as one message that the kernel divides
// (UDP_SEGMENT), and what comes back may have been put together (UDP_GRO).
//
// Commands and answers are those of echo-load: "run SECONDS" prints one line of JSON, "quit" ends. A slice starts and
// ends with nothing on its way.
#define _GNU_SOURCE
#include <getopt.h>
#include <netinet/udp.h>
#include <sys/epoll.h>

#include "endpoint.h"
#include "histogram.h"
#include "usage.h"

#define BYTES_MAX 65507
#define BATCH 64
#define LOST_TIMEOUT (100 * NANOSECONDS / 1000)

struct options {
  const char *address;
  int sockets;
  int window;
  int bytes;
  bool bulk;
  double seconds;
  double warm_up;
};

struct header {
  uint64_t number;
  uint64_t sent;
};

struct channel {
  int fd;
  int outstanding;
  uint64_t next;
  uint64_t heard;
};

static struct options options;
static struct channel *channels;
static int epoll_fd;
static bool is_running, is_measuring;
static int outstanding;
static uint64_t echoes, all_echoes, lost, errors;
static struct histogram latency;
static unsigned char *sending, *receiving;
static struct mmsghdr out[BATCH], in[BATCH];
static struct iovec out_vectors[BATCH], in_vectors[BATCH];

// One message of `count` datagrams; as many as one may have.
static int send_bulk(struct channel *channel, int count) {
  int most = 65507 / options.bytes;
  if (count > most) count = most;
  struct iovec vector = {.iov_base = sending, .iov_len = (size_t)count * (size_t)options.bytes};
  char control[CMSG_SPACE(sizeof(uint16_t))] = {0};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = IPPROTO_UDP;
  head->cmsg_type = UDP_SEGMENT;
  head->cmsg_len = CMSG_LEN(sizeof(uint16_t));
  uint16_t size = (uint16_t)options.bytes;
  memcpy(CMSG_DATA(head), &size, sizeof size);
  return sendmsg(channel->fd, &message, MSG_DONTWAIT) < 0 ? -1 : count;
}

static void send_some(struct channel *channel, int count) {
  while (count > 0) {
    int batch = count < BATCH ? count : BATCH;
    uint64_t now = now_ns();
    for (int i = 0; i < batch; i++) {
      struct header header = {.number = channel->next + (uint64_t)i, .sent = now};
      memcpy(sending + (size_t)i * (size_t)options.bytes, &header, sizeof header);
    }
    int n = options.bulk ? send_bulk(channel, batch) : sendmmsg(channel->fd, out, (unsigned)batch, MSG_DONTWAIT);
    if (n <= 0) {
      if (errno != EAGAIN && errors++ == 0) fprintf(stderr, "udp-load: sendmmsg: %s\n", strerror(errno));
      return;
    }
    channel->next += (uint64_t)n;
    channel->outstanding += n;
    outstanding += n;
    count -= n;
  }
}

static void check(struct channel *channel, const unsigned char *bytes, size_t length, uint64_t now) {
  struct header header;
  memcpy(&header, bytes, sizeof header);
  const unsigned char *expected = sending + sizeof header;
  size_t rest = (size_t)options.bytes - sizeof header;
  if (length != (size_t)options.bytes || header.number >= channel->next ||
      memcmp(bytes + sizeof header, expected, rest) != 0) {
    if (errors++ == 0) fprintf(stderr, "udp-load: an echo of %zu bytes that is none\n", length);
    return;
  }
  // What was given up for lost may come all the same.
  if (channel->outstanding > 0) {
    channel->outstanding--;
    outstanding--;
  }
  all_echoes++;
  if (is_measuring) {
    echoes++;
    histogram_record(&latency, now - header.sent);
  }
}

static void receive_bulk(struct channel *channel) {
  for (;;) {
    ssize_t n = recv(channel->fd, receiving, BYTES_MAX, MSG_DONTWAIT);
    if (n < 0) return;
    uint64_t now = now_ns();
    channel->heard = now;
    for (ssize_t at = 0; at < n; at += options.bytes) {
      ssize_t rest = n - at;
      check(channel, receiving + at, (size_t)(rest < options.bytes ? rest : options.bytes), now);
    }
    if (is_running) send_some(channel, options.window - channel->outstanding);
  }
}

static void receive(struct channel *channel) {
  if (options.bulk) {
    receive_bulk(channel);
    return;
  }
  for (;;) {
    int n = recvmmsg(channel->fd, in, BATCH, MSG_DONTWAIT, NULL);
    if (n <= 0) {
      if (n < 0 && errno != EAGAIN && errors++ == 0) fprintf(stderr, "udp-load: %s\n", strerror(errno));
      return;
    }
    uint64_t now = now_ns();
    channel->heard = now;
    for (int i = 0; i < n; i++) {
      check(channel, receiving + (size_t)i * (size_t)options.bytes, in[i].msg_len, now);
    }
    if (is_running) send_some(channel, options.window - channel->outstanding);
    if (n < BATCH) return;
  }
}

static void turn(void) {
  struct epoll_event events[64];
  int n = epoll_wait(epoll_fd, events, 64, 5);
  for (int i = 0; i < n; i++) receive(events[i].data.ptr);
  uint64_t now = now_ns();
  for (int i = 0; i < options.sockets; i++) {
    struct channel *channel = &channels[i];
    if (channel->outstanding > 0 && now - channel->heard > LOST_TIMEOUT) {
      lost += (uint64_t)channel->outstanding;
      outstanding -= channel->outstanding;
      channel->outstanding = 0;
      channel->heard = now;
      if (is_running) send_some(channel, options.window);
    }
  }
}

static double microseconds(double fraction) {
  return (double)histogram_percentile(&latency, fraction) / 1e3;
}

static void run_slice(double seconds) {
  echoes = all_echoes = lost = errors = 0;
  histogram_clear(&latency);
  double cpu = cpu_seconds();
  uint64_t start = now_ns();
  uint64_t from = start + (uint64_t)(options.warm_up * (double)NANOSECONDS);
  uint64_t until = from + (uint64_t)(seconds * (double)NANOSECONDS);
  is_running = true;
  for (int i = 0; i < options.sockets; i++) {
    channels[i].heard = start;
    send_some(&channels[i], options.window);
  }
  uint64_t now = now_ns();
  for (; now < until; now = now_ns()) {
    if (!is_measuring && now >= from) {
      is_measuring = true;
      from = now;
    }
    turn();
  }
  is_running = is_measuring = false;
  while (outstanding > 0) turn();
  double measured = (double)(now - from) / 1e9;
  printf("{\"sockets\":%d,\"window\":%d,\"messageBytes\":%d,\"seconds\":%.6f,", options.sockets,
         options.window, options.bytes, measured);
  printf("\"requests\":%llu,\"rate\":%.1f,\"lost\":%llu,\"errors\":%llu,", (unsigned long long)echoes,
         (double)echoes / measured, (unsigned long long)lost, (unsigned long long)errors);
  printf("\"p50Us\":%.2f,\"p99Us\":%.2f,\"totalSeconds\":%.6f,\"totalRequests\":%llu,", microseconds(0.5),
         microseconds(0.99), (double)(now_ns() - start) / 1e9, (unsigned long long)all_echoes);
  printf("\"clientCpuSeconds\":%.6f}\n", cpu_seconds() - cpu);
  fflush(stdout);
}

static void open_all(void) {
  struct endpoint endpoint = parse_endpoint(options.address, 1);
  channels = allocate((size_t)options.sockets, sizeof *channels);
  for (int i = 0; i < options.sockets; i++) {
    struct channel *channel = &channels[i];
    channel->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const struct sockaddr *address = (const struct sockaddr *)&endpoint.address;
    if (channel->fd < 0 || connect(channel->fd, address, endpoint.address_bytes) < 0) {
      fail("cannot connect to %s: %s", options.address, strerror(errno));
    }
    int on = 1;
    if (options.bulk) setsockopt(channel->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = channel};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, channel->fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
  }
  size_t bytes = (size_t)options.bytes;
  sending = allocate(BATCH, bytes);
  receiving = allocate(1, BATCH * bytes > BYTES_MAX ? BATCH * bytes : BYTES_MAX);
  for (size_t i = 0; i < BATCH * bytes; i++) sending[i] = (unsigned char)((i % bytes) * 131);
  for (int i = 0; i < BATCH; i++) {
    out_vectors[i] = (struct iovec){.iov_base = sending + (size_t)i * bytes, .iov_len = bytes};
    in_vectors[i] = (struct iovec){.iov_base = receiving + (size_t)i * bytes, .iov_len = bytes};
    out[i].msg_hdr = (struct msghdr){.msg_iov = &out_vectors[i], .msg_iovlen = 1};
    in[i].msg_hdr = (struct msghdr){.msg_iov = &in_vectors[i], .msg_iovlen = 1};
  }
}

static void run_commands(void) {
  char line[128];
  printf("{\"mode\":\"ready\"}\n");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "quit\n") != 0) {
    double seconds = 0;
    if (sscanf(line, "run %lf", &seconds) != 1 || !(seconds > 0)) fail("not a command: %s", line);
    run_slice(seconds);
  }
}

static const char USAGE[] =
    "usage: udp-load --address 127.0.0.1:9000 [--sockets N] [--window N] [--bytes N] [--bulk]\n"
    "  [--seconds S] [--warm-up S]";

static void parse_options(int count, char **arguments) {
  static const struct option known[] = {
      {"address", required_argument, NULL, 'a'}, {"sockets", required_argument, NULL, 'c'},
      {"window", required_argument, NULL, 'w'},  {"bytes", required_argument, NULL, 'b'},
      {"seconds", required_argument, NULL, 't'}, {"warm-up", required_argument, NULL, 'u'},
      {"bulk", no_argument, NULL, 'k'},
      {NULL, 0, NULL, 0}};
  options = (struct options){.sockets = 4, .window = 16, .bytes = 64};
  for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
    switch (option) {
      case 'a': options.address = optarg; break;
      case 'c': options.sockets = atoi(optarg); break;
      case 'w': options.window = atoi(optarg); break;
      case 'b': options.bytes = atoi(optarg); break;
      case 't': options.seconds = atof(optarg); break;
      case 'u': options.warm_up = atof(optarg); break;
      case 'k': options.bulk = true; break;
      default: fail("%s", USAGE);
    }
  }
  bool is_valid = options.address != NULL && optind == count && options.sockets > 0 && options.window > 0;
  is_valid &= options.bytes >= (int)sizeof(struct header) && options.bytes <= BYTES_MAX;
  if (!is_valid) fail("%s", USAGE);
}

int main(int count, char **arguments) {
  parse_options(count, arguments);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
  open_all();
  if (options.seconds > 0) run_slice(options.seconds);
  else run_commands();
  return errors == 0 ? 0 : 1;
}
