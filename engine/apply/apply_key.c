/* apply for the KEY of a request: the first reply is kept, and given again to a repetition. */
#include "engine/apply/apply_internal.h"

#include "engine/apply/snapshot_capture.h"
#include "engine/log/ballot.h"
#include "engine/log/bounds.h"
#include "wal/base/err.h"

/* A key that is put drops so many old ones at most, so no record takes long; and no record puts
 * more than one, so the keys of a busy server are never more than KEYS_MAX. */
enum { KEYS_DROP_MAX = 4 };

static const struct keyed_reply *find(const struct state *state, const struct record *record,
                                      uint64_t time_ms)
{
    struct span text = record_key(record);
    return text.len > 0 ? keys_find(&state->keys, record->type, text, time_ms) : NULL;
}

/* Fills in the result of a repetition. */
static void tell(const struct keyed_reply *key, uint64_t fingerprint, struct apply_result *result)
{
    struct key_entry entry;
    keys_entry(key, &entry);
    apply_result_clear(result);
    if (entry.fingerprint != fingerprint) {
        result->err = TALLY_EXISTS;
    } else {
        result->reply = entry.reply;
    }
    result->reply.dup = true;
}

bool apply_key_is_known_as(const struct state *state, const struct record *record,
                           uint64_t fingerprint, uint64_t time_ms, struct apply_result *result)
{
    const struct keyed_reply *key = find(state, record, time_ms);
    if (key != NULL) {
        tell(key, fingerprint, result);
    }
    return key != NULL;
}

bool apply_key_is_known(const struct state *state, const struct record *record, uint64_t time_ms,
                        struct apply_result *result)
{
    /* the fingerprint reads all of a payload, so it is made only when it is compared */
    const struct keyed_reply *key = find(state, record, time_ms);
    if (key != NULL) {
        tell(key, keys_fingerprint(record), result);
    }
    return key != NULL;
}

static int remember(struct state *state, const struct record *record,
                    const struct edge_result *reply)
{
    struct keys *keys = &state->keys;
    for (int i = 0; i < KEYS_DROP_MAX && keys_due(keys, record->time_ms) != NULL; i++) {
        snapshot_capture_oldest_key(state);
        keys_drop(keys);
    }
    const struct key_entry entry = {.verb = record->type,
                                    .text = record_key(record),
                                    .fingerprint = keys_fingerprint(record),
                                    .lsn = record->lsn,
                                    .time_ms = record->time_ms,
                                    .reply = *reply};
    return keys_put(keys, &entry);
}

/* Remembers the KEY of a step; the committer makes none for a key that is known (judge.h). */
static int remember_step(struct state *state, const struct record *record, uint64_t votes)
{
    const struct edge_result reply = {.value = votes};
    if (keys_find(&state->keys, record->type, record_key(record), record->time_ms) != NULL) {
        return TALLY_CORRUPT;
    }
    return remember(state, record, &reply);
}

int apply_key_of_vote(struct state *state, const struct record *vote)
{
    struct record ballot;
    ballot_of_vote(vote, &ballot);
    return remember_step(state, &ballot, vote->num[VOTE_BEFORE] + vote->num[VOTE_N]);
}

int apply_key_of_seed(struct state *state, const struct record *seed)
{
    return record_key(seed).len == 0
               ? 0
               : remember_step(state, seed, seed->num[SEED_BEFORE] + seed->num[SEED_N]);
}

void apply_forget_keys(struct state *state, uint64_t until)
{
    const struct keyed_reply *oldest;
    while ((oldest = keys_next(&state->keys, NULL)) != NULL && oldest->lsn <= until) {
        snapshot_capture_oldest_key(state);
        keys_drop(&state->keys);
    }
}

int apply_keyed(struct state *state, const struct record *record, struct apply_result *v,
                int (*decide)(struct state *, const struct record *, struct apply_result *))
{
    if (record_key(record).len == 0) {
        return decide(state, record, v);
    }
    if (bounds_record_error(record) != NULL) {
        return TALLY_CORRUPT; /* the edge asks the same before it appends: bounds.h */
    }
    if (apply_key_is_known(state, record, record->time_ms, v)) {
        return 0;
    }
    int err = decide(state, record, v);
    return err == 0 && v->err == 0 ? remember(state, record, &v->reply) : err;
}
