/* The server: listens, runs the I/O threads, drains. */
#ifndef TALLY_NET_SERVER_H
#define TALLY_NET_SERVER_H

#include "net/pipeline/options.h"

struct tally;
struct server;

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
