/* The server: listens, runs the I/O threads, drains. */
#ifndef TALLY_NET_SERVER_H
#define TALLY_NET_SERVER_H

#include <stdint.h>

struct tally;
struct server;

struct server_options {
    int listen_fd;     /* bound, listening, not blocking; net/listen/listener.h makes one */
    const int *guests; /* connections that are there already; borrowed until server_start returns */
    unsigned guest_count;
    unsigned threads;           /* I/O threads, at least 1 */
    const char *key;            /* the API key; NULL: none is asked for */
    uint32_t payload_bytes_max; /* of one payload */
    uint32_t connections_max;
    uint32_t request_ms; /* for a request to arrive, and for replies to be taken: net/io/conn.h */
};

/*
 * Starts the I/O threads. Returns 0 or a negative errno: of the calls; -ENOMEM, also when the
 * engine has no edge left for a thread; -EINVAL for a key longer than 1000 bytes. Owns: *out is the
 * caller's until server_stop; listen_fd is the server's, also after an error, and so are the guests
 * but for -EINVAL; the key is copied.
 * The tally outlives it.
 */
int server_start(struct server **out, struct tally *tally, const struct server_options *options);

/*
 * Drains: no new connection, new mutations get ERR DRAINING, what is in flight is finished and
 * answered (bounded in time: 10 s), then connections are closed and the threads joined. Frees the
 * server. Call tally_drain first. Threads: the one that started it.
 */
void server_stop(struct server *server);

#endif
