/* Receiving: from a socket into the thread's buffer or the connection's own, then to run_input. */
#ifndef TALLY_NET_IO_RECEIVE_H
#define TALLY_NET_IO_RECEIVE_H

#include <stddef.h>

struct conn_io;

/* Receives from a readable socket and runs requests, as far as the connection may. */
void receive_ready(struct conn_io *io);

/* Runs the requests in the input that the connection has kept. */
void receive_run_kept(struct conn_io *io);

/* Receives. Returns the number of bytes, 0 for none now; the end of the input and errors are dealt
 * with. */
size_t receive_bytes(struct conn_io *io, char *to, size_t room);

#endif
