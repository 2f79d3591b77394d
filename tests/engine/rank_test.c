/* Ranks: after any changes they have the order that a sort makes. */
#include "engine/base/rank.h"
#include "tests/lib/seed.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct rank_row {
    uint32_t place;
    uint64_t votes;
};

static int compare(const void *a, const void *b)
{
    const struct rank_row *x = a;
    const struct rank_row *y = b;
    if (x->votes != y->votes) {
        return x->votes < y->votes ? 1 : -1;
    }
    return (x->place > y->place) - (x->place < y->place);
}

/* Compares the rank with a sort of its votes. */
static void expect_sorted(const struct rank *rank)
{
    struct rank_row *rows = malloc((rank->count + (size_t)1) * sizeof *rows);
    struct rank_at at = {0};
    uint64_t total = 0;
    uint64_t votes = 0;
    uint32_t place = 0;
    for (uint32_t i = 0; i < rank->count; i++) {
        rows[i] = (struct rank_row){i, rank->votes[i]};
        total += rank->votes[i];
    }
    qsort(rows, rank->count, sizeof *rows, compare);
    for (uint32_t i = 0; i < rank->count; i++) {
        cr_assert(rank_next(rank, &at, &place, &votes));
        cr_assert_eq(place, rows[i].place);
        cr_assert_eq(votes, rows[i].votes);
    }
    cr_assert(!rank_next(rank, &at, &place, &votes));
    cr_assert_eq(rank->total, total);
    free(rows);
}

static void build(struct rank *rank, struct seed *seed, uint32_t count, uint64_t range)
{
    uint64_t *votes = malloc((count + (size_t)1) * sizeof *votes);
    *rank = (struct rank){0};
    for (uint32_t i = 0; i < count; i++) {
        votes[i] = seed_below(seed, range);
    }
    cr_assert_eq(rank_build(rank, votes, count), 0);
    expect_sorted(rank);
}

Test(rank, is_what_a_sort_makes)
{
    for (uint64_t start = 1; start <= 12; start++) {
        struct seed seed = {start};
        struct rank rank;
        build(&rank, &seed, (uint32_t)seed_below(&seed, 6000), start % 3 == 0 ? 1 : 100);
        for (int i = 0; i < 20000; i++) {
            uint32_t place = (uint32_t)seed_below(&seed, rank.count + (start < 6 ? 1 : 0));
            if (place < rank.count || place == rank.count) {
                uint64_t now = place < rank.count ? rank.votes[place] : 0;
                cr_assert_eq(rank_set(&rank, place, now + seed_below(&seed, 3)), 0);
            }
        }
        expect_sorted(&rank);
        cr_assert_eq(rank_set(&rank, rank.count + 1, 1), TALLY_CORRUPT);
        rank_fini(&rank);
    }
}

/* Votes that differ in some of their digits only, and in all of them. */
Test(rank, is_built_from_any_votes)
{
    struct seed seed = {3};
    for (unsigned bits = 0; bits <= RANK_VOTES_BITS; bits++) {
        struct rank rank;
        build(&rank, &seed, 2000, (uint64_t)1 << bits);
        rank_fini(&rank);
    }
    for (uint32_t count = 0; count < 4; count++) {
        struct rank rank;
        build(&rank, &seed, count, (uint64_t)1 << RANK_VOTES_BITS);
        rank_fini(&rank);
    }
}

Test(rank, may_be_empty_and_go_through_all_votes_there_can_be)
{
    struct seed seed = {7};
    struct rank rank;
    build(&rank, &seed, 0, 1);
    cr_assert_eq(rank_set(&rank, 0, 0), 0);
    cr_assert_eq(rank_set(&rank, 1, ((uint64_t)1 << 39)), 0);
    cr_assert_eq(rank_set(&rank, 2, ((uint64_t)1 << 40) - 1), 0);
    cr_assert_eq(rank_set(&rank, 2, 1), 0);
    expect_sorted(&rank);
    rank_fini(&rank);
}

/* Chunks that have become small are joined: memory grows with the options, not with the votes. */
Test(rank, memory_does_not_grow_with_votes)
{
    struct seed seed = {3};
    struct rank rank;
    build(&rank, &seed, 20000, 1);
    size_t most = 0;
    for (int i = 0; i < 400000; i++) {
        uint32_t place = (uint32_t)seed_below(&seed, rank.count);
        cr_assert_eq(rank_set(&rank, place, rank.votes[place] + 1 + seed_below(&seed, 50)), 0);
        most = rank.chunk_count > most ? rank.chunk_count : most;
    }
    cr_assert_lt(most, (size_t)4 * 20000 / RANK_CHUNK + 4, "%zu chunks", most);
    rank_fini(&rank);
}
