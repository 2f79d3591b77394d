/* The replay: decodes blocks into one batch while other threads apply the batch before. */
#include "engine/start/replay.h"

#include "engine/log/columns.h"
#include "engine/log/bounds.h"
#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"

#include <stdlib.h>
#include <string.h>

enum {
    BATCH_BYTES = 1 << 20,       /* of blocks with builds */
    BATCH_RECORDS = 1 << 16,     /* its last block may exceed it */
    BATCH_RECORDS_MIN = 1 << 12, /* with fewer it does not pay to wake a thread */
};

void replay_init(struct replay *replay, struct state *state, unsigned threads)
{
    *replay = (struct replay){.state = state};
    replay->filled = &replay->batches[0];
    parallel_init(&replay->parallel, threads);
}

void replay_fini(struct replay *replay)
{
    parallel_wait(&replay->parallel);
    parallel_fini(&replay->parallel);
    for (size_t i = 0; i < 2; i++) {
        free(replay->batches[i].steps.at);
        free(replay->batches[i].spans.at);
        free(replay->batches[i].builds.at);
        free(replay->batches[i].votes.at);
        free(replay->batches[i].blocks.at);
        free(replay->batches[i].told.at);
        free(replay->batches[i].raw);
    }
    for (size_t i = 0; i <= REPLAY_SHARES_MAX; i++) {
        free(replay->shares[i].sums.at);
    }
}

/* Makes the list large enough for `more` items of a size, and returns their place; NULL without
 * memory. */
static void *list_reserve(struct replay_list *list, size_t more, size_t size)
{
    if (list->room - list->count < more) {
        size_t room = (list->count + more) * 2;
        void *at = realloc(list->at, room * size);
        if (at == NULL) {
            return NULL;
        }
        DCHECK(room - list->count >= more);
        list->at = at;
        list->room = room;
    }
    return (char *)list->at + list->count * size;
}

/* ---- what is told of it ---- */

/* Notes which records the next steps are. */
static int note_votes(struct replay_batch *batch, const struct vote_run *run)
{
    const struct event_votes *last = batch->votes.at;
    if (batch->votes.count > 0) {
        last += batch->votes.count - 1;
        if (last->first_lsn + (batch->steps.count - last->begin) == run->first_lsn &&
            last->time_ms == run->time_ms) {
            return 0;
        }
    }
    struct event_votes *votes = list_reserve(&batch->votes, 1, sizeof *votes);
    if (votes == NULL) {
        return TALLY_NOMEM;
    }
    *votes = (struct event_votes){run->first_lsn, run->time_ms, batch->steps.count};
    batch->votes.count++;
    return 0;
}

/* Keeps the votes of a block until its builds are applied. */
static int note_block(struct replay_batch *batch, const struct wal_block *block)
{
    size_t len = 0;
    int err = columns_votes_len(block->raw, block->raw_bytes, &len);
    struct replay_told *told = list_reserve(&batch->blocks, 1, sizeof *told);
    unsigned char *bytes = list_reserve(&batch->told, len, 1);
    if (err != 0 || told == NULL || bytes == NULL) {
        return err != 0 ? err : TALLY_NOMEM;
    }
    *told = (struct replay_told){block->first_lsn, block->count, len};
    memcpy(bytes, block->raw, len);
    batch->blocks.count++;
    batch->told.count += len;
    return 0;
}

/* Tells the blocks of a batch that is applied. */
static void tell_batch(struct replay *replay, struct replay_batch *batch)
{
    const struct replay_told *blocks = batch->blocks.at;
    const char *at = batch->told.at;
    for (size_t i = 0; i < batch->blocks.count; i++) {
        const struct event_block block = {.first_lsn = blocks[i].first_lsn,
                                          .count = blocks[i].count,
                                          .votes = {at, blocks[i].votes_len}};
        event_store_block(replay->events, block, false);
        at += blocks[i].votes_len;
    }
    batch->votes.count = 0;
    batch->blocks.count = 0;
    batch->told.count = 0;
}

/* Tells a block that was applied alone. */
static int tell_alone(struct replay *replay, const struct wal_block *block)
{
    struct event_block of = {.first_lsn = block->first_lsn, .count = block->count};
    size_t len = 0;
    int err = columns_votes_len(block->raw, block->raw_bytes, &len);
    of.votes = (struct span){block->raw, len};
    if (err == 0) {
        event_store_block(replay->events, of, true);
    }
    return err;
}

/* ---- decoding ---- */

/* Begins a span, unless the votes go on in the last one. */
static int begin_span(struct replay_batch *batch, uint64_t lsn, uint64_t second)
{
    DCHECK(lsn > 0);
    const struct replay_span *spans = batch->spans.at;
    if (batch->spans.count > 0) {
        const struct replay_span *last = &spans[batch->spans.count - 1];
        if (last->second == second && last->first_lsn + batch->steps.count - last->begin == lsn) {
            return 0;
        }
    }
    struct replay_span *span = list_reserve(&batch->spans, 1, sizeof *span);
    if (span == NULL) {
        return TALLY_NOMEM;
    }
    *span = (struct replay_span){lsn, second, batch->steps.count};
    batch->spans.count++;
    return 0;
}

static int take_votes(void *arg, const struct vote_run *run)
{
    DCHECK(run->count > 0 && run->count <= VOTE_RUN_MAX);
    struct replay_batch *batch = arg;
    int err = begin_span(batch, run->first_lsn, run->time_ms / 1000);
    err = err == 0 && batch->notes_events ? note_votes(batch, run) : err;
    struct vote_step *steps = list_reserve(&batch->steps, run->count, sizeof *steps);
    if (err != 0 || steps == NULL) {
        return TALLY_NOMEM;
    }
    for (uint32_t i = 0; i < run->count; i++) {
        steps[i] = apply_vote_step_of(run->option[i], run->before[i], run->n[i]);
    }
    batch->steps.count += run->count;
    return 0;
}

static int take_build(void *arg, const struct record *record)
{
    struct replay_list *builds = &((struct replay_batch *)arg)->builds;
    struct record *place = list_reserve(builds, 1, sizeof *place);
    if (place == NULL) {
        return TALLY_NOMEM;
    }
    *place = *record;
    builds->count++;
    return 0;
}

/* ---- applying: one task a share ---- */

static void share_fail(struct replay_share *share, int err, uint64_t lsn, unsigned type)
{
    DCHECK(err != 0 && share->err == 0); /* a share stops at its first error */
    share->err = err;
    share->lsn = lsn;
    share->type = type;
}

/* Applies those steps of a span that belong to the share, up to the step at `end`. */
static void apply_span(const struct replay *replay, struct replay_share *share,
                       const struct replay_span *span, size_t end)
{
    struct vote_share of = {.second = span->second,
                            .shares = replay->share_count,
                            .share = (uint32_t)(share - replay->shares) - 1};
    const struct vote_step *steps = replay->applied->steps.at;
    DCHECK(span->begin <= end && end <= replay->applied->steps.count);
    if (MUTANT(MUTANT_REPLAY_SHARES)) {
        of.share = (of.share + (uint32_t)span->begin) % of.shares;
    }
    for (size_t i = span->begin; i < end && share->err == 0;) {
        size_t count = end - i < VOTE_STEPS_MAX ? end - i : VOTE_STEPS_MAX;
        if (list_reserve(&share->sums, count, sizeof(struct vote_sum)) == NULL) {
            share_fail(share, TALLY_NOMEM, 0, RECORD_VOTE);
            return;
        }
        of.first_lsn = span->first_lsn + (i - span->begin);
        size_t done = apply_vote_steps(replay->state, &of, steps + i, count, share->sums.at,
                                       &share->sums.count);
        i += done;
        if (done < count) {
            share_fail(share, of.err, span->first_lsn + (i - span->begin), RECORD_VOTE);
        }
    }
}

static void apply_votes(const struct replay *replay, struct replay_share *share)
{
    const struct replay_batch *batch = replay->applied;
    const struct replay_span *spans = batch->spans.at;
    for (size_t i = 0; i < batch->spans.count && share->err == 0; i++) {
        bool is_last = i + 1 == batch->spans.count;
        apply_span(replay, share, &spans[i], is_last ? batch->steps.count : spans[i + 1].begin);
    }
}

static void apply_builds(const struct replay *replay, struct replay_share *share)
{
    const struct replay_list *builds = &replay->applied->builds;
    const struct record *records = builds->at;
    struct apply_result result; /* outside the loop: the compiler zeroes it at its declaration */
    for (size_t i = 0; i < builds->count && share->err == 0; i++) {
        int err = apply_of_builds(replay->state, &records[i], &result);
        if (err != 0) {
            share_fail(share, err, records[i].lsn, records[i].type);
        }
    }
}

static void apply_share(void *arg, unsigned task)
{
    struct replay *replay = arg;
    struct replay_share *share = &replay->shares[task];
    DCHECK(task <= replay->share_count);
    share->err = 0;
    share->sums.count = 0;
    if (task == 0) {
        apply_builds(replay, share);
    } else {
        apply_votes(replay, share);
    }
}

/* ---- one batch after the other ---- */

/* Finds the first record that did not fit. It is the one that a single thread would find: all
 * records before it in its share were applied, and no share depends on another. */
static int judge_shares(struct replay *replay)
{
    for (unsigned i = 0; i <= replay->share_count; i++) {
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

/* Adds the sums of all shares to the polls, in the order of their lsns. */
static int add_sums(const struct replay *replay)
{
    size_t next[REPLAY_SHARES_MAX + 1] = {0};
    for (;;) {
        unsigned first = 0;
        uint64_t first_lsn = UINT64_MAX;
        for (unsigned i = 1; i <= replay->share_count; i++) {
            const struct vote_sum *sums = replay->shares[i].sums.at;
            if (next[i] < replay->shares[i].sums.count && sums[next[i]].lsn < first_lsn) {
                first = i;
                first_lsn = sums[next[i]].lsn;
            }
        }
        if (first == 0) {
            return 0;
        }
        const struct vote_sum *sums = replay->shares[first].sums.at;
        const struct vote_sum *sum = &sums[next[first]++];
        int err = apply_vote_sum(replay->state, sum);
        if (err != 0) {
            return err;
        }
        if (replay->events != NULL) {
            event_store_expect(replay->events, sum->poll->id, sum->steps);
        }
    }
}

/* Waits until the batch under way is applied. */
static int finish(struct replay *replay)
{
    struct replay_batch *batch = replay->applied;
    if (batch == NULL) {
        return 0;
    }
    parallel_wait(&replay->parallel);
    int err = judge_shares(replay);
    err = err != 0 ? err : add_sums(replay);
    DCHECK(batch->last_ms >= replay->state->time_ms &&
           batch->last_lsn > FIELD_OWN(replay->state->lsn));
    replay->state->time_ms = batch->last_ms;
    FIELD_PUT(replay->state->lsn, batch->last_lsn);
    if (err == 0 && replay->events != NULL) {
        event_store_votes(replay->events, batch->steps.at, batch->steps.count, batch->votes.at,
                          batch->votes.count);
        tell_batch(replay, batch);
    }
    batch->steps.count = 0;
    batch->spans.count = 0;
    batch->builds.count = 0;
    batch->raw_bytes = 0;
    batch->last_lsn = 0;
    replay->applied = NULL;
    return err;
}

/* Starts applying the decoded batch, and makes room for the next one. */
static int hand_over(struct replay *replay)
{
    struct replay_batch *batch = replay->filled;
    unsigned threads = replay->parallel.threads_max;
    int err = finish(replay);
    if (err != 0 || batch->last_lsn == 0) {
        return err;
    }
    bool is_alone = threads == 1 || batch->steps.count + batch->builds.count < BATCH_RECORDS_MIN;
    DCHECK(replay->applied == NULL); /* the batch before is applied */
    replay->applied = batch;
    replay->filled = &replay->batches[batch == &replay->batches[0]];
    /* each share looks at all votes, and one thread decodes: more shares would not pay */
    replay->share_count = 1;
    while (!is_alone && replay->share_count * 2 <= threads / 2) {
        replay->share_count *= 2;
    }
    if (!is_alone) {
        parallel_start(&replay->parallel, replay->share_count + 1, apply_share, replay);
        return 0;
    }
    for (unsigned i = 0; i <= replay->share_count; i++) {
        apply_share(replay, i);
    }
    return finish(replay);
}

int replay_flush(struct replay *replay)
{
    int err = hand_over(replay);
    return err != 0 ? err : finish(replay);
}

/* ---- the blocks as they come ---- */

/* Whether all records of a block may be applied side by side; *is_votes: all are votes. */
static bool is_for_all(const unsigned char *types, uint32_t count, bool *is_votes)
{
    unsigned other = 0;
    for (uint32_t i = 0; i < count; i++) {
        other |= types[i] ^ RECORD_VOTE;
    }
    *is_votes = other == 0;
    for (uint32_t i = 0; i < count && other != 0; i++) {
        if (types[i] != RECORD_VOTE && !record_is_of_builds(types[i])) {
            return false;
        }
    }
    return true;
}

/* Whether the batch can take a block: one condition is that each second of a batch has its own
 * place in a poll's counts by second. */
static bool is_room(const struct replay_batch *batch, const struct wal_block *block,
                    uint64_t time_ms)
{
    return batch->last_lsn == 0 || (batch->raw_bytes + block->raw_bytes <= BATCH_BYTES &&
                                    batch->steps.count + batch->builds.count < BATCH_RECORDS &&
                                    time_ms / 1000 - batch->first_second < POLL_SECONDS);
}

/* Keeps the bytes of a block when records of the batch point into them: texts of builds do, votes
 * do not. */
static const void *raw_keep(struct replay_batch *batch, const struct wal_block *block,
                            bool is_votes)
{
    if (is_votes) {
        return block->raw;
    }
    if (batch->raw == NULL) {
        batch->raw = malloc(BATCH_BYTES);
    }
    if (batch->raw == NULL) {
        return NULL;
    }
    DCHECK(batch->raw_bytes + block->raw_bytes <= BATCH_BYTES); /* is_room has looked */
    unsigned char *at = batch->raw + batch->raw_bytes;
    batch->raw_bytes += block->raw_bytes;
    return memcpy(at, block->raw, block->raw_bytes);
}

static int decode(struct replay_batch *batch, const struct wal_block *block, uint64_t time_ms,
                  bool is_votes)
{
    const struct columns_visitor visitor = {take_build, take_votes, batch};
    const void *raw = raw_keep(batch, block, is_votes);
    if (raw == NULL) {
        return TALLY_NOMEM;
    }
    DCHECK(block->count > 0 && block->first_lsn > batch->last_lsn);
    if (batch->last_lsn == 0) {
        batch->first_second = time_ms / 1000;
    }
    DCHECK(time_ms / 1000 - batch->first_second < POLL_SECONDS); /* a place for each second */
    batch->last_lsn = block->first_lsn + block->count - 1;
    batch->last_ms = time_ms;
    int err = batch->notes_events ? note_block(batch, block) : 0;
    return err != 0
               ? err
               : columns_visit(raw, block->raw_bytes, block->first_lsn, block->count, &visitor);
}

static int apply_one(void *arg, const struct record *record)
{
    struct replay *replay = arg;
    if (record->lsn <= FIELD_OWN(replay->state->lsn)) {
        return 0;
    }
    int err = apply(replay->state, record, &replay->result);
    if (err == TALLY_CORRUPT) {
        replay->bad_lsn = record->lsn;
        replay->bad_type = record->type;
    }
    return err;
}

/* Applies a block record by record: one with records that look at more than their own entity, one
 * that the snapshot has in part, or one that is too large for a batch. */
static int apply_alone(struct replay *replay, const struct wal_block *block)
{
    int err = replay_flush(replay);
    err = err != 0 ? err
                   : columns_decode(block->raw, block->raw_bytes, block->first_lsn, block->count,
                                    apply_one, replay);
    DCHECK(replay->applied == NULL || err != 0); /* the blocks before it are applied */
    err = err == 0 && replay->events != NULL ? tell_alone(replay, block) : err;
    uint64_t last_lsn = block->first_lsn + block->count - 1;
    if (err == 0 && last_lsn > FIELD_OWN(replay->state->lsn)) {
        FIELD_PUT(replay->state->lsn, last_lsn); /* the last record may have been skipped */
    }
    return err;
}

/* Finds the last record that is applied, or that is in the batch to be applied. */
static void last_record(const struct replay *replay, uint64_t *lsn, uint64_t *time_ms)
{
    const struct replay_batch *batch =
        replay->filled->last_lsn != 0 ? replay->filled : replay->applied;
    *lsn = batch != NULL ? batch->last_lsn : FIELD_OWN(replay->state->lsn);
    *time_ms = batch != NULL ? batch->last_ms : replay->state->time_ms;
}

int replay_block(struct replay *replay, const struct wal_block *block)
{
    uint64_t time_ms = 0;
    uint64_t last_lsn;
    uint64_t last_ms;
    const unsigned char *types = NULL;
    bool is_votes;
    if (block->count == 0) {
        return 0;
    }
    if (ledger_is_beyond(&replay->state->ledger)) {
        return TALLY_NOMEM;
    }
    int err = columns_head(block->raw, block->raw_bytes, block->count, &time_ms, &types);
    if (err != 0) {
        return err;
    }
    last_record(replay, &last_lsn, &last_ms);
    if (block->first_lsn > last_lsn + 1) {
        return TALLY_CORRUPT;
    }
    bool is_next = block->first_lsn == last_lsn + 1 && time_ms >= last_ms && time_ms <= TIME_MS_MAX;
    if (!is_next || block->raw_bytes > BATCH_BYTES || !is_for_all(types, block->count, &is_votes)) {
        return apply_alone(replay, block);
    }
    err = is_room(replay->filled, block, time_ms) ? 0 : hand_over(replay);
    replay->filled->notes_events = replay->events != NULL;
    return err != 0 ? err : decode(replay->filled, block, time_ms, is_votes);
}
