/* The log's identity: what the headers of its segments say of the log as a whole. */
#ifndef TALLY_WAL_READ_IDENTITY_H
#define TALLY_WAL_READ_IDENTITY_H

#include "wal/format/segment.h"
#include "wal/read/findings.h"

#include <stdbool.h>
#include <stdint.h>

/* Written by identity.c alone. Zero is: no header was read yet. */
struct wal_identity {
    bool has_uuid;
    unsigned char uuid[WAL_UUID_BYTES];
    uint32_t epoch_max; /* of all headers that were read */
};

/* The uuid is known before a header is read: from the snapshot. */
void wal_identity_set_uuid(struct wal_identity *identity, const unsigned char uuid[WAL_UUID_BYTES]);

/* Whether something with that uuid is of this log; without a uuid everything is. */
bool wal_identity_is_same(const struct wal_identity *identity,
                          const unsigned char uuid[WAL_UUID_BYTES]);

/* Learns from the header of the segment of that number. What is wrong with it goes to the findings:
 * a newer version, another log's, another number, an impossible length or epoch. */
void wal_identity_learn(struct wal_identity *identity, uint64_t number, enum wal_head_state state,
                        const struct wal_segment_head *head, struct wal_findings *findings);

#endif
