/* A capture of voters while they vote, change their votes, take them back, and are dropped. */
#include "engine/apply/apply_internal.h"
#include "engine/apply/digest.h"
#include "engine/apply/snapshot_capture.h"
#include "engine/apply/snapshot_load.h"
#include "tests/lib/count.h"
#include "tests/lib/seed.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { POLLS = 4, OPTIONS = 70, PEOPLE = 300, CHUNKS_MAX = 256 };

static struct state state;
static struct state loaded;

/* What a capture has handed over; after `room` chunks it fails. */
struct chunk_shelf {
    struct image_buf chunks[CHUNKS_MAX];
    uint32_t count;
    uint32_t room;
};

static struct chunk_shelf shelf;

static int shelf_put(void *arg, struct image_buf *buf)
{
    struct chunk_shelf *into = arg;
    if (into->count == into->room) {
        return TALLY_IO;
    }
    into->chunks[into->count++] = *buf;
    *buf = (struct image_buf){.at = NULL};
    return 0;
}

static void shelf_clear(uint32_t room)
{
    for (uint32_t i = 0; i < shelf.count; i++) {
        image_buf_fini(&shelf.chunks[i]);
    }
    shelf.count = 0;
    shelf.room = room;
}

static int load_one(void *arg, const struct image *image)
{
    return snapshot_load_image(arg, image);
}

/* Loads what the shelf has; `why` is set when that cannot be. */
static int shelf_load(const char **why)
{
    struct snapshot_load load;
    int err = state_init(&loaded);
    snapshot_load_init(&load, &loaded);
    for (uint32_t i = 0; err == 0 && i < shelf.count; i++) {
        const struct image_buf *buf = &shelf.chunks[i];
        err = image_each(buf->at, buf->len, buf->count, load_one, &load);
    }
    err = err != 0 ? err : snapshot_load_end(&load);
    *why = load.proof.why;
    snapshot_load_fini(&load);
    return err;
}

static void apply_one(enum record_type type, const char *text, const char *label,
                      const uint64_t nums[3])
{
    struct apply_result result;
    struct record record = {
        .type = type, .lsn = FIELD_OWN(state.lsn) + 1, .time_ms = 1000, .text = {span_of(text)}};
    memcpy(record.num, nums, 3 * sizeof *nums);
    if (type == RECORD_OPTION) {
        record.text[OPTION_POLL] = span_of(text);
        record.text[OPTION_LABEL] = span_of(label);
        record.text[OPTION_FOLD] = span_of(label);
    }
    cr_assert(apply(&state, &record, &result) == 0 && result.err == 0);
}

/* Polls whose options have more votes than voters can take back. */
static void make_polls(void)
{
    cr_assert_eq(state_init(&state), 0);
    for (uint64_t poll = 0; poll < POLLS; poll++) {
        char name[8];
        snprintf(name, sizeof(name), "p%u", (unsigned)poll);
        apply_one(RECORD_POLL, name, "", (const uint64_t[3]){0});
        for (uint64_t i = 0; i < OPTIONS; i++) {
            char label[16];
            snprintf(label, sizeof(label), "option %u", (unsigned)i);
            apply_one(RECORD_OPTION, name, label, (const uint64_t[3]){0});
        }
    }
    for (uint64_t id = 1; id <= POLLS * OPTIONS; id++) {
        apply_one(RECORD_VOTE, "", "",
                  (const uint64_t[3]){[VOTE_OPTION] = id, [VOTE_BEFORE] = 0, [VOTE_N] = PEOPLE});
    }
}

static struct poll *poll_at(uint64_t place)
{
    return table_get(&state.poll_ids, place + 1);
}

static struct span name_of(char text[VOTER_LEN_MAX], uint64_t number)
{
    size_t len = 4 + number % (VOTER_LEN_MAX - 3);
    memset(text, 'v', VOTER_LEN_MAX);
    memcpy(text, &(uint32_t){(uint32_t)number}, 4);
    return (struct span){text, len};
}

static void put(struct poll *poll, struct span voter, struct seed *seed)
{
    uint32_t places[BALLOT_OPTIONS_MAX];
    uint32_t first = (uint32_t)seed_below(seed, OPTIONS);
    uint32_t count = seed_below(seed, 3) > 0 ? 1 : 1 + (uint32_t)seed_below(seed, 60);
    for (uint32_t i = 0; i < count; i++) {
        places[i] = (first + i) % OPTIONS;
    }
    cr_assert_eq(apply_voter_put(&state, poll, voter, places, count), 0);
}

static void change_one(struct seed *seed, unsigned drops_of_thousand)
{
    char text[VOTER_LEN_MAX];
    struct voters_view view;
    struct poll *poll = poll_at(seed_below(seed, POLLS));
    struct span voter = name_of(text, seed_below(seed, PEOPLE));
    if (seed_below(seed, 1000) < drops_of_thousand) {
        apply_voters_drop(&state, poll);
    } else if (seed_below(seed, 3) > 0) {
        put(poll, voter, seed);
    } else if (poll_voter(poll, voter, &view)) {
        apply_voter_remove(&state, poll, voter);
    }
}

static void expect_weighed(const struct state *of)
{
    uint64_t weight = 0;
    for (uint64_t id = 1; id <= POLLS; id++) {
        const struct poll *poll = table_get(&of->poll_ids, id);
        weight += poll->voter_set != NULL ? poll_voters_weight(poll->voter_set) : 0;
        weight += poll_weight(poll);
    }
    for (uint64_t id = 1; id <= POLLS * OPTIONS; id++) {
        weight += option_weight(state_option(of, id));
    }
    cr_assert_geq(ledger_of(&of->ledger, LEDGER_ENTITIES), weight);
    cr_assert_leq(ledger_of(&of->ledger, LEDGER_ENTITIES), weight + 200000); /* label index */
}

/* Captures with slices of at most `slice` while voters come and go. Returns the digest at its lsn.
 */
static uint64_t capture_all(struct seed *seed, uint64_t slice, unsigned drops_of_thousand)
{
    struct capture capture;
    uint64_t digest = digest_state(&state);
    snapshot_capture_begin(&capture, &state, shelf_put, &shelf);
    while (!snapshot_capture_walk(&capture, 1 + seed_below(seed, slice))) {
        for (unsigned i = 0; i < 5; i++) {
            change_one(seed, drops_of_thousand);
        }
    }
    cr_assert_eq(capture.err != 0, shelf.count == shelf.room);
    snapshot_capture_end(&capture);
    return digest;
}

static void expect_loads(uint64_t digest)
{
    const char *why = NULL;
    cr_assert_eq(shelf_load(&why), 0, "%s", why);
    cr_assert_eq(digest_state(&loaded), digest);
    expect_weighed(&loaded);
    state_fini(&loaded);
}

static void check_captures(uint64_t start, uint64_t slice, unsigned drops_of_thousand)
{
    struct seed seed = {start};
    make_polls();
    state.captures = ((uint32_t)1 << VOTERS_MARK_BITS) - 3; /* the marks begin again */
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < 500; i++) {
            change_one(&seed, drops_of_thousand);
        }
        shelf_clear(CHUNKS_MAX);
        expect_loads(capture_all(&seed, slice, drops_of_thousand));
        expect_weighed(&state);
        cr_assert(TAILQ_EMPTY(&state.dropped_early));
    }
    shelf_clear(0);
    state_fini(&state);
}

Test(capture_voters, each_voter_is_in_it_once_as_it_was)
{
    static const uint64_t slices[] = {1, 7, 100, 1000000};
    for (uint64_t start = 1; start <= 6; start++) {
        for (size_t i = 0; i < COUNT_OF(slices); i++) {
            check_captures(start, slices[i], 0);
            check_captures(start, slices[i], 15);
        }
    }
}

/* Begins a capture, and lets it fail somewhere. */
static void capture_some(struct seed *seed)
{
    struct capture capture;
    uint64_t slices = seed_below(seed, 60);
    snapshot_capture_begin(&capture, &state, shelf_put, &shelf);
    for (uint64_t i = 0; !snapshot_capture_walk(&capture, 1 + seed_below(seed, 20)); i++) {
        if (i == slices) {
            snapshot_capture_fail(&capture, TALLY_IO);
        }
        change_one(seed, 5);
    }
    snapshot_capture_end(&capture);
}

/* After a capture that fails none of the voters may carry the number of a later one. Each second
 * time the next number is, in the bits that an entry has room for, the one before that capture. */
Test(capture_voters, one_that_fails_leaves_no_voter_out_of_the_next)
{
    struct seed seed = {5};
    make_polls();
    for (unsigned i = 0; i < 5000; i++) {
        change_one(&seed, 0);
    }
    for (unsigned round = 0; round < 40; round++) {
        shelf_clear(CHUNKS_MAX);
        capture_some(&seed);
        state.captures += round % 2 == 0 ? ((uint32_t)1 << VOTERS_MARK_BITS) - 2 : 0;
        shelf_clear(CHUNKS_MAX);
        expect_loads(capture_all(&seed, 20, 5));
    }
    shelf_clear(0);
    state_fini(&state);
}

/* A walk that goes on for the marks captures nothing more. */
Test(capture_voters, one_that_is_given_up_ends)
{
    struct seed seed = {6};
    struct capture capture;
    make_polls();
    for (unsigned i = 0; i < 2000; i++) {
        change_one(&seed, 0);
    }
    shelf_clear(CHUNKS_MAX);
    snapshot_capture_begin(&capture, &state, shelf_put, &shelf);
    cr_assert(!snapshot_capture_walk(&capture, 5));
    snapshot_capture_fail(&capture, TALLY_IO);
    apply_voters_drop(&state, poll_at(1));
    cr_assert(!snapshot_capture_walk(&capture, 10));
    cr_assert(snapshot_capture_walk(&capture, 1000000));
    cr_assert_eq(capture.err, TALLY_IO);
    cr_assert_eq(shelf.count, 0);
    snapshot_capture_end(&capture);
    cr_assert(!apply_free_dropped(&state, UINT64_MAX));
    expect_weighed(&state);
    expect_loads(capture_all(&seed, 20, 0));
    shelf_clear(0);
    state_fini(&state);
}

Test(capture_voters, dropped_sets_are_freed_in_slices)
{
    static const uint32_t places[] = {1};
    make_polls();
    state.retirer = (struct rcu_retirer *)(void *)&shelf; /* as if there were readers */
    uint64_t before = ledger_of(&state.ledger, LEDGER_ENTITIES);
    for (uint64_t i = 0; i < 50000; i++) {
        char text[VOTER_LEN_MAX];
        cr_assert_eq(apply_voter_put(&state, poll_at(0), name_of(text, i), places, 1), 0);
    }
    apply_voters_drop(&state, poll_at(0));
    cr_assert_eq(poll_voters(poll_at(0)), 0);
    uint64_t bytes = ledger_of(&state.ledger, LEDGER_ENTITIES);
    unsigned slices = 1;
    for (; apply_free_dropped(&state, 2); slices++) {
        cr_assert_lt(ledger_of(&state.ledger, LEDGER_ENTITIES), bytes);
        bytes = ledger_of(&state.ledger, LEDGER_ENTITIES);
    }
    cr_assert_gt(slices, 20);
    cr_assert_eq(ledger_of(&state.ledger, LEDGER_ENTITIES), before);
    state.retirer = NULL;
    state_fini(&state);
}

/* ---- a poll whose voters take all the memory that one poll may have ---- */

static int vote(const char *voter, uint64_t option)
{
    struct apply_result result;
    struct record record = {.type = RECORD_BALLOT,
                            .lsn = FIELD_OWN(state.lsn) + 1,
                            .time_ms = 1000,
                            .num = {[BALLOT_OPTION] = option, [BALLOT_N] = 1}};
    record.text[BALLOT_VOTER] = span_of(voter);
    cr_assert_eq(apply(&state, &record, &result), 0);
    return result.err;
}

Test(capture_voters, a_full_poll_takes_no_new_voter_and_the_others_may_change_their_votes)
{
    static const uint64_t most = (uint64_t)1 << 31;
    make_polls();
    apply_one(RECORD_POLL_WINDOW, "", "", (const uint64_t[3]){1, 1, POLL_CHANGE});
    cr_assert_eq(vote("first", 1), 0);
    uint64_t *units = &poll_at(0)->voter_set->voters.arena.live;
    uint64_t kept = *units;
    *units = most + 1;
    cr_assert_eq(vote("second", 1), TALLY_FULL);
    cr_assert_eq(vote("first", 2), 0);
    cr_assert_eq(apply_voters_are_full(poll_at(0)), true);
    *units = most;
    cr_assert_eq(apply_voters_are_full(poll_at(0)), false);
    *units = kept;
    cr_assert_eq(vote("second", 1), 0);
    cr_assert_eq(poll_voters(poll_at(0)), 2);
    state_fini(&state);
}

/* ---- snapshots that somebody else has made ---- */

/* Captures, and lets `spoil` change one image of a voter, or add one. */
typedef void spoil_fn(struct image *image, struct image_buf *out);
struct spoiled {
    spoil_fn *spoil;
    struct image_buf out;
    uint64_t voters;
};

static int spoil_one(void *arg, const struct image *image)
{
    struct spoiled *spoiled = arg;
    struct image copy = *image;
    if (image->kind == IMAGE_END) {
        copy.num[END_IMAGES] = spoiled->out.count;
    }
    if (image->kind == IMAGE_VOTER && spoiled->voters++ == 2 && spoiled->spoil != NULL) {
        spoiled->spoil(&copy, &spoiled->out);
    }
    return copy.kind != IMAGE_NONE ? image_put(&spoiled->out, &copy) : 0;
}

static void expect_refused(const char *name, spoil_fn *spoil)
{
    const char *why = NULL;
    struct seed seed = {7};
    struct spoiled spoiled = {.spoil = spoil};
    make_polls();
    for (unsigned i = 0; i < 100; i++) {
        change_one(&seed, 0);
    }
    shelf_clear(CHUNKS_MAX);
    (void)capture_all(&seed, 1000000, 0);
    for (uint32_t i = 0; i < shelf.count; i++) {
        const struct image_buf *buf = &shelf.chunks[i];
        cr_assert_eq(image_each(buf->at, buf->len, buf->count, spoil_one, &spoiled), 0);
    }
    shelf_clear(CHUNKS_MAX);
    shelf.chunks[shelf.count++] = spoiled.out;
    int err = shelf_load(&why);
    cr_assert(err == (spoil != NULL ? TALLY_CORRUPT : 0), "%s: %s, %s", name, tally_err_name(err),
              why);
    state_fini(&loaded);
    state_fini(&state);
    shelf_clear(0);
}

static void put_twice(struct image *image, struct image_buf *out)
{
    cr_assert_eq(image_put(out, image), 0);
}

static void forget_one(struct image *image, struct image_buf *out)
{
    (void)out;
    image->kind = IMAGE_NONE;
}

static void name_one_twice(struct image *image, struct image_buf *out)
{
    static char text[VOTER_LEN_MAX];
    const struct poll *poll = poll_at(image->num[IVOTER_POLL] - 1);
    (void)out;
    for (uint64_t i = 0; i < PEOPLE; i++) { /* another voter of the poll */
        struct voters_view view;
        struct span voter = name_of(text, i);
        if (poll_voter(poll, voter, &view) && !span_equal(voter, image->text[IVOTER_VOTER])) {
            image->text[IVOTER_VOTER] = voter;
            return;
        }
    }
}

static void move_to_no_poll(struct image *image, struct image_buf *out)
{
    (void)out;
    image->num[IVOTER_POLL] = POLLS + 1;
}

static void move_to_poll_0(struct image *image, struct image_buf *out)
{
    (void)out;
    image->num[IVOTER_POLL] = 0;
}

static void vote_beyond_the_options(struct image *image, struct image_buf *out)
{
    (void)out;
    image->num[IVOTER_PLACE] = OPTIONS;
}

static void vote_beyond_all_options(struct image *image, struct image_buf *out)
{
    (void)out;
    image->num[IVOTER_PLACE] = POLL_OPTIONS_MAX;
}

static void vote_twice_for_one(struct image *image, struct image_buf *out)
{
    (void)out;
    image->num[IVOTER_PLACE] = 3;
    image->text[IVOTER_MORE] = SPAN("\x04\x03");
}

static void vote_for_half_a_number(struct image *image, struct image_buf *out)
{
    (void)out;
    image->num[IVOTER_PLACE] = 3;
    image->text[IVOTER_MORE] = SPAN("\x04\x85");
}

static void vote_for_too_many(struct image *image, struct image_buf *out)
{
    static char places[BALLOT_OPTIONS_MAX];
    (void)out;
    image->num[IVOTER_PLACE] = BALLOT_OPTIONS_MAX;
    for (char i = 0; i < BALLOT_OPTIONS_MAX; i++) {
        places[(size_t)i] = i;
    }
    image->text[IVOTER_MORE] = (struct span){places, sizeof(places)};
}

static void take_the_name_away(struct image *image, struct image_buf *out)
{
    (void)out;
    image->text[IVOTER_VOTER] = (struct span){NULL, 0};
}

static void make_the_name_too_long(struct image *image, struct image_buf *out)
{
    static const char name[VOTER_LEN_MAX + 1];
    (void)out;
    image->text[IVOTER_VOTER] = (struct span){name, sizeof(name)};
}

Test(capture_voters, a_load_refuses_voters_that_cannot_be)
{
    expect_refused("nothing", NULL);
    expect_refused("twice", put_twice);
    expect_refused("forgotten", forget_one);
    expect_refused("another's name", name_one_twice);
    expect_refused("no poll", move_to_no_poll);
    expect_refused("poll 0", move_to_poll_0);
    expect_refused("beyond the options", vote_beyond_the_options);
    expect_refused("beyond all options", vote_beyond_all_options);
    expect_refused("twice for one", vote_twice_for_one);
    expect_refused("half a number", vote_for_half_a_number);
    expect_refused("too many", vote_for_too_many);
    expect_refused("no name", take_the_name_away);
    expect_refused("a long name", make_the_name_too_long);
}

/* Each vote of a voter can be taken back, so a load must have found it counted. */
Test(capture_voters, a_load_refuses_a_vote_that_its_option_does_not_have)
{
    for (unsigned voters = PEOPLE; voters <= PEOPLE + 1; voters++) {
        const char *why = NULL;
        static const uint32_t places[] = {9};
        make_polls();
        for (uint64_t i = 0; i < voters; i++) {
            char text[VOTER_LEN_MAX];
            cr_assert_eq(apply_voter_put(&state, poll_at(1), name_of(text, i), places, 1), 0);
        }
        struct capture capture;
        shelf_clear(CHUNKS_MAX);
        snapshot_capture_begin(&capture, &state, shelf_put, &shelf);
        cr_assert(snapshot_capture_walk(&capture, UINT64_MAX));
        snapshot_capture_end(&capture);
        cr_assert_eq(shelf_load(&why), voters > PEOPLE ? TALLY_CORRUPT : 0);
        state_fini(&loaded);
        state_fini(&state);
        shelf_clear(0);
    }
}
