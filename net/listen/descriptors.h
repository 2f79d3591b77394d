/* File descriptors: how many the process may have, and how many of them are for connections. */
#ifndef TALLY_NET_LISTEN_DESCRIPTORS_H
#define TALLY_NET_LISTEN_DESCRIPTORS_H

#include "net/listen/listener.h"

#include <stdint.h>

/* Descriptors that are kept back: for the log and its snapshots (each of their threads opens a few
 * at a time), for each I/O thread (epoll, its wake, a connection that is being refused), and for
 * the rest of the process. */
enum {
    DESCRIPTORS_LOG = 32,
    DESCRIPTORS_THREAD = 3,
    DESCRIPTORS_OTHER = 8,
    DESCRIPTORS_CONNECTIONS_MIN = LISTENER_GUESTS_MAX, /* the listener's, while the log is read */
};

struct descriptors {
    uint32_t limit;       /* the soft limit now */
    uint32_t needed;      /* for the fewest connections; above limit: the server cannot run */
    uint32_t connections; /* may be open beside the descriptors that are kept back */
};

/*
 * Raises the soft limit as far as connections_max needs it, or to the hard limit, and fills
 * *descriptors. Inherited descriptors that are open already are counted. Call it before anything is
 * opened. Threads: one.
 */
void descriptors_claim(struct descriptors *descriptors, uint32_t connections_max, unsigned threads);

#endif
