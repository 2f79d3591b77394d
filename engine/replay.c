/* Blocks put aside, then decoded and applied side by side. */
#include "engine/replay.h"

#include "engine/columns.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"

#include <stdlib.h>
#include <string.h>

enum {
    BATCH_BYTES = 1 << 20,     /* raw, put aside before they are applied */
    SLICE_BYTES_MIN = 1 << 15, /* what it pays to wake a thread for */
};

void replay_init(struct replay *replay, struct state *state, unsigned threads)
{
    *replay = (struct replay){.state = state};
    parallel_init(&replay->parallel, threads);
}

void replay_fini(struct replay *replay)
{
    parallel_fini(&replay->parallel);
    for (size_t i = 0; i < REPLAY_SLICES; i++) {
        for (size_t share = 0; share < REPLAY_SHARES; share++) {
            free(replay->slices[i].steps[share].at);
        }
        free(replay->slices[i].builds.at);
    }
    for (size_t i = 0; i <= REPLAY_SHARES; i++) {
        free(replay->shares[i].sums.at);
    }
    free(replay->places.at);
    free(replay->raw);
}

/* Room for `more` things of a size behind those that are there; NULL without memory. */
static void *list_reserve(struct replay_list *list, size_t more, size_t size)
{
    if (list->room - list->count < more) {
        size_t room = (list->count + more) * 2;
        void *at = realloc(list->at, room * size);
        if (at == NULL) {
            return NULL;
        }
        list->at = at;
        list->room = room;
    }
    return (char *)list->at + list->count * size;
}

/* ---- decoding: one task a slice ---- */

struct decoding {
    const struct replay *replay;
    struct replay_slice *slice;
};

/* The first block that is put aside: records and seconds are counted from it. */
static const struct replay_place *batch_first(const struct replay *replay)
{
    return replay->places.at;
}

/* Votes that continue what is there already are one step with it: an option that many vote for
 * costs little more than its decoding. */
static bool step_extend(struct vote_step *last, const struct vote_step *step)
{
    if (last->before + last->n != step->before || last->second != step->second || last->n == 0 ||
        step->n == 0 || step->n > UINT32_MAX - last->n) {
        return false;
    }
    last->n += step->n;
    last->count++;
    return true;
}

/* One option is in one share, whatever slice its votes are in. */
static size_t share_of(const struct replay_slice *slice, const struct vote_step *step)
{
    size_t moved = MUTANT(MUTANT_REPLAY_SHARES) ? slice->begin : 0;
    return (step->option + moved) % REPLAY_SHARES;
}

static int take_step(struct replay_slice *slice, const struct vote_step *step)
{
    struct replay_list *steps = &slice->steps[share_of(slice, step)];
    struct replay_recent *recent = &slice->recent[step->option % REPLAY_RECENT];
    if (recent->option == step->option && step->option != 0 &&
        step_extend((struct vote_step *)steps->at + recent->step, step)) {
        return 0;
    }
    struct vote_step *place = list_reserve(steps, 1, sizeof *place);
    if (place == NULL) {
        return TALLY_NOMEM;
    }
    *place = *step;
    *recent = (struct replay_recent){step->option, (uint32_t)steps->count++};
    return 0;
}

static int take_votes(void *arg, const struct vote_run *run)
{
    const struct decoding *decoding = arg;
    const struct replay_place *first = batch_first(decoding->replay);
    uint64_t record = run->first_lsn - first->first_lsn;
    uint64_t second = run->time_ms / 1000 - first->time_ms / 1000;
    int err = 0;
    for (uint32_t i = 0; i < run->count && err == 0; i++) {
        struct vote_step step = vote_step_of(run->option[i], run->before[i], run->n[i]);
        step.first = (uint32_t)(record + i);
        step.second = (uint8_t)second;
        err = take_step(decoding->slice, &step);
    }
    return err;
}

static int take_build(void *arg, const struct record *record)
{
    const struct decoding *decoding = arg;
    struct replay_list *builds = &decoding->slice->builds;
    struct record *place = list_reserve(builds, 1, sizeof *place);
    if (place == NULL) {
        return TALLY_NOMEM;
    }
    *place = *record;
    builds->count++;
    return 0;
}

static void decode_slice(void *arg, unsigned task)
{
    struct replay *replay = arg;
    const struct replay_place *places = replay->places.at;
    struct replay_slice *slice = &replay->slices[task];
    struct decoding decoding = {replay, slice};
    const struct columns_visitor visitor = {take_build, take_votes, &decoding};
    slice->err = 0;
    for (size_t i = slice->begin; i < slice->end && slice->err == 0; i++) {
        slice->err = columns_visit(replay->raw + places[i].at, places[i].bytes,
                                   places[i].first_lsn, places[i].count, &visitor);
    }
}

/* ---- applying: one task a share ---- */

static void share_fail(struct replay_share *share, int err, uint64_t lsn, unsigned type)
{
    share->err = err;
    share->lsn = lsn;
    share->type = type;
}

static void apply_steps(const struct replay *replay, struct replay_share *share,
                        const struct replay_list *list)
{
    const struct vote_step *steps = list->at;
    for (size_t i = 0; i < list->count && share->err == 0;) {
        size_t left = list->count - i;
        size_t count = left < VOTE_STEPS_MAX ? left : VOTE_STEPS_MAX;
        if (list_reserve(&share->sums, count, sizeof(struct vote_sum)) == NULL) {
            share_fail(share, TALLY_NOMEM, 0, RECORD_VOTE);
            return;
        }
        size_t done = apply_vote_steps(replay->state, steps + i, count, share->sums.at,
                                       &share->sums.count);
        i += done;
        if (done < count) {
            share_fail(share, TALLY_CORRUPT, batch_first(replay)->first_lsn + steps[i].first,
                       RECORD_VOTE);
        }
    }
}

static void apply_builds(const struct replay *replay, struct replay_share *share,
                         const struct replay_list *list)
{
    const struct record *records = list->at;
    for (size_t i = 0; i < list->count && share->err == 0; i++) {
        struct verdict verdict;
        int err = apply_of_builds(replay->state, &records[i], &verdict);
        if (err != 0) {
            share_fail(share, err, records[i].lsn, records[i].type);
        }
    }
}

/* The longest task may be that of the builds, so it is the first. */
static void apply_share(void *arg, unsigned task)
{
    struct replay *replay = arg;
    unsigned number = REPLAY_SHARES - task;
    struct replay_share *share = &replay->shares[number];
    share->err = 0;
    share->sums.count = 0;
    for (unsigned i = 0; i < replay->slice_count; i++) {
        const struct replay_slice *slice = &replay->slices[i];
        if (number == REPLAY_SHARES) {
            apply_builds(replay, share, &slice->builds);
        } else {
            apply_steps(replay, share, &slice->steps[number]);
        }
    }
}

/* ---- one batch ---- */

static void run_tasks(struct replay *replay, unsigned tasks, void (*run)(void *arg, unsigned task))
{
    if (replay->slice_count > 1) {
        parallel_run(&replay->parallel, tasks, run, replay);
        return;
    }
    for (unsigned i = 0; i < tasks; i++) {
        run(replay, i);
    }
}

/* Slices of about as many bytes each. */
static void cut_slices(struct replay *replay)
{
    const struct replay_place *places = replay->places.at;
    size_t wanted = replay->raw_bytes / SLICE_BYTES_MIN;
    size_t slices = wanted < 1 ? 1 : wanted < REPLAY_SLICES ? wanted : REPLAY_SLICES;
    size_t at = 0;
    replay->slice_count = 0;
    for (size_t i = 1; i <= slices && at < replay->places.count; i++) {
        struct replay_slice *slice = &replay->slices[replay->slice_count++];
        slice->begin = at;
        while (at < replay->places.count && places[at].at < replay->raw_bytes / slices * i) {
            at++;
        }
        slice->end = i == slices ? replay->places.count : at;
        slice->builds.count = 0;
        memset(slice->recent, 0, sizeof slice->recent);
        for (size_t share = 0; share < REPLAY_SHARES; share++) {
            slice->steps[share].count = 0;
        }
    }
}

/* The first record that did not fit is the same that it is for one thread: what comes before it
 * within its share is whole, and no share looks at another. */
static int judge_shares(struct replay *replay)
{
    for (unsigned i = 0; i <= REPLAY_SHARES; i++) {
        const struct replay_share *share = &replay->shares[i];
        if (share->err != 0 && share->err != TALLY_CORRUPT) {
            return share->err;
        }
        if (share->err != 0 && (replay->bad_lsn == 0 || share->lsn < replay->bad_lsn)) {
            replay->bad_lsn = share->lsn;
            replay->bad_type = share->type;
        }
    }
    return replay->bad_lsn == 0 ? 0 : TALLY_CORRUPT;
}

static int apply_batch(struct replay *replay)
{
    cut_slices(replay);
    run_tasks(replay, replay->slice_count, decode_slice);
    for (unsigned i = 0; i < replay->slice_count; i++) {
        if (replay->slices[i].err != 0) {
            return replay->slices[i].err;
        }
    }
    run_tasks(replay, REPLAY_SHARES + 1, apply_share);
    int err = judge_shares(replay);
    for (unsigned i = 0; i < REPLAY_SHARES && err == 0; i++) {
        const struct replay_list *sums = &replay->shares[i].sums;
        apply_vote_sums(replay->state, batch_first(replay)->time_ms / 1000, sums->at, sums->count);
    }
    return err;
}

int replay_flush(struct replay *replay)
{
    int err = 0;
    if (replay->places.count > 0) {
        err = apply_batch(replay);
        replay->places.count = 0;
        replay->raw_bytes = 0;
        replay->state->time_ms = replay->time_ms;
        FIELD_PUT(replay->state->lsn, replay->lsn);
    }
    return err;
}

/* ---- the blocks as they come ---- */

/* Whether the records of a block may be applied beside those of others. Most blocks are votes. */
static bool is_for_all(const unsigned char *types, uint32_t count)
{
    unsigned other = 0;
    for (uint32_t i = 0; i < count; i++) {
        other |= types[i] ^ RECORD_VOTE;
    }
    for (uint32_t i = 0; i < count && other != 0; i++) {
        if (types[i] != RECORD_VOTE && !apply_is_of_builds(types[i])) {
            return false;
        }
    }
    return true;
}

static int put_aside(struct replay *replay, const struct wal_block *block, uint64_t time_ms)
{
    struct replay_place *place = list_reserve(&replay->places, 1, sizeof *place);
    if (place == NULL) {
        return TALLY_NOMEM;
    }
    if (replay->raw == NULL) {
        replay->raw = malloc(BATCH_BYTES);
    }
    if (replay->raw == NULL) {
        return TALLY_NOMEM;
    }
    memcpy(replay->raw + replay->raw_bytes, block->raw, block->raw_bytes);
    *place = (struct replay_place){
        .at = replay->raw_bytes,
        .bytes = block->raw_bytes,
        .first_lsn = block->first_lsn,
        .time_ms = time_ms,
        .count = block->count,
    };
    replay->raw_bytes += block->raw_bytes;
    replay->places.count++;
    replay->lsn = block->first_lsn + block->count - 1;
    replay->time_ms = time_ms;
    return 0;
}

/* Seconds of one batch have places of their own in a poll's counts by second. */
static bool is_room(const struct replay *replay, const struct wal_block *block, uint64_t time_ms)
{
    return replay->places.count == 0 ||
           (replay->raw_bytes + block->raw_bytes <= BATCH_BYTES &&
            time_ms / 1000 - batch_first(replay)->time_ms / 1000 < POLL_SECONDS);
}

static int apply_one(void *arg, const struct record *record)
{
    struct replay *replay = arg;
    struct verdict verdict;
    if (record->lsn <= FIELD_OWN(replay->state->lsn)) {
        return 0;
    }
    int err = apply(replay->state, record, &verdict);
    if (err == TALLY_CORRUPT) {
        replay->bad_lsn = record->lsn;
        replay->bad_type = record->type;
    }
    return err;
}

/* Record by record: a block with records that look at more than their own entity, one that the
 * snapshot has in part, or one that is too large for a batch. */
static int apply_alone(struct replay *replay, const struct wal_block *block)
{
    int err = replay_flush(replay);
    err = err != 0 ? err
                   : columns_decode(block->raw, block->raw_bytes, block->first_lsn, block->count,
                                    apply_one, replay);
    uint64_t last_lsn = block->first_lsn + block->count - 1;
    if (err == 0 && last_lsn > FIELD_OWN(replay->state->lsn)) {
        FIELD_PUT(replay->state->lsn, last_lsn); /* the last one may have been skipped */
    }
    return err;
}

int replay_block(struct replay *replay, const struct wal_block *block)
{
    uint64_t time_ms = 0;
    const unsigned char *types = NULL;
    if (block->count == 0) {
        return 0;
    }
    int err = columns_head(block->raw, block->raw_bytes, block->count, &time_ms, &types);
    if (err != 0) {
        return err;
    }
    if (replay->places.count == 0) {
        replay->lsn = FIELD_OWN(replay->state->lsn);
        replay->time_ms = replay->state->time_ms;
    }
    if (block->first_lsn > replay->lsn + 1) {
        return TALLY_CORRUPT;
    }
    bool is_next = block->first_lsn == replay->lsn + 1 && time_ms >= replay->time_ms;
    if (!is_next || block->raw_bytes > BATCH_BYTES || !is_for_all(types, block->count)) {
        err = apply_alone(replay, block);
    } else {
        err = is_room(replay, block, time_ms) ? 0 : replay_flush(replay);
        err = err != 0 ? err : put_aside(replay, block, time_ms);
    }
    return err;
}
