/* The index, the table and the wheel, compared with plain arrays. */
#include "engine/base/index.h"
#include "engine/base/table.h"
#include "engine/state/wheel.h"
#include "tests/lib/seed.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct thing {
    char name[16];
    bool in;
    bool met;
};

enum { THINGS = 3000 };

static struct span thing_key(const void *entity)
{
    return span_of(((const struct thing *)entity)->name);
}

static void meet(void *arg, void *entity)
{
    struct thing *thing = entity;
    cr_assert(thing->in && !thing->met);
    thing->met = true;
    ++*(uint64_t *)arg;
}

static void check_index(const struct index *index, struct thing *things)
{
    uint64_t met = 0;
    uint64_t in = 0;
    for (int i = 0; i < THINGS; i++) {
        cr_assert_eq(index_get(index, thing_key(&things[i])), things[i].in ? &things[i] : NULL);
        in += things[i].in;
        things[i].met = false;
    }
    index_each(index, meet, &met);
    cr_assert_eq(met, in);
    cr_assert_eq(index->count, in);
}

Test(index, it_holds_what_was_put_and_not_removed)
{
    struct thing *things = calloc(THINGS, sizeof(struct thing));
    struct index index;
    struct seed seed = {5};
    cr_assert(things != NULL && index_init(&index, thing_key) == 0);
    for (int i = 0; i < THINGS; i++) {
        snprintf(things[i].name, sizeof(things[i].name), "thing-%d", i);
    }
    for (int round = 0; round < 40000; round++) {
        struct thing *thing = &things[seed_below(&seed, THINGS)];
        if (thing->in) {
            index_remove(&index, thing);
        } else {
            cr_assert_eq(index_put(&index, thing), 0);
        }
        thing->in = !thing->in;
        if (round % 100 == 0) {
            check_index(&index, things);
        }
    }
    check_index(&index, things);
    index_fini(&index);
    free(things);
}

/* Growth is spread over the next puts: meanwhile each entity must be found, in whichever array it
 * is. */
Test(index, it_finds_all_while_it_grows)
{
    enum { MANY = 20000, LOOKS = 50 };
    struct thing *things = calloc(MANY, sizeof(struct thing));
    struct index index;
    struct seed seed = {9};
    uint64_t growing = 0;
    cr_assert(things != NULL && index_init(&index, thing_key) == 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(things[i].name, sizeof(things[i].name), "%d", i);
        uint64_t before = index.moved;
        cr_assert_eq(index_put(&index, &things[i]), 0);
        things[i].in = true;
        growing += index.moved != before;
        cr_assert(index.moved <= before + 16, "a put moves few");
        for (int look = 0; look < LOOKS; look++) {
            struct thing *thing = &things[seed_below(&seed, (uint64_t)i + 1)];
            cr_assert_eq(index_get(&index, thing_key(thing)), thing->in ? thing : NULL);
        }
        struct thing *gone = &things[seed_below(&seed, (uint64_t)i + 1)];
        if (i % 3 == 0 && gone->in) {
            index_remove(&index, gone);
            gone->in = false;
        }
    }
    cr_assert(growing > 100);
    index_fini(&index);
    free(things);
}

/* The same few keys are put and removed: the tombs must not make the array grow for ever. */
Test(index, it_does_not_drown_in_tombs)
{
    struct thing things[8];
    struct index index;
    cr_assert_eq(index_init(&index, thing_key), 0);
    for (int i = 0; i < 100000; i++) {
        struct thing *thing = &things[i % 8];
        snprintf(thing->name, sizeof(thing->name), "n%d", i);
        cr_assert_eq(index_put(&index, thing), 0);
        cr_assert_eq(index_get(&index, thing_key(thing)), thing);
        index_remove(&index, thing);
        cr_assert(index.used <= 64);
    }
    cr_assert_eq(index_get(&index, SPAN("n1")), NULL);
    index_fini(&index);
}

struct order {
    const void *things[64];
    size_t count;
};

static void note(void *arg, void *entity)
{
    struct order *order = arg;
    order->things[order->count++] = entity;
}

Test(index, nobody_can_choose_keys_that_fall_together)
{
    static struct thing things[64];
    struct order orders[2] = {{.count = 0}, {.count = 0}};
    for (int k = 0; k < 2; k++) {
        struct index index;
        cr_assert_eq(index_init(&index, thing_key), 0);
        for (int i = 0; i < 64; i++) {
            snprintf(things[i].name, sizeof(things[i].name), "n%d", i);
            cr_assert_eq(index_put(&index, &things[i]), 0);
        }
        index_each(&index, note, &orders[k]);
        index_fini(&index);
    }
    cr_expect_eq(orders[0].count, 64);
    cr_expect(memcmp(orders[0].things, orders[1].things, sizeof(orders[0].things)) != 0,
              "the same keys have the same places in two tables");
}

Test(table, ids_have_their_place)
{
    struct table table = {.chunks = 0};
    static char things[4];
    uint64_t ids[] = {0, 1, TABLE_CHUNK - 1, TABLE_CHUNK};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(table_get(&table, ids[i]), NULL);
        cr_assert_eq(table_put(&table, ids[i], &things[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(table_get(&table, ids[i]), &things[i]);
    }
    cr_assert_eq(table_get(&table, 2), NULL);
    cr_assert_eq(table_get(&table, 100 * TABLE_CHUNK), NULL);
    cr_assert(table_takes(&table, TABLE_SPAN_MAX - 1));
    cr_assert_not(table_takes(&table, TABLE_SPAN_MAX));
    cr_assert_eq(table_put(&table, TABLE_SPAN_MAX - 1, things), 0);
    cr_assert_eq(table_get(&table, TABLE_SPAN_MAX - 1), things);
    cr_assert_eq(table_put(&table, 4 * TABLE_SPAN_MAX, things), TALLY_FULL);
    cr_assert_eq(table_get(&table, 4 * TABLE_SPAN_MAX), NULL);
    cr_assert_eq(table_get(&table, UINT64_MAX), NULL);
    table_remove(&table, 1);
    cr_assert_eq(table_get(&table, 1), NULL);
    table_fini(&table);
}

/* Walks the table in order by next, and back by prev. */
static void expect_in_order(const struct table *table, const uint64_t *ids, size_t count)
{
    uint64_t id = 0;
    for (size_t i = 0; i < count; i++, id++) {
        cr_assert_not_null(table_next(table, &id));
        cr_assert_eq(id, ids[i]);
    }
    cr_assert_null(table_next(table, &id));
    id = UINT64_MAX;
    for (size_t i = count; i > 0; i--, id--) {
        cr_assert_not_null(table_prev(table, &id));
        cr_assert_eq(id, ids[i - 1]);
    }
    cr_assert(id == UINT64_MAX || table_prev(table, &id) == NULL);
}

/* A few entities stay long while millions pass: ids before the oldest entity take no memory. */
Test(table, what_has_gone_takes_no_memory)
{
    enum { PASSING = 3000000, LIVING = 1500, STAYS = 7 * TABLE_CHUNK + 5 };
    struct table table = {.chunks = 0};
    static char thing;
    for (uint64_t id = 1; id <= PASSING; id++) {
        cr_assert_eq(table_put(&table, id, &thing), 0);
        if (id > LIVING && id - LIVING != STAYS) {
            table_remove(&table, id - LIVING);
        }
        if (id == PASSING / 2) {
            table_remove(&table, STAYS);
        }
        cr_assert_leq(table.chunks, LIVING / TABLE_CHUNK + 3);
    }
    cr_expect_leq(table.root->capacity, 16, "the root has left behind what has gone");
    for (uint64_t id = PASSING - LIVING + 1; id < PASSING; id++) {
        table_remove(&table, id);
    }
    expect_in_order(&table, (uint64_t[]){PASSING}, 1);
    table_remove(&table, PASSING);
    expect_in_order(&table, NULL, 0);
    cr_expect_leq(table.chunks, 1);
    cr_assert_eq(table_put(&table, TABLE_SPAN_MAX * 1000, &thing), 0, "ids have no end");
    expect_in_order(&table, (uint64_t[]){TABLE_SPAN_MAX * 1000}, 1);
    table_fini(&table);
}

Test(table, ids_may_come_in_any_order)
{
    uint64_t ids[] = {3, 4 * TABLE_CHUNK, 900 * TABLE_CHUNK + 1, 40000 * (uint64_t)TABLE_CHUNK};
    struct table table = {.chunks = 0};
    static char thing;
    for (int order = 0; order < 24; order++) {
        bool done[4] = {false};
        for (int k = 0, code = order; k < 4; code /= 4 - k, k++) {
            int nth = code % (4 - k);
            int i = 0;
            while (done[i] || nth-- > 0) {
                i++;
            }
            done[i] = true;
            cr_assert_eq(table_put(&table, ids[i], &thing), 0);
        }
        expect_in_order(&table, ids, 4);
        table_fini(&table);
    }
}

enum { TIMED = 500 };

struct timed {
    struct timer timer; /* the first member, so a timer of the wheel can be cast to this */
    uint32_t id;
};

/* Takes a due timer as timers.c does: a timer that is not due yet is put back. */
static struct timed *next_due(struct wheel *wheel, uint32_t to, const uint32_t *due)
{
    struct timed *timed = (struct timed *)wheel_next(wheel, to);
    while (timed != NULL && due[timed->id] > wheel->now) {
        wheel_put(wheel, &timed->timer, due[timed->id]);
        timed = (struct timed *)wheel_next(wheel, to);
    }
    return timed;
}

Test(wheel, everything_comes_at_its_time)
{
    static struct wheel wheel;
    static struct timed timed[TIMED];
    static uint32_t due[TIMED];
    struct seed seed = {11};
    wheel_init(&wheel, 1);
    for (uint32_t i = 0; i < TIMED; i++) {
        timed[i].id = i;
        due[i] = 2 + (uint32_t)seed_below(&seed, 3 * WHEEL_BUCKETS);
        wheel_put(&wheel, &timed[i].timer, due[i]);
    }
    for (uint32_t i = 0; i < TIMED; i += 7) {
        due[i] += 1000; /* like a heartbeat, of which the wheel does not know */
    }
    for (uint32_t i = 3; i < TIMED; i += 7) {
        wheel_remove(&wheel, &timed[i].timer);
        due[i] = 0;
    }
    uint64_t came = 0;
    for (uint32_t tick = 2; tick < 4 * WHEEL_BUCKETS; tick += 3) {
        struct timed *next = next_due(&wheel, tick, due);
        for (; next != NULL; next = next_due(&wheel, tick, due)) {
            uint32_t at = due[next->id];
            cr_assert(at != 0, "it was removed or came before");
            cr_assert(at <= wheel.now && at + 3 > tick, "due at %u, came at %u", at, tick);
            due[next->id] = 0;
            came++;
        }
        cr_assert_eq(wheel.now, tick);
    }
    cr_assert_eq(came, TIMED - (TIMED + 3) / 7);
    cr_assert_eq(wheel.count, 0);
}

Test(wheel, what_is_due_already_comes_with_the_next_tick)
{
    static struct wheel wheel;
    static struct timer timer;
    wheel_init(&wheel, 1);
    cr_assert_eq(wheel_next(&wheel, 100), NULL);
    wheel_put(&wheel, &timer, 5);
    wheel_put(&wheel, &timer, 0);
    cr_assert_eq(wheel.count, 1, "put twice is there once");
    cr_assert_eq(wheel_next(&wheel, 100), NULL, "the hand is there");
    cr_assert_eq(wheel_next(&wheel, 101), &timer);
    cr_assert_eq(wheel.count, 0);
    wheel_remove(&wheel, &timer);
    cr_assert_eq(wheel.count, 0, "what is not there can be removed");
}
