/* A server that does nothing: no server on this machine can be faster with this client. */
#ifndef TALLY_BENCH_NULL_SERVER_H
#define TALLY_BENCH_NULL_SERVER_H

#include <sys/types.h>

/* Opens a listening socket on 127.0.0.1, on `port` or, for 0, on a free one. Returns the socket,
 * and the port in *bound_port. */
int null_server_listen(unsigned port, unsigned *bound_port);

/* Serves for ever. */
void null_server_serve(int listener) __attribute__((noreturn));

/* Serves from a child process that dies with this one. Returns its pid, and the port. */
pid_t null_server_start(unsigned *bound_port);

#endif
