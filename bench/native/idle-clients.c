// idle-clients: opens connections that each echo one message and are then silent, for measuring what a connection costs
// a server that holds it. One thread, one epoll loop.
//
//   idle-clients --address tcp://127.0.0.1:9000 [--bytes 64] [--sources N]
//
// Commands on standard input, one on a line; each is answered with one line of JSON when it is done, and during a long
// one lines with "event":"progress" tell how far it is:
//   "open N"   opens N more connections; each echoes once before it counts as open
//   "echo"     every open connection echoes once more
//   "close"    closes all connections
//   "quit"     ends, as does the end of input
// At most AT_ONCE_MAX connections are connecting or echoing at any moment. A connection that fails, that the server
// closed, or whose echo differs or does not come within ten seconds is counted as lost and closed.
#define _GNU_SOURCE
#include <getopt.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "endpoint.h"

#define AT_ONCE_MAX 128
#define EVENTS_MAX 256
#define MESSAGE_BYTES_MAX 4096
#define SILENCE_MAX (10 * NANOSECONDS)

enum state { CLOSED, CONNECTING, ECHOING, HOLDING };

struct connection {
  int fd;
  enum state state;
  int received;  // Bytes of the present echo.
  uint64_t started;
};

static struct endpoint endpoint;
static const char *address;
static int message_bytes = 64;
static int epoll_fd;
static struct connection *connections;
static int connections_max;
static int connections_used;  // Entries below this were used; a closed one is not used again.

// Of the present command, but `open_count`.
static int open_count;
static int busy_count;
static int done_count;
static int lost_count;
static uint64_t max_ns;

static void lose(struct connection *connection, const char *why) {
  if (lost_count++ == 0) {
    fprintf(stderr, "idle-clients: connection %td: %s\n", connection - connections, why);
  }
  if (connection->state == HOLDING) open_count--;
  else busy_count--;
  close(connection->fd);
  connection->state = CLOSED;
}

static void watch(int operation, struct connection *connection, uint32_t interest) {
  struct epoll_event event = {.events = interest, .data.ptr = connection};
  if (epoll_ctl(epoll_fd, operation, connection->fd, &event) < 0) {
    fail("epoll_ctl: %s", strerror(errno));
  }
}

// The connection's number comes first, so that the echo of another connection is noticed.
static void fill_message(char *message, const struct connection *connection) {
  int index = (int)(connection - connections);
  size_t bytes = (size_t)message_bytes;
  memset(message, 'm', bytes);
  memcpy(message, &index, sizeof index < bytes ? sizeof index : bytes);
}

// The socket's buffer is empty and larger than any message, so that a short send means something is broken.
static void start_echo(struct connection *connection) {
  char message[MESSAGE_BYTES_MAX];
  fill_message(message, connection);
  connection->state = ECHOING;
  connection->received = 0;
  ssize_t n = send(connection->fd, message, (size_t)message_bytes, MSG_NOSIGNAL);
  if (n != message_bytes) lose(connection, n < 0 ? strerror(errno) : "short send");
}

static bool start_open(void) {
  int index = connections_used;
  struct connection *connection = &connections[index];
  int fd = start_connect(&endpoint, index);
  if (fd == -EAGAIN) return false;
  if (fd < 0) fail("connection %d: cannot connect to %s: %s", index, address, strerror(-fd));
  connection->fd = fd;
  connection->state = CONNECTING;
  connection->started = now_ns();
  connections_used++;
  busy_count++;
  watch(EPOLL_CTL_ADD, connection, EPOLLOUT);
  return true;
}

static void finish_connect(struct connection *connection) {
  int error = connect_outcome(connection->fd);
  if (error != 0) {
    lose(connection, strerror(error));
    return;
  }
  watch(EPOLL_CTL_MOD, connection, EPOLLIN);
  start_echo(connection);
}

static void receive(struct connection *connection) {
  char expected[MESSAGE_BYTES_MAX];
  char received[MESSAGE_BYTES_MAX];
  ssize_t n = recv(connection->fd, received, sizeof received, 0);
  if (n <= 0) {
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    lose(connection, n == 0 ? "closed by the server" : strerror(errno));
    return;
  }
  fill_message(expected, connection);
  bool is_expected = connection->state == ECHOING && connection->received + n <= message_bytes &&
                     memcmp(received, expected + connection->received, (size_t)n) == 0;
  if (!is_expected) {
    lose(connection, "received bytes that were not sent");
    return;
  }
  connection->received += (int)n;
  if (connection->received < message_bytes) return;
  uint64_t taken = now_ns() - connection->started;
  if (taken > max_ns) max_ns = taken;
  connection->state = HOLDING;
  busy_count--;
  open_count++;
  done_count++;
}

static int turn(int timeout_ms) {
  static struct epoll_event events[EVENTS_MAX];
  int n = epoll_wait(epoll_fd, events, EVENTS_MAX, timeout_ms);
  if (n < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
  for (int i = 0; i < n; i++) {
    struct connection *connection = events[i].data.ptr;
    if (connection->state == CONNECTING) finish_connect(connection);
    else if (connection->state != CLOSED) receive(connection);
  }
  return n;
}

static void print_answer(const char *event, uint64_t begin) {
  double seconds = (double)(now_ns() - begin) / 1e9;
  printf("{\"event\":\"%s\",\"open\":%d,\"done\":%d,", event, open_count, done_count);
  printf("\"lost\":%d,\"seconds\":%.3f,", lost_count, seconds);
  printf("\"maxUs\":%.1f}\n", (double)max_ns / 1e3);
  fflush(stdout);
}

// Starts the next piece of the present command. False when nothing can be started now.
typedef bool (*start_next)(int number);

static bool open_next(int number) {
  (void)number;
  return start_open();
}

static bool echo_next(int number) {
  struct connection *connection = &connections[number];
  if (connection->state != HOLDING) return true;
  open_count--;
  busy_count++;
  connection->started = now_ns();
  start_echo(connection);
  return true;
}

// Runs a command of `count` pieces: starts as many as may be on their way at once, and waits for the last one.
static void run(const char *event, int count, start_next start) {
  uint64_t begin = now_ns();
  uint64_t progress_at = begin + NANOSECONDS;
  uint64_t last_event_at = begin;
  done_count = lost_count = 0;
  max_ns = 0;
  for (int begun = 0; begun < count || busy_count > 0;) {
    while (begun < count && busy_count < AT_ONCE_MAX && start(begun)) begun++;
    if (busy_count == 0 && begun == count) break;
    int n = turn(busy_count == 0 ? 1 : 100);
    uint64_t now = now_ns();
    if (n > 0) last_event_at = now;
    if (now - last_event_at > SILENCE_MAX) {
      for (int i = 0; i < connections_used; i++) {
        enum state state = connections[i].state;
        if (state == CONNECTING || state == ECHOING) lose(&connections[i], "no echo within 10 s");
      }
      if (begun < count) fail("gave up after %d of %d: the server is silent", begun, count);
    }
    if (now > progress_at) {
      progress_at = now + NANOSECONDS;
      print_answer("progress", begin);
    }
  }
  print_answer(event, begin);
}

static void close_all(void) {
  uint64_t begin = now_ns();
  done_count = lost_count = 0;
  for (int i = 0; i < connections_used; i++) {
    if (connections[i].state == CLOSED) continue;
    close(connections[i].fd);
    connections[i].state = CLOSED;
    done_count++;
  }
  open_count = 0;
  print_answer("close", begin);
}

static void run_commands(void) {
  char line[128];
  int count = 0;
  printf("{\"event\":\"ready\"}\n");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "quit\n") != 0) {
    if (sscanf(line, "open %d", &count) == 1 && count > 0) {
      if (count > connections_max - connections_used) {
        fail("more than %d connections in all", connections_max);
      }
      run("open", count, open_next);
    } else if (strcmp(line, "echo\n") == 0) {
      run("echo", connections_used, echo_next);
    } else if (strcmp(line, "close\n") == 0) {
      close_all();
    } else {
      fail("not a command: %s", line);
    }
  }
}

int main(int count, char **arguments) {
  static const struct option known[] = {{"address", required_argument, NULL, 'a'},
                                        {"bytes", required_argument, NULL, 'b'},
                                        {"sources", required_argument, NULL, 'o'},
                                        {NULL, 0, NULL, 0}};
  int sources = 1;
  for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
    if (option == 'a') address = optarg;
    else if (option == 'b') message_bytes = atoi(optarg);
    else if (option == 'o') sources = atoi(optarg);
    else address = NULL;
  }
  bool is_valid = address != NULL && message_bytes > 0 && message_bytes <= MESSAGE_BYTES_MAX;
  if (!is_valid || sources < 1 || sources > 254) {
    fail("usage: idle-clients --address tcp://127.0.0.1:9000 [--bytes 1…4096] [--sources 1…254]");
  }
  endpoint = parse_endpoint(address, sources);
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail("getrlimit: %s", strerror(errno));
  // Twice as many as can be open at a time, as an entry is used once and a run opens some to warm the server up.
  connections_max = limit.rlim_cur < 1u << 20 ? (int)limit.rlim_cur * 2 : 1 << 21;
  connections = allocate((size_t)connections_max, sizeof *connections);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
  run_commands();
  return 0;
}
