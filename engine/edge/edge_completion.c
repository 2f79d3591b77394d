/* The end of a claim: DONE, FAIL, RELEASE, or taken back. */
#include "engine/edge/holder.h"
#include "engine/edge/told.h"
#include "engine/log/bounds.h"
#include "wal/base/check.h"
#include "wal/base/mutant.h"

/* Ends a claim: one CAS and one record, with a text that is copied. */
static int end_claim(struct edge *edge, struct build *build, uint64_t seen, enum build_state to,
                     struct lane_step step, struct span text)
{
    int err = holder_may_append(edge, text.len);
    if (err != 0) {
        return err;
    }
    if (text.len > BUILD_TEXT_BYTES_MAX) {
        return TALLY_TOOBIG;
    }
    DCHECK(status_is_held(word_status(seen)) && step.text == NULL);
    struct ledger *ledger = &edge->state->ledger;
    if (text.len > 0 && !ledger_takes(ledger, text.len, true)) {
        return TALLY_MEMORY;
    }
    enum ledger_kind kind = step.type == RECORD_DONE ? LEDGER_RESULTS : LEDGER_ERRORS;
    struct parcel *parcel = text.len > 0 ? parcel_new(ledger, kind, text) : NULL;
    if (text.len > 0 && parcel == NULL) {
        return TALLY_NOMEM;
    }
    uint32_t after = status_next(word_status(seen), to);
    if (!word_step_status(&build->word, seen, build_word(after, 0))) {
        parcel_release(parcel);
        return TALLY_PARK;
    }
    step.text = parcel;
    edge->lane->bytes_in += text.len;
    holder_append(edge, build, step, word_status(seen), after);
    return 0;
}

/* A request of the holder is a sign of life. */
static int by_holder(struct edge *edge, struct build *build, int err)
{
    if (err == 0) {
        holder_seen(edge, FIELD_GET(build->worker));
    }
    return err;
}

/* Whether the last claim ended with `ending`, and none has begun since. */
static bool has_ended(const struct build *build, uint64_t seen, uint64_t ending)
{
    DCHECK(ending_how(ending) != HOW_NONE);
    mutant_pause(MUTANT(MUTANT_ENDING_APART));
    uint64_t now = FIELD_GET(build->ending);
    return MUTANT(MUTANT_ENDING_APART)
               ? status_token(word_status(seen)) == ending_token(ending) + 1 &&
                     ending_how(now) == ending_how(ending)
               : now == ending;
}

/* A repeated DONE of a build that has completed. Its result never changes, but it may be freed by a
 * FORGET; then nobody can tell whether the repeated result is the same. */
static int done_again(const struct build *build, uint64_t seen, uint32_t token, struct span result)
{
    if (!has_ended(build, seen, ending_word(HOW_DONE, token, 0))) {
        return TALLY_STALE;
    }
    const struct parcel *kept = FIELD_GET(build->result);
    bool is_known = kept != NULL || FIELD_GET(build->payload) != NULL;
    return is_known && !span_equal(parcel_span(kept), result) ? EDGE_DUP : 0;
}

int edge_done(struct edge *edge, uint64_t id, uint32_t token, struct span result)
{
    struct build *build = NULL;
    uint64_t seen = 0;
    int err = holder_find(edge, id, token, &build, &seen);
    if (err == 1) {
        return done_again(build, seen, token, result);
    }
    if (err != 0) {
        return err;
    }
    err = end_claim(edge, build, seen, BUILD_COMPLETED, (struct lane_step){.type = RECORD_DONE},
                    result);
    return by_holder(edge, build, err);
}

static void say_failed(const struct build *build, bool final, struct edge_failed *how)
{
    uint32_t attempts = FIELD_GET(build->attempts);
    DCHECK(build->tries > 0 && build->tries <= BUILD_TRIES_MAX);
    how->final = final;
    how->attempts_left = attempts < build->tries ? build->tries - attempts : 0;
    how->dup = false;
}

/* A repeated FAIL. The attempts and the error are this claim's when its ending is still there after
 * they were read: the next claim clears the ending before it changes them. */
static int fail_again(const struct build *build, const struct edge_fail *ask,
                      struct edge_failed *how)
{
    uint64_t ending = FIELD_GET(build->ending);
    enum build_how was = ending_how(ending);
    bool is_same = ask->dead ? was == HOW_FAIL_DEAD : was == HOW_FAIL || was == HOW_FAIL_LAST;
    if (!is_same || ending != ending_word(was, ask->token, ask->dead ? 0 : ask->delay_ms)) {
        return TALLY_STALE;
    }
    say_failed(build, was != HOW_FAIL, how);
    const struct parcel *kept = FIELD_GET(build->error);
    how->dup = ask->text.len > 0 && kept != NULL && !span_equal(parcel_span(kept), ask->text);
    return FIELD_GET(build->ending) == ending ? 0 : TALLY_STALE;
}

int edge_fail(struct edge *edge, const struct edge_fail *ask, struct edge_failed *how)
{
    struct build *build = NULL;
    uint64_t seen = 0;
    int err = ask->delay_ms <= BUILD_DELAY_MS_MAX
                  ? holder_find(edge, ask->id, ask->token, &build, &seen)
                  : TALLY_RANGE;
    if (err == 1) {
        return fail_again(build, ask, how);
    }
    if (err != 0) {
        return err;
    }
    bool final = ask->dead || FIELD_GET(build->attempts) >= build->tries;
    enum build_state to = final ? BUILD_FAILED : ask->delay_ms > 0 ? BUILD_DELAYED : BUILD_PENDING;
    to = status_state(status_next(word_status(seen), to));
    say_failed(build, to == BUILD_FAILED, how);
    err = end_claim(
        edge, build, seen, to,
        (struct lane_step){.type = RECORD_FAIL, .delay_ms = ask->delay_ms, .dead = ask->dead},
        ask->text);
    return by_holder(edge, build, err);
}

static int give_back(struct edge *edge, struct build *build, uint64_t seen, uint32_t delay_ms)
{
    DCHECK(delay_ms <= BUILD_DELAY_MS_MAX);
    enum build_state to = delay_ms > 0 ? BUILD_DELAYED : BUILD_PENDING;
    return end_claim(edge, build, seen, to,
                     (struct lane_step){.type = RECORD_RELEASE, .delay_ms = delay_ms},
                     (struct span){NULL, 0});
}

int edge_release(struct edge *edge, uint64_t id, uint32_t token, uint32_t delay_ms)
{
    struct build *build = NULL;
    uint64_t seen = 0;
    int err =
        delay_ms <= BUILD_DELAY_MS_MAX ? holder_find(edge, id, token, &build, &seen) : TALLY_RANGE;
    if (err == 1) {
        return has_ended(build, seen, ending_word(HOW_RELEASE, token, delay_ms)) ? 0 : TALLY_STALE;
    }
    if (err != 0) {
        return err;
    }
    return by_holder(edge, build, give_back(edge, build, seen, delay_ms));
}

int edge_take_back(struct edge *edge, uint64_t id, uint32_t token)
{
    struct build *build = NULL;
    uint64_t seen = 0;
    int err = holder_find(edge, id, token, &build, &seen);
    if (err != 0) {
        return err == 1 ? TALLY_STALE : err;
    }
    if (status_state(word_status(seen)) != BUILD_ASSIGNED || !told_take_back(build, token)) {
        return TALLY_STALE;
    }
    err = give_back(edge, build, seen, 0);
    if (err != 0) {
        told_unsay(build, token);
    }
    return err;
}
