// tls-reference: the yardstick for TLS: an echo server in C on the system's OpenSSL, as little around it as can be.
//
//   tls-reference CERT KEY     prints "listening PORT" and serves until it is killed.
//
// OpenSSL reads from the socket and writes to it by itself, reading ahead, so that an echo is one recv and one send. A
// peer that does not read is closed. What it costs is what the kernel and OpenSSL cost: how much there is to win at all.
#define _GNU_SOURCE
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "server.h"

#define RECEIVE_BYTES 65536

static SSL_CTX *context;
static SSL *ssl_of[SERVER_FILES_MAX];
static char receive_buffer[RECEIVE_BYTES];

static void open_connection(int fd) {
  SSL *ssl = SSL_new(context);
  if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) fail("SSL_new: out of memory");
  SSL_set_accept_state(ssl);
  ssl_of[fd] = ssl;
}

static void close_connection(int fd) {
  SSL_free(ssl_of[fd]);
  ssl_of[fd] = NULL;
  close(fd);
  ERR_clear_error();
}

// SSL_read does the handshake, too.
static void echo(int fd) {
  SSL *ssl = ssl_of[fd];
  do {
    int received = SSL_read(ssl, receive_buffer, RECEIVE_BYTES);
    if (received <= 0) {
      if (SSL_get_error(ssl, received) != SSL_ERROR_WANT_READ) close_connection(fd);
      return;
    }
    if (SSL_write(ssl, receive_buffer, received) != received) {
      close_connection(fd);
      return;
    }
    // What is in the socket comes with the next event; what was read ahead would not.
  } while (SSL_has_pending(ssl));
}

int main(int count, char **arguments) {
  if (count != 3) fail("usage: tls-reference CERT KEY");
  context = SSL_CTX_new(TLS_server_method());
  if (context == NULL || SSL_CTX_use_certificate_chain_file(context, arguments[1]) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, arguments[2], SSL_FILETYPE_PEM) != 1) {
    fail("cannot use %s and %s: %s", arguments[1], arguments[2], ERR_reason_error_string(ERR_get_error()));
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_session_id_context(context, (const unsigned char *)"tls-reference", 13);
  SSL_CTX_set_read_ahead(context, 1);
  server_run(0, open_connection, echo);
}
