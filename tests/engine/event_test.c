/* Events: their bytes, what the store keeps and finds, and that a replay tells what apply told. */
#include "engine/apply/snapshot_proof.h"
#include "engine/events/event_find.h"
#include "engine/log/bounds.h"
#include "engine/log/columns.h"
#include "engine/start/replay.h"
#include "tests/engine/record_history.h"
#include "tests/lib/count.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* ---- bytes ---- */

Test(event, the_bytes_of_an_event_are_read_back)
{
    struct event_buf buf = {0};
    struct event out;
    struct event in = {.lsn = 77,
                       .time_ms = 123456,
                       .type = RECORD_VOTE,
                       .num = {1, 2, 3, 4, 5},
                       .text = {SPAN("ann"), SPAN("w")}};
    event_put(&buf, &in);
    const unsigned char *at = buf.at;
    cr_assert_eq(event_get(&at, buf.at + buf.len, &out), 0);
    cr_expect(out.lsn == 77 && out.time_ms == 123456 && out.type == RECORD_VOTE);
    cr_expect_arr_eq(out.num, in.num, sizeof in.num);
    cr_expect(span_equal(out.text[0], in.text[0]) && span_equal(out.text[1], in.text[1]));
    cr_expect(at == buf.at + buf.len && !buf.is_cut);
    cr_expect_eq(event_last_lsn((struct span){(const char *)buf.at, buf.len}), 77);
    for (size_t len = 0; len < buf.len; len++) {
        at = buf.at;
        cr_expect_eq(event_get(&at, buf.at + len, &out), TALLY_CORRUPT, "%zu bytes", len);
    }
    buf.at[3] = 31; /* behind lsn 77 and the time: the type */
    buf.at[4] = 31;
    at = buf.at;
    cr_expect_eq(event_get(&at, buf.at + buf.len, &out), TALLY_CORRUPT, "a type that is none");
    event_buf_fini(&buf);
}

/* ---- the store ---- */

static struct state state;
static struct event_store store;
static uint64_t next_lsn;

static void apply_one(const struct record *wanted)
{
    struct record record = *wanted;
    struct apply_result result;
    record.lsn = next_lsn;
    record.time_ms = 1000 + next_lsn;
    cr_assert_eq(apply(&state, &record, &result), 0);
}

/* Applies records as one block, and puts it into the pipe, as the committer does. */
static void commit(const struct record *records, size_t count)
{
    struct columns columns = {.count = 0};
    const unsigned char *raw = NULL;
    size_t len = 0;
    uint64_t first_lsn = next_lsn;
    columns_begin(&columns, 1000 + first_lsn);
    for (size_t i = 0; i < count; i++) {
        apply_one(&records[i]);
        cr_assert_eq(columns_add(&columns, &records[i]), 0);
        next_lsn++;
    }
    cr_assert_eq(columns_end(&columns, &raw, &len), 0);
    const struct event_block block = {
        .first_lsn = first_lsn,
        .count = (uint32_t)count,
        .votes = {(const char *)raw, columns.votes_len},
        .events = {(const char *)store.events.at, store.events.len},
    };
    (void)event_pipe_put(&store.pipe, &block);
    store.events.len = 0;
    columns_fini(&columns);
}

static void vote(uint64_t option, uint32_t n)
{
    const struct record record = {
        .type = RECORD_VOTE,
        .num = {[VOTE_OPTION] = option,
                [VOTE_BEFORE] = FIELD_GET(state_option(&state, option)->votes),
                [VOTE_N] = n}};
    commit(&record, 1);
}

/* Two polls with an option each: lsns 1 to 4, and one that apply refuses: 5. */
static void begin(void)
{
    static const struct record records[] = {
        {.type = RECORD_POLL, .text = {{"p", 1}}},
        {.type = RECORD_OPTION, .text = {{"p", 1}, {"A", 1}, {"a", 1}}},
        {.type = RECORD_POLL, .text = {{"q", 1}}},
        {.type = RECORD_OPTION, .text = {{"q", 1}, {"B", 1}, {"b", 1}}},
        {.type = RECORD_OPTION, .text = {{"q", 1}, {"b", 1}, {"b", 1}}},
    };
    next_lsn = 1;
    cr_assert_eq(state_init(&state), 0);
    cr_assert_eq(event_store_init(&store, &state), 0);
    commit(records, COUNT_OF(records));
}

static void end(void)
{
    event_store_fini(&store);
    cr_expect_eq(ledger_of(&state.ledger, LEDGER_EVENTS), 0);
    state_fini(&state);
}

TestSuite(event_store, .init = begin, .fini = end);

struct heard {
    struct event events[1000];
    size_t count;
    size_t wanted;
    uint64_t oldest;
};

static int hear(void *arg, const struct event *event)
{
    struct heard *heard = arg;
    heard->events[heard->count++] = *event;
    return heard->count < heard->wanted ? 0 : EVENT_FIND_ENOUGH;
}

static struct heard heard;

/* Takes what was put, and asks. `poll` NULL: for all. */
static int find(uint64_t from, size_t count, bool each, const char *poll)
{
    struct event_match match = {.of = EVENT_OF_POLL,
                                .name = poll != NULL ? span_of(poll) : (struct span){0}};
    struct event_ask ask = {.from = from,
                            .count = count,
                            .each = each,
                            .matches = &match,
                            .match_count = poll != NULL ? 1 : 0,
                            .tell = hear,
                            .arg = &heard};
    struct event_place place = {.has_begun = false};
    int err = EVENT_FIND_MORE;
    cr_assert_leq(count, COUNT_OF(heard.events));
    heard.count = 0;
    heard.wanted = count;
    event_store_take(&store);
    while (err == EVENT_FIND_MORE) {
        err = event_find(&store, &ask, &place, &heard.oldest);
    }
    for (size_t i = 0; from == 0 && i < heard.count / 2; i++) {
        struct event newer = heard.events[i];
        heard.events[i] = heard.events[heard.count - 1 - i];
        heard.events[heard.count - 1 - i] = newer;
    }
    return err;
}

static void expect_lsns(const uint64_t *lsns, size_t count)
{
    cr_assert_eq(heard.count, count, "%zu events", heard.count);
    for (size_t i = 0; i < count; i++) {
        cr_expect_eq(heard.events[i].lsn, lsns[i], "event %zu: lsn %lu", i,
                     (unsigned long)heard.events[i].lsn);
    }
}

#define EXPECT_LSNS(...)                                                                           \
    expect_lsns((const uint64_t[]){__VA_ARGS__}, COUNT_OF(((const uint64_t[]){__VA_ARGS__})))

/* Votes with voters, of which each event takes about 100 bytes. */
static void vote_named(uint64_t option, uint32_t votes)
{
    static const char voter[VOTER_LEN_MAX] = {'v'};
    for (uint32_t i = 0; i < votes; i++) {
        const struct record record = {
            .type = RECORD_VOTE,
            .num = {[VOTE_OPTION] = option,
                    [VOTE_BEFORE] = FIELD_GET(state_option(&state, option)->votes),
                    [VOTE_N] = 1},
            .text = {[VOTE_VOTER] = {voter, sizeof voter}}};
        commit(&record, 1);
    }
}

Test(event_store, the_newest_of_a_poll_take_no_memory_that_is_not_there)
{
    enum { LEFT = 400 };
    event_store_take(&store);
    uint64_t entity_bytes = ledger_of(&state.ledger, LEDGER_ENTITIES);
    uint64_t may_be = (ledger_sum(&state.ledger) + LEFT) * LEDGER_RESERVE_SHARE;
    state.ledger.ceiling = may_be / (LEDGER_RESERVE_SHARE - 1);
    vote_named(1, 40); /* 6 to 45 */
    cr_assert_eq(find(0, 3, false, "p"), 0);
    EXPECT_LSNS(43, 44, 45);
    cr_expect_leq(ledger_of(&state.ledger, LEDGER_ENTITIES), entity_bytes + LEFT);
    cr_expect_leq(ledger_of(&state.ledger, LEDGER_EVENTS),
                  state.ledger.ceiling / EVENTS_MORE_SHARE + EVENT_PIPE_CHUNK_BYTES);
    state.ledger.ceiling = UINT64_MAX;
    vote_named(1, 16); /* 46 to 61 */
    cr_assert_eq(find(0, 2, false, "p"), 0);
    EXPECT_LSNS(60, 61);
    cr_expect_gt(ledger_of(&state.ledger, LEDGER_ENTITIES),
                 entity_bytes + 16 * sizeof(struct kept_event));
}

Test(event_store, what_apply_refused_is_no_event)
{
    cr_assert_eq(find(0, 100, false, NULL), 0);
    EXPECT_LSNS(1, 2, 3, 4);
    cr_expect(heard.events[1].type == RECORD_OPTION && heard.events[1].num[EVENT_OPTION] == 1);
}

Test(event_store, the_newest_and_those_from_an_lsn_on_are_cut_by_the_count)
{
    vote(1, 1); /* 6 */
    vote(2, 1); /* 7 */
    vote(1, 1); /* 8 */
    cr_assert_eq(find(0, 2, false, NULL), 0);
    EXPECT_LSNS(7, 8);
    cr_assert_eq(find(0, 7, false, NULL), 0);
    EXPECT_LSNS(1, 2, 3, 4, 6, 7, 8);
    cr_assert_eq(find(0, 2, false, "p"), 0);
    EXPECT_LSNS(6, 8);
    cr_assert_eq(find(5, 2, false, NULL), 0);
    EXPECT_LSNS(6, 7);
    cr_assert_eq(find(8, 2, false, NULL), 0);
    EXPECT_LSNS(8);
    cr_assert_eq(find(9, 2, false, NULL), 0);
    cr_expect_eq(heard.count, 0);
    cr_assert_eq(find(1, 1, false, "q"), 0);
    EXPECT_LSNS(3);
    cr_assert_eq(find(0, 9, false, "none"), 0);
    cr_expect_eq(heard.count, 0);
}

Test(event_store, each_tells_combined_votes_one_by_one_and_the_count_may_cut_them)
{
    vote(1, 4); /* 6 */
    vote(1, 3); /* 7 */
    cr_assert_eq(find(0, 5, true, "p"), 0);
    EXPECT_LSNS(6, 6, 7, 7, 7);
    for (size_t i = 0; i < 5; i++) {
        cr_expect(heard.events[i].num[EVENT_VOTES] == 3 + i && heard.events[i].num[EVENT_N] == 1);
    }
    cr_assert_eq(find(6, 5, true, NULL), 0);
    EXPECT_LSNS(6, 6, 6, 6, 7);
    cr_expect_eq(heard.events[4].num[EVENT_VOTES], 5);
    cr_assert_eq(find(0, 1, false, NULL), 0);
    cr_expect(heard.events[0].num[EVENT_VOTES] == 7 && heard.events[0].num[EVENT_N] == 3);
}

Test(event_store, a_quiet_poll_keeps_its_newest_while_another_fills_the_ring)
{
    for (unsigned i = 0; i < EVENTS_RECENT + 3; i++) {
        vote(1, 1); /* 6 to 24 */
    }
    for (unsigned i = 0; i < EVENTS_KEPT + 10; i++) {
        vote(2, 1);
        if (i % 1000 == 0) {
            event_store_take(&store);
        }
    }
    uint64_t last = next_lsn - 1;
    cr_assert_eq(find(0, 10, false, "p"), 0);
    EXPECT_LSNS(15, 16, 17, 18, 19, 20, 21, 22, 23, 24);
    cr_assert_eq(find(0, EVENTS_RECENT, false, "p"), 0);
    cr_expect_eq(heard.count, EVENTS_RECENT);
    cr_assert_eq(find(0, 2, false, "q"), 0);
    EXPECT_LSNS(last - 1, last);
    uint64_t oldest = last - EVENTS_KEPT + 1;
    cr_expect_eq(find(oldest - 1, 1, false, NULL), TALLY_RANGE);
    cr_expect_eq(heard.oldest, oldest);
    cr_assert_eq(find(oldest, 1, false, NULL), 0);
    EXPECT_LSNS(oldest);
    cr_assert_eq(find(oldest + 1, 1, false, NULL), 0);
    EXPECT_LSNS(oldest + 1);
    cr_assert_eq(find(0, 9, false, "none"), 0, "it goes through the whole ring, in slices");
    cr_expect_eq(heard.count, 0);
    cr_assert_eq(find(0, EVENTS_RECENT + 1, false, "p"), 0);
    cr_expect_eq(heard.count, EVENTS_RECENT, "more than there are: the ring has none, the rest do");
    vote(1, 1);
    cr_assert_eq(find(0, EVENTS_RECENT + 1, false, "p"), 0);
    cr_expect_eq(heard.count, EVENTS_RECENT);
    for (size_t i = 1; i < heard.count; i++) {
        cr_expect_gt(heard.events[i].lsn, heard.events[i - 1].lsn, "each once, and in order");
    }
    cr_expect_eq(heard.events[heard.count - 1].lsn, next_lsn - 1);
}

/* Events that are dropped while a search goes on leave no hole in what is told. */
Test(event_store, a_search_that_is_overtaken_ends)
{
    struct event_match match = {.of = EVENT_OF_POLL, .name = SPAN("p")};
    const struct event_ask ask = {
        .from = 6, .count = 9, .matches = &match, .match_count = 1, .tell = hear, .arg = &heard};
    struct event_place place = {.has_begun = false};
    uint64_t oldest = 0;
    heard.count = 0;
    heard.wanted = 9;
    vote(1, 1); /* 6 */
    for (unsigned i = 0; i < EVENT_FIND_SLICE + 10; i++) {
        vote(2, 1);
    }
    vote(1, 1);
    event_store_take(&store);
    cr_assert_eq(event_find(&store, &ask, &place, &oldest), EVENT_FIND_MORE);
    cr_expect(heard.count == 1 && heard.events[0].lsn == 6);
    for (unsigned i = 0; i < EVENTS_KEPT; i++) {
        vote(2, 1);
        if (i % 1000 == 0) {
            event_store_take(&store);
        }
    }
    event_store_take(&store);
    cr_assert_eq(event_find(&store, &ask, &place, &oldest), 0);
    cr_expect(heard.count == 1 && oldest > 6);
}

Test(event_store, a_block_that_was_not_put_moves_the_oldest)
{
    vote(1, 1); /* 6 */
    event_pipe_lose(&store.pipe, 7);
    cr_assert_eq(find(0, 9, false, NULL), 0);
    cr_expect(heard.count == 0 && heard.oldest == 8);
    next_lsn = 8;
    vote(1, 1);
    next_lsn = 11; /* 9 and 10 did not come */
    vote(1, 1);
    cr_assert_eq(find(0, 9, false, "p"), 0);
    EXPECT_LSNS(11);
    cr_expect_eq(find(10, 9, false, NULL), TALLY_RANGE);
    cr_expect_eq(heard.oldest, 11);
}

Test(event_store, recents_go_through_a_snapshot_as_they_were_at_its_lsn)
{
    struct event_buf buf = {0};
    uint64_t poll = 1;
    vote(1, 1); /* 6 */
    vote(1, 1); /* 7 */
    cr_assert_eq(event_store_recent(&store, 7, &poll, &buf), TALLY_PARK, "7 is not taken yet");
    vote(1, 1); /* 8 */
    event_store_take(&store);
    cr_assert_eq(event_store_recent(&store, 7, &poll, &buf), 0);
    cr_expect_eq(poll, 1);
    struct span events = {(const char *)buf.at, buf.len};
    cr_expect_eq(event_last_lsn(events), 7);
    poll = 3;
    cr_expect_eq(event_store_recent(&store, 7, &poll, &buf), EVENTS_RECENT_NONE);
    event_store_begin(&store, 7);
    cr_assert_eq(event_store_load(&store, 1, events), 0);
    cr_assert_eq(find(0, 9, false, "p"), 0);
    EXPECT_LSNS(1, 2, 6, 7);
    event_buf_fini(&buf);
}

/* ---- events of a snapshot that somebody else has made ---- */

static const struct event good = {
    .lsn = 5,
    .time_ms = 1000,
    .type = RECORD_VOTE,
    .num = {[EVENT_OPTION] = 1, [EVENT_VOTES] = 7, [EVENT_N] = 7, [EVENT_POLL] = 1},
    .text = {SPAN("ann")}};

/* Whether the bounds take a RECENT of poll 1 with two events. */
static bool takes(const struct event *first, const struct event *second)
{
    struct event_buf buf = {0};
    event_put(&buf, first);
    event_put(&buf, second);
    const struct image image = {.kind = IMAGE_RECENT,
                                .num = {[IRECENT_POLL] = 1},
                                .text = {[IRECENT_EVENTS] = {(const char *)buf.at, buf.len}}};
    bool takes_it = bounds_image_error(&image) == NULL;
    event_buf_fini(&buf);
    return takes_it;
}

#define EXPECT_BAD(change)                                                                         \
    do {                                                                                           \
        struct event bad = good;                                                                   \
        bad.change;                                                                                \
        cr_expect(!takes(&good, &bad), "%s", #change);                                             \
    } while (0)

Test(event, a_snapshot_has_only_events_that_may_be_told)
{
    static const char voter[VOTER_LEN_MAX + 1];
    struct event longest = good;
    longest.text[EVENT_VOTER] = (struct span){voter, VOTER_LEN_MAX};
    cr_expect(takes(&good, &good) && takes(&good, &longest));
    EXPECT_BAD(lsn = 4);
    EXPECT_BAD(time_ms = TIME_MS_MAX + 1);
    EXPECT_BAD(type = RECORD_CLAIM);
    EXPECT_BAD(num[EVENT_POLL] = 2);
    EXPECT_BAD(num[EVENT_N] = 8);
    EXPECT_BAD(num[EVENT_VOTES] = VOTES_MASK + 1);
    EXPECT_BAD(text[EVENT_VOTER] = ((struct span){voter, VOTER_LEN_MAX + 1}));
    EXPECT_BAD(text[1] = SPAN("w"));
    struct image image = {.kind = IMAGE_RECENT,
                          .num = {[IRECENT_POLL] = 1},
                          .text = {[IRECENT_EVENTS] = SPAN("no events")}};
    cr_expect(bounds_image_error(&image) != NULL);
}

Test(event, a_snapshot_has_no_events_of_other_polls_nor_of_later_records)
{
    static const struct image head = {
        .kind = IMAGE_HEAD,
        .num = {[HEAD_LSN] = 5, [HEAD_TIME_MS] = 1000, [HEAD_POLLS] = 1, [HEAD_BUILD_NEXT] = 1}};
    static const struct image poll = {
        .kind = IMAGE_POLL, .num = {[IPOLL_ID] = 1, [IPOLL_OPEN] = 1}, .text = {SPAN("p")}};
    for (uint64_t lsn = 5; lsn <= 6; lsn++) {
        struct snapshot_proof proof;
        struct event_buf buf = {0};
        struct event event = good;
        event.lsn = lsn;
        event_put(&buf, &event);
        const struct image recent = {.kind = IMAGE_RECENT,
                                     .num = {[IRECENT_POLL] = 1},
                                     .text = {[IRECENT_EVENTS] = {(const char *)buf.at, buf.len}}};
        snapshot_proof_init(&proof, 5);
        cr_assert_eq(snapshot_proof_image(&proof, &head), 0, "%s", proof.why);
        cr_expect_eq(snapshot_proof_image(&proof, &recent), TALLY_CORRUPT, "without its poll");
        cr_expect_eq(snapshot_proof_image(&proof, &poll), 0, "%s", proof.why);
        cr_expect_eq(snapshot_proof_image(&proof, &recent), lsn == 5 ? 0 : TALLY_CORRUPT);
        cr_expect_eq(snapshot_proof_image(&proof, &recent), TALLY_CORRUPT, "twice, or too late");
        snapshot_proof_fini(&proof);
        event_buf_fini(&buf);
    }
}

/* ---- a replay ---- */

enum { RECORDS = 60000, BLOCK_RECORDS = 700 };

static void expect_same_recents(struct event_store *one, struct event_store *two, uint64_t lsn)
{
    struct event_buf a = {0};
    struct event_buf b = {0};
    int err = 0;
    for (uint64_t poll = 1; err == 0; poll++) {
        uint64_t other = poll;
        err = event_store_recent(one, lsn, &poll, &a);
        cr_assert_eq(event_store_recent(two, lsn, &other, &b), err);
        cr_assert(err != 0 || other == poll);
    }
    cr_expect_eq(err, EVENTS_RECENT_NONE);
    cr_expect_gt(a.len, 0);
    cr_assert_eq(a.len, b.len);
    cr_expect_arr_eq(a.at, b.at, a.len);
    event_buf_fini(&a);
    event_buf_fini(&b);
}

static void expect_same_ring(const struct event_store *one, const struct event_store *two)
{
    uint64_t count = one->end - one->first;
    cr_assert_gt(count, RECORDS / 2);
    cr_assert_eq(two->end - two->first, count);
    cr_expect_eq(one->oldest, two->oldest);
    for (uint64_t i = 0; i < count; i++) {
        struct event a;
        struct event b;
        event_store_open(one, event_store_at(one, one->first + i), &a);
        event_store_open(two, event_store_at(two, two->first + i), &b);
        cr_assert(a.lsn == b.lsn && a.time_ms == b.time_ms && a.type == b.type, "event %lu",
                  (unsigned long)i);
        cr_assert_arr_eq(a.num, b.num, sizeof a.num);
        cr_assert(span_equal(a.text[0], b.text[0]) && span_equal(a.text[1], b.text[1]));
    }
}

/* Replays the history by threads into one store; and record by record into another, block by block
 * as the committer does. */
Test(event_replay, a_replay_tells_what_apply_told, .timeout = 60)
{
    static struct state made;
    static struct state states[2];
    static struct event_store stores[2];
    static struct replay replay;
    struct record_history h = {.polls_until = 2000, .votes_from = 0};
    struct columns columns = {.count = 0};
    record_history_init(&h, &made, 5, RECORDS);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(state_init(&states[i]), 0);
        cr_assert_eq(event_store_init(&stores[i], &states[i]), 0);
    }
    replay_init(&replay, &states[0], 4);
    replay.events = &stores[0];
    for (uint32_t i = 0; i < h.count;) {
        struct wal_block whole = {.first_lsn = i + 1};
        const unsigned char *raw = NULL;
        columns_begin(&columns, h.records[i].time_ms);
        for (uint32_t k = 0; k < BLOCK_RECORDS && i < h.count; k++, i++) {
            struct apply_result result;
            h.records[i].time_ms = columns.time_ms;
            cr_assert_eq(columns_add(&columns, &h.records[i]), 0);
            cr_assert_eq(apply(&states[1], &h.records[i], &result), 0);
        }
        cr_assert_eq(columns_end(&columns, &raw, &whole.raw_bytes), 0);
        whole.raw = raw;
        whole.count = columns.count;
        cr_assert_eq(replay_block(&replay, &whole), 0);
        const struct event_block block = {
            .first_lsn = whole.first_lsn,
            .count = whole.count,
            .votes = {(const char *)raw, columns.votes_len},
            .events = {(const char *)stores[1].events.at, stores[1].events.len},
        };
        (void)event_pipe_put(&stores[1].pipe, &block);
        event_store_take(&stores[1]);
        stores[1].events.len = 0;
    }
    cr_assert_eq(replay_flush(&replay), 0);
    event_store_replayed(&stores[0]);
    expect_same_recents(&stores[0], &stores[1], h.count);
    expect_same_ring(&stores[0], &stores[1]);
    columns_fini(&columns);
    replay_fini(&replay);
    for (int i = 0; i < 2; i++) {
        event_store_fini(&stores[i]);
        state_fini(&states[i]);
    }
    record_history_fini(&h);
    state_fini(&made);
}
