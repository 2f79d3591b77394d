/* What is to be forgotten: bytes of finished builds, these builds, workers that have left. */
#include "engine/engine.h"
#include "wal/base/mutant.h"

enum { FORGET_SLICE = 1024 }; /* things: their record is applied in less than 1 ms */

/* ---- workers ---- */

/*
 * A worker that has said BYE and holds nothing is forgotten by a record; nothing may come behind it
 * in the log that needs the worker. What could is a claim, which names it by its id:
 *
 * 1. An edge claims for a worker only if it finds it online, and takes a slot of it (`used`) in the
 *    same pass, before the claim's record. The slot is given back in that pass, if it finds
 * nothing; else by apply, when the build leaves the worker.
 * 2. An edge that began a pass after the BYE was published does not find it online. A grace period
 *    after that, every edge has ended the pass that it had begun before. So all slots that will
 * ever be taken are, and the committer sees it (G8 of the callback; relaxed adds before it).
 * 3. So, if `used` is 0 then, no claim for it is in a lane, nor will be: unless it comes back, by a
 *    WORKER record that is applied first. Then it is not in the list any more; and if it leaves
 * once more, its BYE is newer than what the FORGET says, which passes over it.
 *
 * OFFLINE and SEEN may name it later: apply lets them pass, for ids that were given out.
 */
static void gone_passed(void *arg)
{
    struct forget *forget = arg;
    /* G7: release; pairs with G8 */
    atomic_store_explicit(&forget->passed, true, memory_order_release);
}

/* Has a grace period pass behind the last BYE that was published. */
static void look_at_gone(struct tally *tally)
{
    struct forget *forget = &tally->forget;
    /* G8: acquire; pairs with G7 */
    if (forget->is_asked && atomic_load_explicit(&forget->passed, memory_order_acquire)) {
        forget->is_asked = false;
        forget->passed_lsn = forget->asked_lsn;
    }
    const struct worker *last = TAILQ_LAST(&tally->state.gone, worker_list);
    if (last == NULL || forget->is_asked || last->gone_lsn <= forget->passed_lsn) {
        return;
    }
    forget->is_asked = true;
    forget->asked_lsn = last->gone_lsn;
    /* G9: relaxed: the callback that sets it is not registered yet */
    atomic_store_explicit(&forget->passed, false, memory_order_relaxed);
    rcu_retire(tally->state.retirer, forget, gone_passed);
    rcu_retire_flush(tally->state.retirer);
}

/* How far those that have left can be forgotten: the lsn of a BYE. A slice at a time. */
static uint64_t gone_until(const struct tally *tally)
{
    uint64_t until = 0;
    const struct worker *worker = TAILQ_FIRST(&tally->state.gone);
    for (int i = 0; i < FORGET_SLICE && worker != NULL; i++) {
        /* K4: relaxed: it is 0 for good, by the argument above */
        uint32_t used = atomic_load_explicit(&worker->used, memory_order_relaxed);
        bool is_sure = worker->gone_lsn <= tally->forget.passed_lsn && used == 0;
        if (FIELD_OWN(worker->held_count) != 0 || !(is_sure || MUTANT(MUTANT_FORGET_AT_ONCE))) {
            break;
        }
        until = worker->gone_lsn;
        worker = TAILQ_NEXT(worker, gone);
    }
    return until;
}

bool forget_is_busy(const struct tally *tally)
{
    return !TAILQ_EMPTY(&tally->state.gone);
}

/* ---- finished builds ---- */

/* How far the oldest ones have to go so that what is left of `bytes` is within `bytes_max`: the lsn
 * that ended the last of them. A slice at a time. */
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

void forget_run(struct tally *tally)
{
    const struct state *state = &tally->state;
    uint64_t ceiling = state->ledger.ceiling;
    static const struct build none;
    bool is_on_its_way = lane_applied(tally->own) < tally->forgotten_at; /* what was said last */
    look_at_gone(tally);
    if (state->ended_count == 0 && TAILQ_EMPTY(&state->gone)) {
        return;
    }
    if (is_on_its_way || !timers_have_room(tally)) {
        return;
    }
    if (tally->forgotten_at != 0) {
        tally->forgotten_at = 0;
        rcu_retire_flush(state->retirer); /* few things, but large ones */
    }
    bool is_tight = !ledger_takes(&state->ledger, ceiling / LEDGER_RESERVE_SHARE, false);
    uint64_t share = is_tight ? LEDGER_FINISHED_SHARE_MIN : LEDGER_FINISHED_SHARE;
    uint64_t bytes_until =
        forget_until(state->ended_kept, state->ended_bytes, ceiling / share, build_bytes);
    uint64_t builds_until =
        forget_until(TAILQ_FIRST(&state->ended), state->ended_count * build_weight(&none),
                     ceiling / LEDGER_ENDED_SHARE, build_weight);
    uint64_t workers_until = gone_until(tally);
    if (bytes_until != 0 || builds_until != 0 || workers_until != 0) {
        timers_append(tally, RECORD_FORGET,
                      (const uint64_t[TIMERS_NUMS]){[FORGET_BYTES_UNTIL] = bytes_until,
                                                    [FORGET_BUILDS_UNTIL] = builds_until,
                                                    [FORGET_WORKERS_UNTIL] = workers_until});
        tally->forgotten_at = tally->own->next;
    }
}
