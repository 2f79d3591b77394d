/* BEAT: it renews the lease; the first BEAT of a claim is a step. */
#include "engine/edge/holder.h"

#include "wal/base/check.h"

/* The first heartbeat of a claim: assigned becomes building. */
static int beat_first(struct edge *edge, struct build *build, uint64_t seen, uint32_t due)
{
    DCHECK(status_state(word_status(seen)) == BUILD_ASSIGNED);
    int err = holder_may_append(edge, 0);
    if (err != 0) {
        return err;
    }
    uint32_t after = status_make(BUILD_BUILDING, status_token(word_status(seen)));
    if (!word_prolong(&build->word, seen, after, due)) {
        return TALLY_PARK;
    }
    holder_append(edge, build, (struct lane_step){.type = RECORD_BEAT}, word_status(seen), after);
    return 0;
}

int edge_beat(struct edge *edge, uint64_t id, uint32_t token, int prog, uint64_t *lease_ms)
{
    DCHECK(prog >= -1 && prog <= 100);
    struct build *build = NULL;
    uint64_t seen = 0;
    int err = holder_find(edge, id, token, &build, &seen);
    if (err != 0) {
        return err == 1 ? TALLY_STALE : err;
    }
    uint32_t lease = FIELD_GET(build->lease_ms);
    DCHECK(lease <= BUILD_LEASE_MS_MAX);
    uint32_t due = holder_deadline(edge, lease);
    if (status_state(word_status(seen)) == BUILD_ASSIGNED) {
        err = beat_first(edge, build, seen, due);
        if (err != 0) {
            return err;
        }
    } else if (!word_prolong(&build->word, seen, word_status(seen), due)) {
        /* another thread has stepped in between: the outcome is known after a commit */
        return TALLY_PARK;
    }
    holder_seen(edge, FIELD_GET(build->worker));
    if (prog >= 0) {
        FIELD_PUT(build->progress, (uint64_t)token << 32 | (uint32_t)prog);
    }
    *lease_ms = lease;
    return 0;
}
