/* The voters of a poll, compared with a plain array. */
#include "engine/state/voters.h"
#include "tests/crash/allocations.h"
#include "tests/lib/count.h"
#include "tests/lib/seed.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { PEOPLE = 4000 };

struct person {
    char name[VOTERS_LEN_MAX];
    uint32_t len;
    uint32_t places[VOTERS_OPTIONS_MAX];
    uint32_t count; /* 0: not in the set */
    uint32_t mark;
    bool met;
};

static struct person people[PEOPLE];
static struct voters voters;

static uint64_t allocations_left = UINT64_MAX;

bool allocation_fails(void)
{
    bool fails = allocations_left == 0;
    allocations_left -= !fails;
    return fails;
}

/* Names of each length, all different, and some alike but for their ends. */
static void name_people(struct seed *seed, uint32_t len_max)
{
    for (uint32_t i = 0; i < PEOPLE; i++) {
        struct person *person = &people[i];
        *person = (struct person){.len = i % len_max + 1};
        memset(person->name, 'x', sizeof(person->name));
        uint32_t number = i / len_max; /* of this length */
        person->len = person->len == 1 && number > 255 ? len_max + 1 : person->len;
        for (uint32_t at = person->len; at-- > 0 && at + 3 >= person->len; number >>= 8) {
            person->name[at] = (char)(number & 255);
        }
        person->mark = (uint32_t)seed_below(seed, VOTERS_MARK_MASK + 1);
    }
}

static struct span name_of(const struct person *person)
{
    return (struct span){person->name, person->len};
}

static void check_view(const struct person *person, const struct voters_view *view)
{
    cr_assert(span_equal(view->voter, name_of(person)));
    cr_assert_eq(view->count, person->count);
    cr_assert_eq(view->mark, person->mark);
    cr_assert_eq(memcmp(view->places, person->places, view->count * sizeof *view->places), 0);
}

static void put(struct person *person, struct seed *seed, uint32_t count)
{
    person->count = count;
    person->mark = (uint32_t)seed_below(seed, VOTERS_MARK_MASK + 1);
    for (uint32_t i = 0; i < count; i++) {
        person->places[i] = (uint32_t)seed_next(seed);
    }
    struct voters_entry entry = {name_of(person), person->places, count, person->mark};
    cr_assert_eq(voters_put(&voters, &entry), 0);
}

static void take(struct person *person)
{
    cr_assert_eq(voters_remove(&voters, name_of(person)), person->count > 0);
    person->count = 0;
}

static void check_all(void)
{
    uint64_t in = 0;
    for (uint32_t i = 0; i < PEOPLE; i++) {
        struct voters_view view;
        bool is_in = voters_find(&voters, name_of(&people[i]), &view);
        cr_assert_eq(is_in, people[i].count > 0, "person %u", i);
        in += is_in;
        if (is_in) {
            check_view(&people[i], &view);
        }
    }
    cr_assert_eq(voters.count, in);
}

static void change(struct seed *seed, struct person *person, unsigned puts_of_ten, uint32_t counts)
{
    if (seed_below(seed, 10) < puts_of_ten) {
        put(person, seed, 1 + (uint32_t)seed_below(seed, counts));
    } else {
        take(person);
    }
}

/* Names of all lengths and ballots of all sizes, growing, shrinking, and empty again. */
static void check_history(uint64_t start, uint32_t len_max, uint32_t counts)
{
    struct seed seed = {start};
    voters_init(&voters, seed_next(&seed));
    name_people(&seed, len_max);
    static const unsigned puts_of_ten[] = {9, 5, 2, 7, 1, 0};
    for (size_t phase = 0; phase < COUNT_OF(puts_of_ten); phase++) {
        for (uint32_t round = 0; round < 3 * PEOPLE; round++) {
            change(&seed, &people[seed_below(&seed, PEOPLE)], puts_of_ten[phase], counts);
        }
        check_all();
    }
    for (uint32_t i = 0; i < PEOPLE; i++) {
        take(&people[i]);
    }
    cr_assert_eq(voters.count, 0);
    cr_assert_eq(voters_bytes(&voters), 0, "%llu bytes", (unsigned long long)voters_bytes(&voters));
    put(&people[7], &seed, 3);
    check_all();
    voters_fini(&voters);
    cr_assert_eq(voters_bytes(&voters), 0);
}

Test(voters, a_set_holds_what_was_put_and_not_removed)
{
    for (uint64_t start = 1; start <= 6; start++) {
        check_history(start, 64, 60);
        check_history(start, 64, 1);
        check_history(start, 3, 60);
        check_history(start, 36, 2);
    }
}

Test(voters, every_length_and_every_number_of_options_is_kept)
{
    struct seed seed = {11};
    voters_init(&voters, 5);
    name_people(&seed, 64);
    for (uint32_t i = 0; i < PEOPLE && i < 64 * 60; i++) {
        put(&people[i], &seed, i / 64 + 1);
    }
    check_all();
    voters_fini(&voters);
}

static struct person *person_of(struct span name)
{
    for (uint32_t i = 0; i < PEOPLE; i++) {
        if (span_equal(name, name_of(&people[i]))) {
            return &people[i];
        }
    }
    return NULL;
}

/* All voters that are there from the beginning of a walk to its end are met once, as they are. */
static void check_walk(uint64_t start, bool is_changing)
{
    static bool stayed[PEOPLE];
    struct seed seed = {start};
    struct voters_view view;
    voters_init(&voters, start);
    name_people(&seed, 64);
    for (uint32_t i = 0; i < 6 * PEOPLE; i++) {
        change(&seed, &people[seed_below(&seed, PEOPLE)], 7, 60);
    }
    for (uint32_t i = 0; i < PEOPLE; i++) {
        stayed[i] = people[i].count > 0;
        people[i].met = false;
    }
    voters_walk(&voters);
    while (!voters_is_walked(&voters)) {
        uint64_t blocks = 1 + seed_below(&seed, 20);
        uint64_t passed = 0;
        for (uint64_t room = blocks; voters_next(&voters, &blocks, &view); passed++) {
            struct person *person = person_of(view.voter);
            cr_assert(person != NULL && !(person->met && stayed[person - people]));
            cr_assert(passed < room);
            check_view(person, &view);
            person->met = true;
            person->mark = (uint32_t)seed_next(&seed) & VOTERS_MARK_MASK;
            voters_mark(&voters, &view, person->mark | 7u << VOTERS_MARK_BITS);
        }
        for (unsigned i = 0; is_changing && i < 5; i++) {
            uint32_t who = (uint32_t)seed_below(&seed, PEOPLE);
            change(&seed, &people[who], 4, 60);
            stayed[who] = false;
        }
    }
    for (uint32_t i = 0; i < PEOPLE; i++) {
        cr_assert(!stayed[i] || people[i].met, "person %u", i);
    }
    check_all();
    /* what was freed during the walk is moved together after it */
    for (uint32_t i = 0; i < PEOPLE; i++) {
        put(&people[i], &seed, 1);
    }
    check_all();
    voters_fini(&voters);
}

Test(voters, a_walk_meets_every_voter_once_while_others_come_and_go)
{
    for (uint64_t start = 1; start <= 5; start++) {
        check_walk(start, false);
        check_walk(start, true);
    }
}

Test(voters, a_walk_of_an_empty_set_ends_and_one_of_a_set_that_becomes_empty)
{
    struct seed seed = {3};
    struct voters_view view;
    uint64_t blocks = 100;
    voters_init(&voters, 1);
    name_people(&seed, 64);
    voters_walk(&voters);
    cr_assert(!voters_next(&voters, &blocks, &view) && voters_is_walked(&voters));
    for (uint32_t i = 0; i < 500; i++) {
        put(&people[i], &seed, 1);
    }
    voters_walk(&voters);
    blocks = 100;
    cr_assert(voters_next(&voters, &blocks, &view) && !voters_is_walked(&voters));
    for (uint32_t i = 0; i < 500; i++) {
        take(&people[i]);
    }
    blocks = 100000;
    cr_assert(!voters_next(&voters, &blocks, &view) && voters_is_walked(&voters));
    put(&people[3], &seed, 1);
    check_all();
    voters_fini(&voters);
}

/* A text of 36 bytes, as that of a UUID. */
static struct span uuid(char text[37], uint64_t number)
{
    struct seed seed = {number};
    unsigned long long a = seed_next(&seed);
    unsigned long long b = seed_next(&seed);
    snprintf(text, 37, "%08llx-%04llx-4%03llx-%04llx-%012llx", a >> 32, a >> 16 & 0xffff, a & 0xfff,
             b >> 48, b & 0xffffffffffffull);
    return (struct span){text, 36};
}

static void put_uuid(uint64_t number, uint32_t count)
{
    static const uint32_t places[VOTERS_OPTIONS_MAX] = {9};
    char text[37];
    struct voters_entry entry = {uuid(text, number), places, count, 1};
    cr_assert_eq(voters_put(&voters, &entry), 0);
}

static bool take_uuid(uint64_t number)
{
    char text[37];
    return voters_remove(&voters, uuid(text, number));
}

Test(voters, a_voter_takes_at_most_64_bytes_at_every_moment_of_growth)
{
    voters_init(&voters, 42);
    for (uint64_t i = 1; i <= 400000; i++) {
        put_uuid(i, 1);
        cr_assert(i < 20000 || voters_bytes(&voters) <= i * 64, "%llu bytes for %llu voters",
                  (unsigned long long)voters_bytes(&voters), (unsigned long long)i);
    }
    voters_fini(&voters);
}

Test(voters, voters_that_come_and_go_take_no_memory_for_those_who_left)
{
    enum { LIVING = 20000, CHURN = 400000 };
    voters_init(&voters, 42);
    for (uint64_t i = 0; i < LIVING; i++) {
        put_uuid(i, 1);
    }
    uint64_t bytes = voters_bytes(&voters);
    for (uint64_t i = LIVING; i < CHURN; i++) {
        cr_assert(take_uuid(i - LIVING));
        put_uuid(i, 1);
    }
    cr_assert_leq(voters_bytes(&voters), bytes + bytes / 50);
    cr_assert_eq(voters.count, LIVING);
    voters_fini(&voters);
}

Test(voters, memory_follows_the_voters_when_sizes_change)
{
    enum { LIVING = 3000 };
    voters_init(&voters, 42);
    uint64_t next = 0;
    for (uint32_t count = 60; count >= 1; count--) { /* each time all have ballots of a new size */
        for (uint64_t i = 0; i < LIVING; i++) {
            put_uuid(next + LIVING + i, count);
            cr_assert(next == 0 || take_uuid(next + i));
        }
        next += LIVING;
    }
    cr_assert_eq(voters.count, LIVING);
    uint64_t units = voters.arena.live;
    cr_assert_leq(voters_bytes(&voters), units * 4 * 5 / 4 + LIVING * 8 * 4 + 10000);
    voters_fini(&voters);
}

Test(voters, memory_follows_the_voters_when_most_of_them_leave)
{
    enum { MANY = 200000 };
    voters_init(&voters, 42);
    for (uint64_t i = 0; i < MANY; i++) {
        put_uuid(i, 1);
    }
    for (uint64_t left = MANY; left > 0; left--) {
        cr_assert(take_uuid(left - 1));
        uint64_t most = (left - 1) * 120 + 9000;
        cr_assert_leq(voters_bytes(&voters), most, "%llu bytes for %llu voters",
                      (unsigned long long)voters_bytes(&voters), (unsigned long long)left - 1);
    }
    cr_assert_eq(voters_bytes(&voters), 0);
}

Test(voters, a_small_set_is_small)
{
    voters_init(&voters, 42);
    cr_assert_eq(voters_bytes(&voters), 0);
    put_uuid(1, 1);
    cr_assert_leq(voters_bytes(&voters), 1024);
    for (uint64_t i = 2; i <= 100; i++) {
        put_uuid(i, 1);
    }
    cr_assert_leq(voters_bytes(&voters), 100 * 100);
    voters_fini(&voters);
}

Test(voters, a_set_is_freed_in_slices)
{
    voters_init(&voters, 42);
    for (uint64_t i = 0; i < 100000; i++) {
        put_uuid(i, 1);
    }
    unsigned slices = 1;
    for (uint64_t bytes = voters_bytes(&voters); !voters_free_some(&voters, 4); slices++) {
        cr_assert(voters_bytes(&voters) < bytes && bytes - voters_bytes(&voters) <= 4 * 66000);
        bytes = voters_bytes(&voters);
    }
    cr_assert_gt(slices, 10);
    cr_assert_eq(voters_bytes(&voters), 0);
    put_uuid(1, 2);
    cr_assert_eq(voters.count, 1);
    voters_fini(&voters);
}

Test(voters, a_reserved_set_is_as_one_that_grew)
{
    struct seed seed = {3};
    voters_init(&voters, 9);
    voters_reserve(&voters, PEOPLE);
    uint64_t buckets = voters.buckets;
    name_people(&seed, 64);
    voters_prefetch(&voters, name_of(&people[0]));
    for (uint32_t i = 0; i < PEOPLE; i++) {
        put(&people[i], &seed, 1 + i % 60);
        voters_prefetch(&voters, name_of(&people[i]));
    }
    cr_assert_eq(voters.buckets, buckets);
    check_all();
    voters_fini(&voters);
}

/* Puts without memory for more than `allocations` allocations. Returns how many were refused. */
static uint64_t put_without_memory(struct seed *seed, uint64_t allocations)
{
    uint64_t refused = 0;
    for (uint32_t round = 0; round < 500; round++) {
        struct person *person = &people[seed_below(seed, PEOPLE)];
        uint32_t places[VOTERS_OPTIONS_MAX] = {round};
        uint32_t count = 1 + (uint32_t)seed_below(seed, 60);
        struct voters_entry entry = {name_of(person), places, count, round};
        allocations_left = round == 0 ? allocations : allocations_left;
        int err = voters_put(&voters, &entry);
        cr_assert(err == 0 || err == TALLY_NOMEM);
        refused += err != 0;
        if (err == 0) {
            person->count = count;
            person->mark = round;
            memcpy(person->places, places, sizeof(places));
        }
        if (round % 7 == 0) { /* a removal needs no memory */
            take(&people[seed_below(seed, PEOPLE)]);
        }
    }
    allocations_left = UINT64_MAX;
    return refused;
}

Test(voters, a_put_without_memory_changes_nothing)
{
    struct seed seed = {8};
    uint64_t refused = 0;
    voters_init(&voters, 9);
    name_people(&seed, 64);
    for (uint64_t allocations = 0; allocations < 40; allocations++) {
        refused += put_without_memory(&seed, allocations / 4);
        check_all();
    }
    cr_assert_gt(refused, 100);
    for (uint32_t i = 0; i < PEOPLE; i++) {
        put(&people[i], &seed, 1);
    }
    check_all();
    voters_fini(&voters);
}
