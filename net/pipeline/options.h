/* The options of a server. */
#ifndef TALLY_NET_PIPELINE_OPTIONS_H
#define TALLY_NET_PIPELINE_OPTIONS_H

#include <stdint.h>

struct server_options {
    int listen_fd;     /* bound, listening, not blocking; net/listen/listener.h makes one */
    const int *guests; /* sockets that the listener handed over; borrowed by server_start */
    unsigned guest_count;
    unsigned threads;           /* I/O threads, at least 1 */
    const char *key;            /* the API key; NULL: none is asked for */
    uint32_t payload_bytes_max; /* of one payload */
    uint32_t connections_max;
    uint32_t
        request_ms; /* for a request to arrive, and for replies to be taken: net/io/conn_io.h */
};

#endif
