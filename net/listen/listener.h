/* The listener: listens while the log is read, and answers its guests with ERR LOADING. */
#ifndef TALLY_NET_LISTEN_LISTENER_H
#define TALLY_NET_LISTEN_LISTENER_H

#include <stddef.h>
#include <stdint.h>

struct address;
struct listener;

enum { LISTENER_GUESTS_MAX = 64 };

/*
 * Binds, and starts a thread that answers. The first line of a guest gets ERR LOADING with the
 * percentage of the log that is read (INFO: one row, loading_percent); then the connection is
 * closed, and the rest of its input is dropped. A guest that has not sent a whole line stays, and
 * is served later. When all LISTENER_GUESTS_MAX places are taken, the oldest guest gets its ERR
 * LOADING at once, so that no guest keeps others out. The kernel ends a connection whose peer does
 * not answer for peer_s seconds (0: never). *told is filled with the bound address (address_tell).
 * Returns 0 or a negative errno.
 * Owns: *out is the caller's until listener_hand_over.
 */
int listener_new(struct listener **out, const struct address *address, unsigned peer_s, char *told,
                 size_t told_bytes);

/* Sets how much of the log is read, 0 to 100. Any thread. */
void listener_progress(struct listener *listener, unsigned percent);

/* The sockets that the listener hands over: all are the caller's. */
struct listener_handed {
    int listen_fd;                   /* its queue of connections is complete */
    int guests[LISTENER_GUESTS_MAX]; /* connections whose input is unread */
    unsigned guest_count;
};

/* Ends the thread and frees the listener. Threads: the one that made it. */
void listener_hand_over(struct listener *listener, struct listener_handed *opened);

#endif
