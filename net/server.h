/* The server: the I/O threads from their start to the drain. */
#ifndef TALLY_NET_SERVER_H
#define TALLY_NET_SERVER_H

#include "net/pipeline/options.h"

struct tally;
struct server;

/*
 * Starts the I/O threads. Returns 0 or a negative errno: -ENOMEM, also when the engine has no edge
 * left for a thread; -EINVAL for a key longer than 1000 bytes; or that of a failed call. Owns: *out
 * is the caller's until server_stop; listen_fd is the server's, also after an error, and so are the
 * guests except after -EINVAL; the key is copied. The tally outlives the server.
 */
int server_start(struct server **out, struct tally *tally, const struct server_options *options);

/*
 * Drains: accepts no new connection, refuses new mutations with ERR DRAINING, sends the replies in
 * flight (for at most 10 s), then closes the connections and joins the threads. Frees the server.
 * Call tally_drain first. Threads: the one that started it.
 */
void server_stop(struct server *server);

#endif
