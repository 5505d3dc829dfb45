// http-reference: the yardstick for HTTP, and the least that can be done: recv and send, and a fixed response for each
// empty line that arrives.
//
//   http-reference PORT        PORT 0 lets the kernel choose; prints "listening PORT" and serves until it is killed.
//
// It is no HTTP server: it reads no method, target or field, and a peer that does not read is closed. What it costs is
// what the kernel costs, so it says how much there is to win at all.
#define _GNU_SOURCE
#include "server.h"

#define RECEIVE_BYTES 65536
#define RESPONSES_MAX 512

static const char RESPONSE[] =
    "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n"
    "Hello, World!";
#define RESPONSE_BYTES (sizeof RESPONSE - 1)

static char receive_buffer[RECEIVE_BYTES];
static char responses[RESPONSES_MAX * RESPONSE_BYTES];
// How many bytes of CR LF CR LF the connection's last bytes are.
static uint8_t matched_of[SERVER_FILES_MAX];

static void open_connection(int fd) {
  matched_of[fd] = 0;
}

static size_t count_requests(int fd, const char *bytes, size_t length) {
  size_t count = 0;
  unsigned matched = matched_of[fd];
  for (size_t i = 0; i < length; i++) {
    char byte = bytes[i];
    if (byte == ((matched & 1) != 0 ? '\n' : '\r')) matched++;
    else matched = byte == '\r' ? 1 : 0;
    if (matched == 4) {
      count++;
      matched = 0;
    }
  }
  matched_of[fd] = (uint8_t)matched;
  return count;
}

static void answer(int fd) {
  ssize_t received = recv(fd, receive_buffer, RECEIVE_BYTES, 0);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
  size_t count = received > 0 ? count_requests(fd, receive_buffer, (size_t)received) : 0;
  if (received > 0 && count == 0) return;
  bool is_sent = count > 0 && count <= RESPONSES_MAX &&
                 send(fd, responses, count * RESPONSE_BYTES, MSG_NOSIGNAL) == (ssize_t)(count * RESPONSE_BYTES);
  if (!is_sent) close(fd);
}

int main(int count, char **arguments) {
  if (count != 2) fail("usage: http-reference PORT");
  for (size_t i = 0; i < RESPONSES_MAX; i++) memcpy(responses + i * RESPONSE_BYTES, RESPONSE, RESPONSE_BYTES);
  server_run(atoi(arguments[1]), open_connection, answer);
}
