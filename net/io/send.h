/* Sending: replies that may leave; long replies piece by piece. */
#ifndef TALLY_NET_IO_SEND_H
#define TALLY_NET_IO_SEND_H

struct conn_io;

/* Sends as much of `out` as the socket takes, and sets the time in which the client has to read. */
void send_out(struct conn_io *io);

/* Makes and sends the next pieces of a long reply, until the client takes no more or loop->pieces
 * is 0: then epoll reports at once that the socket takes the next one. */
void send_long(struct conn_io *io);

#endif
