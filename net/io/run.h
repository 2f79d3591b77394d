/* Running what was read: requests out of bytes, each to its command. */
#ifndef TALLY_NET_IO_RUN_H
#define TALLY_NET_IO_RUN_H

#include <stddef.h>

struct conn_io;

/* Runs the whole requests at the front of the bytes; returns how many bytes are done with. */
size_t run_input(struct conn_io *io, const char *at, size_t len);

/* The request at the front of the input did not become whole in time: refuses it, and ends. */
void run_late(struct conn_io *io);

#endif
