/* The checks that claim, heartbeat and completion share. */
#include "engine/edge/holder.h"

#include "engine/log/bounds.h"
#include "engine/state/wheel.h"
#include "wal/base/check.h"

void holder_seen(struct edge *edge, struct worker *worker)
{
    if (worker == NULL) {
        return;
    }
    /* K2: relaxed: a time publishes nothing */
    atomic_store_explicit(&worker->seen_ms, edge->run_ms, memory_order_relaxed);
    if (FIELD_GET(worker->state) == WORKER_OFFLINE) {
        edge_worker_back(edge, worker);
    }
}

uint64_t holder_lease_left_ms(const struct edge *edge, const struct build *build, uint64_t word)
{
    DCHECK(status_is_held(word_status(word)));
    uint32_t tick = FIELD_GET(edge->shared->tick);
    return wheel_lease_left_ms(word_deadline(word), tick, FIELD_GET(build->lease_ms));
}

uint32_t holder_deadline(const struct edge *edge, uint32_t lease_ms)
{
    DCHECK(lease_ms <= BUILD_LEASE_MS_MAX);
    return FIELD_GET(edge->shared->tick) + (lease_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS + 1;
}

int holder_find(const struct edge *edge, uint64_t id, uint32_t token, struct build **out,
                uint64_t *seen)
{
    struct build *build = state_build(edge->state, id);
    if (build == NULL) {
        return TALLY_NOTFOUND;
    }
    if (token > BUILD_TOKEN_MAX) {
        return TALLY_STALE; /* no claim has such a token; cut to 28 bits it may be another's */
    }
    *out = build;
    *seen = word_get(&build->word);
    uint32_t status = word_status(*seen);
    uint32_t applied = FIELD_GET(build->applied);
    DCHECK(bounds_status_is_valid(applied)); /* apply lets nothing else in */
    bool holds = status_token(status) == token && status_is_held(status);
    bool held = status_token(applied) == token && status_is_held(applied);
    return holds && held ? 0 : holds || held ? TALLY_PARK : 1;
}

int holder_may_append(const struct edge *edge, uint64_t bytes)
{
    int err = edge_mode_completion(edge);
    if (err != 0) {
        return err;
    }
    bool room = edge_room(edge) > 0 && lane_takes_bytes(edge->lane, bytes);
    return room ? 0 : TALLY_ROOM;
}
