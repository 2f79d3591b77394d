/* The listener: listens before there is anything to serve, and says so to whoever comes. */
#ifndef TALLY_NET_LISTEN_LISTENER_H
#define TALLY_NET_LISTEN_LISTENER_H

#include <stddef.h>
#include <stdint.h>

struct address;
struct listener;

enum { LISTENER_GUESTS_MAX = 64 };

/*
 * Binds, and starts a thread that answers. The first line of a guest gets ERR LOADING with how far
 * the log is read (INFO: one row, loading_percent); then its connection is closed, whatever else it
 * said. A guest that has not sent a whole line stays, and is served later. When all
 * LISTENER_GUESTS_MAX places are taken, the oldest one gets its ERR LOADING at once, so that nobody
 * keeps others out. A connection whose peer does not answer for peer_s seconds ends by itself (0:
 * never). *told is filled with the address as bound (address_tell). Returns 0 or a negative errno.
 * Owns: *out is the caller's until listener_hand_over.
 */
int listener_new(struct listener **out, const struct address *address, unsigned peer_s, char *told,
                 size_t told_bytes);

/* Says how far it is, 0 to 100. Any thread. */
void listener_progress(struct listener *listener, unsigned percent);

/* What the listener hands over: all sockets are the caller's. */
struct listener_handed {
    int listen_fd;                   /* its queue has lost nobody */
    int guests[LISTENER_GUESTS_MAX]; /* connections; of what they said, nothing was read */
    unsigned guest_count;
};

/* Ends the thread and frees the listener. Threads: the one that made it. */
void listener_hand_over(struct listener *listener, struct listener_handed *opened);

#endif
