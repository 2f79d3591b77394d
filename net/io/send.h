/* Sending: replies that may leave, and long ones piece by piece. */
#ifndef TALLY_NET_IO_SEND_H
#define TALLY_NET_IO_SEND_H

struct conn_io;

/* Sends what the socket takes of `out`. A client that takes too little in time is noted. */
void send_out(struct conn_io *io);

/* Makes and sends the next pieces of a long reply, as far as the client takes them, and the pass
 * has some left: then epoll says at once that the next one may come. */
void send_long(struct conn_io *io);

#endif
