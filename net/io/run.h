/* Running requests: cuts the input into requests, and runs each by its command. */
#ifndef TALLY_NET_IO_RUN_H
#define TALLY_NET_IO_RUN_H

#include <stddef.h>

struct conn_io;

/* Runs the whole requests at the front of the bytes; returns the number of their bytes. */
size_t run_input(struct conn_io *io, const char *at, size_t len);

/* Refuses the request at the front, which did not become whole in time, and ends the connection. */
void run_late(struct conn_io *io);

#endif
