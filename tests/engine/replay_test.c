/* The replay of single blocks: which are taken, left out or refused, and which record is blamed. */
#include "engine/log/columns.h"
#include "engine/apply/snapshot_load.h"
#include "engine/start/replay.h"
#include "tests/lib/count.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { BATCH = 1 << 20 }; /* raw bytes that a batch of the replay keeps at most */

static struct state state;
static struct replay replay;

/* Makes a poll with two options: the records 1 to 3. */
static void begin(void)
{
    static const struct record records[] = {
        {.lsn = 1, .time_ms = 1000, .type = RECORD_POLL, .text = {{"p", 1}}},
        {.lsn = 2, .time_ms = 1000, .type = RECORD_OPTION, .text = {{"p", 1}, {"A", 1}, {"a", 1}}},
        {.lsn = 3, .time_ms = 1000, .type = RECORD_OPTION, .text = {{"p", 1}, {"B", 1}, {"b", 1}}},
    };
    cr_assert_eq(state_init(&state), 0);
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        struct apply_result result;
        cr_assert(apply(&state, &records[i], &result) == 0 && result.err == 0);
    }
    replay_init(&replay, &state, 2);
}

static void end(void)
{
    replay_fini(&replay);
    state_fini(&state);
}

TestSuite(replay, .init = begin, .fini = end);

struct made_block {
    struct columns columns;
    uint64_t first_lsn;
};

static struct made_block block_at(uint64_t first_lsn, uint64_t time_ms)
{
    struct made_block block = {.first_lsn = first_lsn};
    columns_begin(&block.columns, time_ms);
    return block;
}

static void vote(struct made_block *block, uint64_t option, uint64_t before, uint32_t n)
{
    cr_assert_eq(columns_vote(&block->columns, option, before, n), 0);
}

/* Hands a block to the replay, and frees it. */
static int give(struct made_block *block)
{
    struct wal_block whole = {.first_lsn = block->first_lsn, .count = block->columns.count};
    const unsigned char *raw;
    cr_assert_eq(columns_end(&block->columns, &raw, &whole.raw_bytes), 0);
    whole.raw = raw;
    int err = replay_block(&replay, &whole);
    columns_fini(&block->columns);
    return err;
}

static uint64_t votes_of(uint64_t option)
{
    return FIELD_GET(state_option(&state, option)->votes);
}

Test(replay, what_is_put_aside_is_there_after_the_flush)
{
    struct made_block block = block_at(4, 1000);
    vote(&block, 1, 0, 5);
    vote(&block, 2, 0, 1);
    vote(&block, 1, 5, 2);
    cr_assert_eq(give(&block), 0);
    cr_assert_eq(replay_flush(&replay), 0);
    cr_assert(votes_of(1) == 7 && votes_of(2) == 1);
    cr_assert(FIELD_GET(state.votes) == 8 && FIELD_GET(state.lsn) == 6 && state.time_ms == 1000);
    cr_assert_eq(state_option(&state, 1)->changes, 2);
    cr_assert_eq(replay_flush(&replay), 0, "there is nothing more");
}

Test(replay, a_hole_before_a_block_is_corrupt)
{
    struct made_block block = block_at(5, 1000);
    vote(&block, 1, 0, 1);
    cr_assert_eq(give(&block), TALLY_CORRUPT);
    block = block_at(4, 1000);
    vote(&block, 1, 0, 1);
    cr_assert_eq(give(&block), 0);
    block = block_at(6, 1000);
    vote(&block, 1, 1, 1);
    cr_assert_eq(give(&block), TALLY_CORRUPT, "behind one that is put aside, too");
}

Test(replay, what_the_state_has_is_left_out)
{
    struct made_block block = block_at(4, 1000);
    vote(&block, 1, 0, 1);
    vote(&block, 1, 1, 1);
    cr_assert_eq(give(&block), 0);
    cr_assert_eq(replay_flush(&replay), 0);
    block = block_at(4, 1000);
    vote(&block, 1, 0, 1);
    cr_assert_eq(give(&block), 0, "all of it");
    cr_assert_eq(FIELD_GET(state.lsn), 5);
    block = block_at(5, 1000);
    vote(&block, 1, 1, 1);
    vote(&block, 1, 2, 1);
    cr_assert_eq(give(&block), 0, "its first one");
    cr_assert(FIELD_GET(state.lsn) == 6 && votes_of(1) == 3);
}

Test(replay, time_that_goes_back_is_corrupt)
{
    struct made_block block = block_at(4, 2000);
    vote(&block, 1, 0, 1);
    cr_assert_eq(give(&block), 0);
    block = block_at(5, 1999);
    vote(&block, 1, 1, 1);
    cr_assert_eq(give(&block), TALLY_CORRUPT);
    cr_assert(replay.bad_lsn == 5 && replay.bad_type == RECORD_VOTE);
}

/* Records that no vote can be, alone and between votes whose chain they would continue. */
Test(replay, what_is_no_vote_is_blamed)
{
    static const struct {
        uint64_t option;
        uint64_t before;
        uint32_t n;
    } bad[] = {
        {1, 1, 0}, {0, 0, 1}, {3, 0, 1},   {1 + ((uint64_t)1 << 32), 1, 1},
        {1, 0, 1}, {1, 2, 1}, {1, 1U, 0U}, {UINT64_MAX, 0, 1},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct made_block block = block_at(4, 1000);
        vote(&block, 1, 0, 1);
        vote(&block, bad[i].option, bad[i].before, bad[i].n);
        vote(&block, 1, 1, 1);
        cr_assert_eq(give(&block), 0);
        cr_assert_eq(replay_flush(&replay), TALLY_CORRUPT, "case %zu", i);
        cr_assert(replay.bad_lsn == 5 && replay.bad_type == RECORD_VOTE, "case %zu: %lu", i,
                  (unsigned long)replay.bad_lsn);
        end();
        begin();
    }
}

/* A vote with n = 0 must not pass as the beginning of the chain of the next ones. */
Test(replay, no_votes_before_others_are_blamed)
{
    struct made_block block = block_at(4, 1000);
    vote(&block, 1, 0, 0);
    vote(&block, 1, 0, 5);
    cr_assert_eq(give(&block), 0);
    cr_assert_eq(replay_flush(&replay), TALLY_CORRUPT);
    cr_assert_eq(replay.bad_lsn, 4);
}

/* A poll has 64 places for seconds: the second block takes the places of the first one. */
Test(replay, a_place_for_a_second_is_not_shared)
{
    struct made_block block = block_at(4, 64000);
    vote(&block, 1, 0, 3);
    vote(&block, 2, 0, 1);
    cr_assert_eq(give(&block), 0);
    block = block_at(6, 128000);
    vote(&block, 1, 3, 10);
    vote(&block, 2, 1, 20);
    cr_assert_eq(give(&block), 0);
    cr_assert_eq(replay_flush(&replay), 0);
    const struct poll *poll = state_poll(&state, SPAN("p"));
    cr_assert_eq(FIELD_GET(poll->second[0]), 128);
    cr_assert_eq(FIELD_GET(poll->second_votes[0]), 30);
    cr_assert_eq(FIELD_GET(poll->total), 34);
}

/* A block that is larger than a batch, behind a block that is in a batch. */
Test(replay, a_block_may_be_of_any_size)
{
    struct made_block block = block_at(4, 1000);
    uint64_t votes = 0;
    vote(&block, 1, votes++, 1);
    cr_assert_eq(give(&block), 0);
    block = block_at(5, 1000);
    while (columns_bytes(&block.columns) <= BATCH) {
        vote(&block, 1, votes++, 1);
    }
    cr_assert_eq(give(&block), 0);
    cr_assert_eq(replay_flush(&replay), 0);
    cr_assert_eq(votes_of(1), votes);
    cr_assert_eq(FIELD_GET(state.lsn), 3 + votes);
}

/* Three records of one block; the first and the last are of a type that may be skipped. */
Test(replay, a_record_that_may_be_skipped_has_its_lsn)
{
    const struct record poll = {.type = RECORD_POLL, .text = {{"q", 1}}};
    struct columns columns = {.count = 0};
    unsigned char bytes[256];
    const unsigned char *raw;
    size_t len;
    columns_begin(&columns, 1000);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(columns_add(&columns, &poll), 0);
    }
    cr_assert_eq(columns_end(&columns, &raw, &len), 0);
    cr_assert(len <= sizeof(bytes));
    memcpy(bytes, raw, len);
    columns_fini(&columns);
    unsigned char *types = memchr(bytes, RECORD_POLL, len);
    cr_assert(types != NULL && types[1] == RECORD_POLL && types[2] == RECORD_POLL);
    types[0] = types[2] = RECORD_SKIPPABLE | RECORD_POLL;
    for (uint64_t lsn = 4; lsn <= 7; lsn += 3) {
        struct wal_block of_three = {.first_lsn = lsn, .count = 3, .raw = bytes, .raw_bytes = len};
        cr_assert_eq(replay_block(&replay, &of_three), 0);
        cr_assert_eq(FIELD_GET(state.lsn), lsn + 2);
    }
    cr_assert_eq(FIELD_GET(state.poll_count), 2);
}
