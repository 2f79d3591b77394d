/* Receiving: from a socket into the thread's buffer or the connection's own, then to run_input. */
#ifndef TALLY_NET_IO_RECEIVE_H
#define TALLY_NET_IO_RECEIVE_H

#include <stddef.h>

struct conn_io;

/* The socket is readable: receives and runs requests, as far as the connection may. */
void receive_ready(struct conn_io *io);

/* Runs what the connection has kept of its input. */
void receive_run_kept(struct conn_io *io);

/* Returns the number of bytes received, 0 for none now. It deals with the end and with errors. */
size_t receive_bytes(struct conn_io *io, char *to, size_t room);

#endif
