/* File descriptors: how many the process may have, and how many of them are for connections. */
#ifndef TALLY_NET_LISTEN_DESCRIPTORS_H
#define TALLY_NET_LISTEN_DESCRIPTORS_H

#include "net/listen/listener.h"

#include <stdint.h>

/* What is kept back: for the log and its snapshots (each thread there opens a few at a time), for
 * each I/O thread (epoll, its wake, a connection that is being refused), and for the rest. */
enum {
    DESCRIPTORS_LOG = 32,
    DESCRIPTORS_THREAD = 3,
    DESCRIPTORS_OTHER = 8,
    DESCRIPTORS_CONNECTIONS_MIN = LISTENER_GUESTS_MAX, /* it has so many while the log is read */
};

struct descriptors {
    uint32_t limit;       /* that many may be open now */
    uint32_t needed;      /* that many for the fewest connections; more than limit: it cannot run */
    uint32_t connections; /* that many connections may be open without touching what is kept back */
};

/*
 * Raises the soft limit as far as connections_max needs it, or to the hard limit, and says what
 * that leaves. What is open already, by whoever started us, is counted. Call it before anything is
 * opened. Threads: one.
 */
void descriptors_claim(struct descriptors *descriptors, uint32_t connections_max, unsigned threads);

#endif
