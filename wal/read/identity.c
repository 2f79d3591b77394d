/* The log's identity: the uuid and the highest epoch, from the headers of its segments. */
#include "wal/read/identity.h"

#include <inttypes.h>
#include <string.h>

void wal_identity_set_uuid(struct wal_identity *identity, const unsigned char uuid[WAL_UUID_BYTES])
{
    memcpy(identity->uuid, uuid, WAL_UUID_BYTES);
    identity->has_uuid = true;
}

bool wal_identity_is_same(const struct wal_identity *identity,
                          const unsigned char uuid[WAL_UUID_BYTES])
{
    return !identity->has_uuid || memcmp(identity->uuid, uuid, WAL_UUID_BYTES) == 0;
}

void wal_identity_learn(struct wal_identity *identity, uint64_t number, enum wal_head_state state,
                        const struct wal_segment_head *head, struct wal_findings *findings)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(name, number);
    if (state == WAL_HEAD_NEWER) {
        wal_findings_add(findings, WAL_SIGN_NEWER,
                         "%s has a format that this version does not know", name);
    }
    if (state != WAL_HEAD_OK) {
        return;
    }
    if (!wal_identity_is_same(identity, head->uuid)) {
        wal_findings_add(findings, WAL_SIGN_FOREIGN, "%s belongs to another log", name);
    } else if (!identity->has_uuid) {
        wal_identity_set_uuid(identity, head->uuid);
    }
    if (head->number != number) {
        wal_findings_add(findings, WAL_SIGN_MISNUMBERED,
                         "%s is segment %" PRIu64 " under a wrong name", name, head->number);
    }
    if (head->epoch > identity->epoch_max) {
        identity->epoch_max = head->epoch;
    }
    if (!wal_segment_is_length(head->bytes) || head->epoch > WAL_EPOCH_MAX) {
        wal_findings_add(findings, WAL_SIGN_MISSHAPEN, "%s has a header with an impossible %s",
                         name, head->epoch > WAL_EPOCH_MAX ? "epoch" : "length");
    }
}
