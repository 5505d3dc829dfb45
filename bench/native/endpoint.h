// endpoint.h: where a client of the benchmark connects to, and the steps of a non-blocking connect.
//
// Used by echo-load.c and idle-clients.c. Addresses are numeric (the benchmark stays on this machine):
// "tcp://127.0.0.1:9000", "127.0.0.1:9000", "unix:///run/echo.sock" or a path with a slash in it.
//
// A connection is named by four numbers (two addresses, two ports), and the kernel has about 28,000 local ports for
// each pair of addresses. Beyond that, and for speed well before it, clients spread over source addresses 127.0.0.1 to
// 127.0.0.N. IP_BIND_ADDRESS_NO_PORT (ip(7)) leaves the choice of the port to connect(), which knows all four numbers;
// without it bind() would need a port that is free for every destination.
//
// With `bind_from` a client has one source address for itself and chooses the ports, too, one after the other: then
// connect() has nothing to search for, which above half of the port range takes it milliseconds for each connection,
// and net.ipv4.ip_local_port_range does not count.
#ifndef MILLRACE_BENCH_ENDPOINT_H
#define MILLRACE_BENCH_ENDPOINT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS 1000000000ull
#define SOURCE_PORT_MIN 10000
#define SOURCE_PORT_MAX 65535

struct endpoint {
  struct sockaddr_storage address;
  socklen_t address_bytes;
  int sources;  // How many source addresses to spread over; 1 leaves the choice to the kernel.
  struct sockaddr_in source;  // With a family: the one source address, with the next port to try.
};

static inline uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NANOSECONDS + (uint64_t)now.tv_nsec;
}

// Says what is wrong on stderr and ends the program: for wrong arguments and for what makes a measurement worthless.
__attribute__((noreturn, format(printf, 1, 2))) static inline void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

static inline void *allocate(size_t count, size_t bytes) {
  void *memory = calloc(count, bytes);
  if (memory == NULL) fail("out of memory: %zu times %zu bytes", count, bytes);
  return memory;
}

static inline void parse_unix_path(const char *path, struct endpoint *endpoint) {
  struct sockaddr_un *address = (struct sockaddr_un *)&endpoint->address;
  if (strlen(path) >= sizeof address->sun_path) fail("the path is too long: %s", path);
  address->sun_family = AF_UNIX;
  strcpy(address->sun_path, path);
  endpoint->address_bytes = sizeof *address;
}

static inline struct endpoint parse_endpoint(const char *text, int sources) {
  struct endpoint endpoint = {.sources = sources};
  if (strncmp(text, "unix://", 7) == 0) {
    parse_unix_path(text + 7, &endpoint);
    return endpoint;
  }
  if (strncmp(text, "tcp://", 6) == 0) text += 6;
  if (strchr(text, '/') != NULL) {
    parse_unix_path(text, &endpoint);
    return endpoint;
  }
  char host[64];
  int port = 0;
  if (sscanf(text, "%63[^:]:%d", host, &port) != 2 || port < 1 || port > 65535) {
    fail("not an address: %s (expected tcp://127.0.0.1:9000 or unix:///path)", text);
  }
  struct sockaddr_in *address = (struct sockaddr_in *)&endpoint.address;
  address->sin_family = AF_INET;
  address->sin_port = htons((uint16_t)port);
  if (inet_pton(AF_INET, host, &address->sin_addr) != 1) {
    fail("not a numeric IPv4 address: %s", host);
  }
  endpoint.address_bytes = sizeof *address;
  return endpoint;
}

static inline void bind_source(int fd, int source) {
  int on = 1;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)source);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    fail("cannot bind to source address 127.0.0.%d: %s", source + 1, strerror(errno));
  }
}

// From now on all connections come from this numeric address, which no other client may use.
static inline void bind_from(struct endpoint *endpoint, const char *source) {
  endpoint->source.sin_family = AF_INET;
  endpoint->source.sin_port = htons(SOURCE_PORT_MIN);
  if (inet_pton(AF_INET, source, &endpoint->source.sin_addr) != 1) {
    fail("not a numeric IPv4 address: %s", source);
  }
}

// SO_REUSEADDR takes ports that wait after an earlier run; a port in use by somebody else is passed over.
static inline void bind_next_port(int fd, struct endpoint *endpoint) {
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  for (int tried = SOURCE_PORT_MIN; tried <= SOURCE_PORT_MAX; tried++) {
    struct sockaddr_in source = endpoint->source;
    int port = ntohs(source.sin_port);
    endpoint->source.sin_port = htons(port == SOURCE_PORT_MAX ? SOURCE_PORT_MIN : port + 1);
    if (bind(fd, (struct sockaddr *)&source, sizeof source) == 0) return;
    if (errno != EADDRINUSE) break;
  }
  fail("cannot bind to a source port: %s", strerror(errno));
}

// Opens the socket and starts connecting. `index` chooses the source address, unless `bind_from` has.
// Returns the descriptor (the socket becomes writable when the outcome is known) or a negated errno.
// -EAGAIN means that the backlog of a Unix listener is full: a TCP connect would wait, this one must be tried again.
static inline int start_connect(struct endpoint *endpoint, int index) {
  int family = endpoint->address.ss_family;
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (family == AF_INET) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (endpoint->source.sin_family == AF_INET) bind_next_port(fd, endpoint);
    else if (endpoint->sources > 1) bind_source(fd, index % endpoint->sources);
  }
  const struct sockaddr *address = (const struct sockaddr *)&endpoint->address;
  if (connect(fd, address, endpoint->address_bytes) == 0 || errno == EINPROGRESS) return fd;
  int error = errno;
  close(fd);
  return -error;
}

// The outcome of a connect whose socket became writable: 0 or an errno (connect(2), under EINPROGRESS).
static inline int connect_outcome(int fd) {
  int error = 0;
  socklen_t bytes = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0) return errno;
  return error;
}

#endif
