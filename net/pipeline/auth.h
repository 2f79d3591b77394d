/* The API key, compared in a time that does not depend on the client's bytes. */
#ifndef TALLY_NET_PIPELINE_AUTH_H
#define TALLY_NET_PIPELINE_AUTH_H

#include "wal/base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    AUTH_KEY_BYTES_MAX = 1000, /* it fits the line before AUTH */
    AUTH_FAILURES_MAX = 3,     /* then the connection is closed */
    AUTH_WITHIN_MS = 5000,
};

struct auth {
    bool is_needed;
    unsigned char key[AUTH_KEY_BYTES_MAX]; /* padded with zeros */
    size_t len;
};

/* key NULL: none is needed. Returns false when the key is longer than AUTH_KEY_BYTES_MAX. */
bool auth_init(struct auth *auth, const char *key);
void auth_fini(struct auth *auth); /* wipes the key */

bool auth_accepts(const struct auth *auth, struct span key);

#endif
