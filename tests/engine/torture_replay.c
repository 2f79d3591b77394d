/* Replays of long logs by several threads: they make the state that apply makes record by record,
 * and blame the same record where one does not fit. */
#include "engine/apply/digest.h"
#include "engine/log/columns.h"
#include "engine/apply/snapshot_load.h"
#include "engine/start/replay.h"
#include "tests/engine/handle.h"
#include "tests/engine/record_history.h"
#include "wal/base/err.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    RECORDS = 120000,
    SETTLED = 20000,
    CALM = 80000,
    BLOCK_RECORDS_MAX = 4000,
    MISTAKES = 5,
    IDLE_MS = 26 * 3600 * 1000
};

struct block_list {
    struct wal_block *blocks;
    uint32_t count;
};

/* Makes blocks of all sizes; a record's time is that of its block. */
static void block_list_init(struct block_list *log, struct record_history *h, uint64_t start)
{
    struct columns columns = {.count = 0};
    struct seed seed = {start};
    uint64_t time_ms = 1000000; /* as in the history: the same polls are closed */
    *log = (struct block_list){.blocks = calloc(h->count, sizeof *log->blocks)};
    EXPECT(log->blocks != NULL, "no memory");
    for (uint32_t i = 0; i < h->count;) {
        struct wal_block *block = &log->blocks[log->count++];
        uint64_t most = seed_below(&seed, 3) == 0 ? 5 : BLOCK_RECORDS_MAX;
        uint64_t records = 1 + seed_below(&seed, most);
        const unsigned char *raw;
        time_ms += seed_below(&seed, seed_below(&seed, 40) == 0 ? 100000 : 300);
        if (i >= CALM && seed_below(&seed, 8) == 0) {
            time_ms += IDLE_MS; /* no window shows the trends of before */
        }
        columns_begin(&columns, time_ms);
        *block = (struct wal_block){.first_lsn = i + 1};
        for (; i < h->count && columns.count < records; i++) {
            h->records[i].time_ms = time_ms;
            EXPECT(columns_add(&columns, &h->records[i]) == 0, "columns_add");
        }
        EXPECT(columns_end(&columns, &raw, &block->raw_bytes) == 0, "columns_end");
        void *copy = malloc(block->raw_bytes);
        EXPECT(copy != NULL, "no memory");
        block->raw = memcpy(copy, raw, block->raw_bytes);
        block->count = columns.count;
    }
    columns_fini(&columns);
}

static void block_list_fini(struct block_list *log)
{
    for (uint32_t i = 0; i < log->count; i++) {
        free((void *)log->blocks[i].raw);
    }
    free(log->blocks);
}

struct replayed {
    int err;
    uint64_t bad_lsn;
    unsigned bad_type;
    uint64_t digest; /* if there is no error */
};

/* Leaves little room for trends, so that some are dropped and others are coarse. */
static int state_begin(struct state *state)
{
    int err = state_init(state);
    for (unsigned i = 0; i < TREND_POOLS; i++) {
        uint64_t max = i == TREND_POOL_OF_POLLS ? TREND_POOL_POLLS_MAX : TREND_POOL_MAX;
        state->trend_pools[i] = max - TREND_SAMPLES_MAX;
    }
    return err;
}

static struct replayed replay_in_order(const struct record_history *h)
{
    static struct state state;
    struct replayed outcome = {.err = state_begin(&state)};
    for (uint32_t i = 0; i < h->count && outcome.err == 0; i++) {
        struct apply_result result;
        outcome.err = apply(&state, &h->records[i], &result);
        outcome.bad_lsn = outcome.err != 0 ? h->records[i].lsn : 0;
        outcome.bad_type = outcome.err != 0 ? h->records[i].type : 0;
    }
    outcome.digest = outcome.err == 0 ? digest_state(&state) : 0;
    state_fini(&state);
    return outcome;
}

static struct replayed replay_by_threads(const struct block_list *log, unsigned threads)
{
    static struct state state;
    static struct replay replay;
    struct replayed outcome = {.err = state_begin(&state)};
    replay_init(&replay, &state, threads);
    for (uint32_t i = 0; i < log->count && outcome.err == 0; i++) {
        outcome.err = replay_block(&replay, &log->blocks[i]);
    }
    outcome.err = outcome.err != 0 ? outcome.err : replay_flush(&replay);
    outcome.bad_lsn = replay.bad_lsn;
    outcome.bad_type = replay.bad_type;
    outcome.digest = outcome.err == 0 ? digest_state(&state) : 0;
    replay_fini(&replay);
    state_fini(&state);
    return outcome;
}

static bool is_same(const struct replayed *a, const struct replayed *b)
{
    return a->err == b->err && a->bad_lsn == b->bad_lsn && a->bad_type == b->bad_type &&
           a->digest == b->digest;
}

static void compare(struct record_history *h, uint64_t start, int err)
{
    struct block_list log;
    block_list_init(&log, h, start);
    struct replayed first = replay_in_order(h);
    EXPECT(first.err == err, "error %d in order", first.err);
    for (unsigned threads = 1; threads <= PARALLEL_THREADS_MAX; threads *= 2) {
        struct replayed second = replay_by_threads(&log, threads);
        EXPECT(is_same(&first, &second),
               "start %lu, %u threads: error %d at %lu, type %u, digest %lx, instead of "
               "error %d at %lu, type %u, digest %lx",
               (unsigned long)start, threads, second.err, (unsigned long)second.bad_lsn,
               second.bad_type, (unsigned long)second.digest, first.err,
               (unsigned long)first.bad_lsn, first.bad_type, (unsigned long)first.digest);
    }
    block_list_fini(&log);
}

/* Spoils a step so that it does not continue its chain; then another one, perhaps before it. */
static void make_mistakes(struct record_history *h, struct seed *seed)
{
    for (int made = 0; made < 2;) {
        struct record *record = &h->records[SETTLED + seed_below(seed, RECORDS - SETTLED)];
        bool is_vote = record->type == RECORD_VOTE;
        if (is_vote || record->type == RECORD_CLAIM || record->type == RECORD_DONE) {
            record->num[is_vote ? (unsigned)VOTE_BEFORE : (unsigned)STEP_BEFORE]++;
            made++;
        }
    }
}

int main(void)
{
    static struct state state;
    struct record_history h = {.polls_until = SETTLED, .votes_from = CALM};
    struct seed seed = {7};
    record_history_init(&h, &state, 1, RECORDS);
    state_fini(&state);
    compare(&h, 1, 0);
    compare(&h, 2, 0);
    for (uint64_t i = 0; i < MISTAKES; i++) {
        struct record_history wrong = h;
        wrong.records = malloc(RECORDS * sizeof *wrong.records);
        EXPECT(wrong.records != NULL, "no memory");
        memcpy(wrong.records, h.records, RECORDS * sizeof *wrong.records);
        make_mistakes(&wrong, &seed);
        compare(&wrong, i, TALLY_CORRUPT);
        free(wrong.records);
    }
    record_history_fini(&h);
    printf("%d records by 1 to %d threads, %d times with mistakes\n", RECORDS, PARALLEL_THREADS_MAX,
           MISTAKES);
    return 0;
}
