/* The log's identity: the uuid and the highest epoch, from the headers of its segments. */
#ifndef TALLY_WAL_READ_IDENTITY_H
#define TALLY_WAL_READ_IDENTITY_H

#include "wal/format/segment.h"
#include "wal/read/findings.h"

#include <stdbool.h>
#include <stdint.h>

/* Written by identity.c alone. All zero: no header was read yet. */
struct wal_identity {
    bool has_uuid;
    unsigned char uuid[WAL_UUID_BYTES];
    uint32_t epoch_max; /* of all headers that were read */
};

/* Sets the uuid before a header is read: it is that of the snapshot. */
void wal_identity_set_uuid(struct wal_identity *identity, const unsigned char uuid[WAL_UUID_BYTES]);

/* Whether a file with that uuid is of this log; every file is while the log's uuid is not known. */
bool wal_identity_is_same(const struct wal_identity *identity,
                          const unsigned char uuid[WAL_UUID_BYTES]);

/* Learns from the header of the segment of that number. A fault of the header goes to the findings:
 * a newer version, another log's uuid, another number, an impossible length or epoch. */
void wal_identity_learn(struct wal_identity *identity, uint64_t number, enum wal_head_state state,
                        const struct wal_segment_head *head, struct wal_findings *findings);

#endif
