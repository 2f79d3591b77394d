/* Finds the builds, workers and keys that can be forgotten, and appends the FORGET. */
#include "engine/commit/forget.h"

#include "wal/base/check.h"
#include "wal/base/mutant.h"

enum { FORGET_SLICE = 1024 }; /* entities of one FORGET: it is applied in less than 1 ms */

/* ---- workers ---- */

/* Begins, or ends, the grace period that follows the last published BYE. */
static void look_at_gone(struct forget *forget)
{
    if (grace_has_passed(&forget->grace)) {
        forget->passed_lsn = forget->asked_lsn;
    }
    const struct worker *last = TAILQ_LAST(&forget->state->gone, worker_list);
    if (last != NULL && !forget->grace.is_asked && last->gone_lsn > forget->passed_lsn) {
        forget->asked_lsn = last->gone_lsn;
        grace_begin(&forget->grace, forget->state->retirer);
    }
}

/* Returns the lsn of the last BYE up to which workers can be forgotten, at most a slice of them. */
static uint64_t gone_until(const struct forget *forget)
{
    uint64_t until = 0;
    const struct worker *worker = TAILQ_FIRST(&forget->state->gone);
    for (int i = 0; i < FORGET_SLICE && worker != NULL; i++) {
        /* K4: relaxed: it is 0 for good, by the argument in forget.h */
        uint32_t used = atomic_load_explicit(&worker->used, memory_order_relaxed);
        bool is_sure = worker->gone_lsn <= forget->passed_lsn && used == 0;
        if (FIELD_OWN(worker->held_count) != 0 || !(is_sure || MUTANT(MUTANT_FORGET_AT_ONCE))) {
            break;
        }
        until = worker->gone_lsn;
        worker = TAILQ_NEXT(worker, gone);
    }
    return until;
}

bool forget_is_busy(const struct forget *forget)
{
    return !TAILQ_EMPTY(&forget->state->gone);
}

/* ---- finished builds ---- */

/* Returns the lsn up to which finished builds must be forgotten, oldest first, so that no more than
 * `bytes_max` of `bytes` are left; at most a slice of them. 0: none. */
static uint64_t forget_until(const struct build *build, uint64_t bytes, uint64_t bytes_max,
                             uint64_t (*bytes_of)(const struct build *build))
{
    uint64_t until = 0;
    for (int i = 0; i < FORGET_SLICE && build != NULL && bytes > bytes_max; i++) {
        uint64_t mine = bytes_of(build);
        bytes -= mine < bytes ? mine : bytes;
        until = build->ended_lsn;
        build = TAILQ_NEXT(build, ended);
    }
    return until;
}

void forget_run(struct forget *forget)
{
    const struct state *state = forget->state;
    uint64_t ceiling = state->ledger.ceiling;
    static const struct build none;
    bool is_on_its_way = lane_applied(forget->own->lane) < forget->said_at; /* of the last FORGET */
    look_at_gone(forget);
    if (state->ended_count == 0 && TAILQ_EMPTY(&state->gone) && state->keys.count == 0) {
        return;
    }
    if (is_on_its_way || !own_lane_has_room(forget->own)) {
        return;
    }
    if (forget->said_at != 0) {
        forget->said_at = 0;
        rcu_retire_flush(state->retirer); /* the FORGET retired few allocations, but large ones */
    }
    bool is_tight = !ledger_takes(&state->ledger, ceiling / LEDGER_RESERVE_SHARE, false);
    uint64_t share = is_tight ? LEDGER_FINISHED_SHARE_MIN : LEDGER_FINISHED_SHARE;
    uint64_t bytes_until =
        forget_until(state->ended_kept, state->ended_bytes, ceiling / share, build_bytes);
    uint64_t builds_until =
        forget_until(TAILQ_FIRST(&state->ended), state->ended_count * build_weight(&none),
                     ceiling / LEDGER_ENDED_SHARE, build_weight);
    uint64_t workers_until = gone_until(forget);
    /* claims for a worker may be appended until its grace period has passed */
    CHECK(workers_until <= forget->passed_lsn || MUTANT(MUTANT_FORGET_AT_ONCE));
    uint64_t keys_until = keys_surplus(&state->keys, state->time_ms, ceiling / share);
    if (bytes_until != 0 || builds_until != 0 || workers_until != 0 || keys_until != 0) {
        own_lane_append(forget->own, RECORD_FORGET,
                        (const uint64_t[OWN_LANE_NUMS]){[FORGET_BYTES_UNTIL] = bytes_until,
                                                        [FORGET_BUILDS_UNTIL] = builds_until,
                                                        [FORGET_WORKERS_UNTIL] = workers_until,
                                                        [FORGET_KEYS_UNTIL] = keys_until});
        forget->said_at = own_lane_tail(forget->own);
    }
}
