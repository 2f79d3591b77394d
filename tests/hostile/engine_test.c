/* Forged snapshots and logs: the server refuses them at the start, or never fails later. */
#include "engine/apply/snapshot_load.h"
#include "engine/base/ledger.h"
#include "engine/log/bounds.h"
#include "engine/state/state.h"
#include "tests/engine/handle.h"
#include "tests/hostile/forge_state.h"
#include "tests/hostile/opened.h"
#include "tests/lib/count.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(hostile_engine, .init = opened_init, .fini = opened_fini);

/* ---- snapshots ---- */

static void expect_saved_refused(const struct forge_images *images, const char *what)
{
    opened_fresh();
    forge_saved(dir, images);
    int err = opened_start();
    cr_expect_eq(err, TALLY_DAMAGE, "%s: %d, %s", what, err, report.text);
    cr_expect_not_null(strstr(report.text, "the snapshot contradicts itself"), "%s: %s", what,
                       report.text);
    if (err == 0) {
        opened_stop();
    }
}

#define TIB ((uint64_t)1 << 40)

Test(hostile_engine, a_forged_state_that_can_be_is_served)
{
    struct forge_images images;
    struct engine_info info;
    forge_images(&images);
    forge_saved(dir, &images);
    cr_assert_eq(opened_start(), 0, "%s", report.text);
    edge_info(handle.edge, &info);
    cr_expect(info.polls == 1 && info.votes == 5);
    opened_stop();
    cr_assert_eq(opened_start(), 0, "%s", report.text);
    opened_stop();
}

/* Votes of an older generation are not counted. */
Test(hostile_engine, a_forged_poll_that_was_reset_is_served)
{
    struct forge_images images;
    struct engine_info info;
    forge_images(&images);
    images.at[FORGED_HEAD].num[HEAD_VOTES] = 2;
    images.at[FORGED_POLL].num[IPOLL_GENERATION] = UINT32_MAX;
    images.at[FORGED_POLL].num[IPOLL_TOTAL] = 2;
    images.at[FORGED_OPTION].num[IOPTION_GENERATION] = UINT32_MAX - 1;
    images.at[FORGED_OPTION].num[IOPTION_VOTES] = VOTES_MASK;
    images.at[FORGED_OPTION_2].num[IOPTION_GENERATION] = UINT32_MAX;
    images.at[FORGED_VOTER].text[IVOTER_MORE] = SPAN(""); /* votes for the second one alone */
    forge_saved(dir, &images);
    cr_assert_eq(opened_start(), 0, "%s", report.text);
    edge_info(handle.edge, &info);
    cr_expect_eq(info.votes, 2);
    cr_expect_eq(option_votes_now(state_option(handle.edge->state, 1)), 0);
    cr_expect_eq(option_votes_now(state_option(handle.edge->state, 2)), 2);
    int err = handle_result(&handle, edge_reset(handle.edge, SPAN("p"), SPAN("")), NULL);
    cr_expect_eq(err, TALLY_FULL, "it cannot be reset more often");
    opened_stop();
    cr_assert_eq(opened_start(), 0, "%s", report.text);
    opened_stop();
}

/* A snapshot from the middle of a deletion, with ids near the last one that there is. */
Test(hostile_engine, a_forged_poll_that_is_deleted_goes)
{
    struct forge_images images;
    struct engine_info info;
    uint64_t id = 0;
    forge_images(&images);
    struct image *head = &images.at[FORGED_HEAD];
    head->num[HEAD_VOTES] = 0;
    head->num[HEAD_POLLS] = 0;
    head->num[HEAD_OPTIONS] = 0;
    head->num[HEAD_DELETED_POLLS] = 1;
    head->num[HEAD_DELETED_OPTIONS] = 2;
    head->num[HEAD_PAST_POLLS] = 5;
    head->num[HEAD_PAST_OPTIONS] = OPTION_ID_MAX - 3;
    struct image *poll = &images.at[FORGED_POLL];
    poll->num[IPOLL_DELETED] = 1;
    poll->num[IPOLL_TOTAL] = poll->num[IPOLL_OPEN] = poll->num[IPOLL_VOTERS] = 0;
    images.at[FORGED_VOTER] = images.at[FORGED_END];
    images.count = FORGED_VOTER + 1;
    forge_saved(dir, &images);
    cr_assert_eq(opened_start(), 0, "%s", report.text);
    do { /* the PURGE comes by itself; the polls make commits */
        handle_poll(&handle, "q");
    } while (table_get(&handle.edge->state->poll_ids, 1) != NULL);
    edge_info(handle.edge, &info);
    cr_expect(info.polls == 1 && info.options == 0 && info.votes == 0);
    cr_expect_eq(handle_option(&handle, "q", "last"), OPTION_ID_MAX);
    int err = edge_option(handle.edge, SPAN("q"), SPAN("one more"), SPAN(""));
    cr_expect_eq(handle_result(&handle, err, &id), TALLY_FULL, "no id is given out again");
    opened_stop();
    cr_assert_eq(opened_start(), 0, "%s", report.text);
    cr_expect_eq(edge_polldel(handle.edge, SPAN("p")), TALLY_NOTFOUND);
    opened_stop();
}

static const struct number_case {
    const char *what;
    unsigned image;
    unsigned num;
    uint64_t value;
} number_cases[] = {
    {"an lsn near 2^64", FORGED_HEAD, HEAD_LSN, UINT64_MAX - 5},
    {"another lsn", FORGED_HEAD, HEAD_LSN, 7},
    {"a time near 2^64", FORGED_HEAD, HEAD_TIME_MS, UINT64_MAX - 5},
    {"the sum of votes", FORGED_HEAD, HEAD_VOTES, 6},
    {"a poll missing", FORGED_HEAD, HEAD_POLLS, 2},
    {"2^30 polls", FORGED_HEAD, HEAD_POLLS, 1 << 30},
    {"an option missing", FORGED_HEAD, HEAD_OPTIONS, 3},
    {"2^30 options", FORGED_HEAD, HEAD_OPTIONS, (1 << 30) - 1},
    {"2^62 options", FORGED_HEAD, HEAD_OPTIONS, (uint64_t)1 << 62},
    {"a deleted poll missing", FORGED_HEAD, HEAD_DELETED_POLLS, 1},
    {"a deleted option missing", FORGED_HEAD, HEAD_DELETED_OPTIONS, 1},
    {"2^31 - 1 polls that are past, and one", FORGED_HEAD, HEAD_PAST_POLLS, POLL_ID_MAX},
    {"2^31 - 1 options that are past, and two", FORGED_HEAD, HEAD_PAST_OPTIONS, OPTION_ID_MAX},
    {"polls that are past near 2^64", FORGED_HEAD, HEAD_PAST_POLLS, UINT64_MAX},
    {"a deleted poll with votes", FORGED_POLL, IPOLL_DELETED, 1},
    {"deleted is 2", FORGED_POLL, IPOLL_DELETED, 2},
    {"a queue missing", FORGED_HEAD, HEAD_QUEUES, 2},
    {"a worker missing", FORGED_HEAD, HEAD_WORKERS, 2},
    {"no next build", FORGED_HEAD, HEAD_BUILD_NEXT, 0},
    {"fewer builds", FORGED_HEAD, HEAD_BUILDS, 3},
    {"payload bytes", FORGED_HEAD, HEAD_PAYLOAD_BYTES, 17},
    {"a period of 0", FORGED_POLL, IPOLL_RATE_N, 5},
    {"an opening near 2^64", FORGED_POLL, IPOLL_OPEN_MS, UINT64_MAX - 5},
    {"a closing near 2^64", FORGED_POLL, IPOLL_CLOSE_MS, UINT64_MAX - 5},
    {"open is 2", FORGED_POLL, IPOLL_OPEN, 2},
    {"a mode 3", FORGED_POLL, IPOLL_MODE, POLL_MODES},
    {"a mode near 2^64", FORGED_POLL, IPOLL_MODE, UINT64_MAX},
    {"a mode 3 wanted", FORGED_POLL, IPOLL_MODE_WANTED, POLL_MODES},
    {"the total of a poll", FORGED_POLL, IPOLL_TOTAL, 6},
    {"a poll's id", FORGED_POLL, IMAGE_ID, 2},
    {"an option with 2^40 votes", FORGED_OPTION, IOPTION_VOTES, TIB},
    {"an option of no poll", FORGED_OPTION, IOPTION_POLL, 2},
    {"changes without end", FORGED_OPTION, IOPTION_CHANGES, UINT64_MAX},
    {"more changes than records", FORGED_OPTION, IOPTION_CHANGES, FORGE_LSN + 1},
    {"votes of a reset that is to come", FORGED_OPTION, IOPTION_GENERATION, 1},
    {"resets without end", FORGED_POLL, IPOLL_GENERATION, (uint64_t)UINT32_MAX + 1},
    {"a total of votes that were reset", FORGED_POLL, IPOLL_GENERATION, 1},
    {"an option twice", FORGED_OPTION_2, IMAGE_ID, 1},
    {"option 0", FORGED_OPTION_2, IMAGE_ID, 0},
    {"fewer sets than tags", FORGED_QUEUE, IQUEUE_SETS, 1},
    {"more sets than tags", FORGED_QUEUE, IQUEUE_SETS, 3},
    {"65 sets", FORGED_QUEUE, IQUEUE_SETS, 65},
    {"a worker with 2^20 slots", FORGED_WORKER, IWORKER_SLOTS, 1 << 20},
    {"a worker with room for 2^20", FORGED_WORKER, IWORKER_CAPACITY, 1 << 20},
    {"a worker without a slot", FORGED_WORKER, IWORKER_SLOTS, 0},
    {"a worker in a state 3", FORGED_WORKER, IWORKER_STATE, 3},
    {"a state 9", FORGED_PENDING, IBUILD_APPLIED, (uint64_t)9 << 28 | 1},
    {"a state of 5 bits", FORGED_PENDING, IBUILD_APPLIED, (uint64_t)1 << 32 | 1 << 28 | 1},
    {"the last token, pending", FORGED_PENDING, IBUILD_APPLIED, 0x1fffffff},
    {"the last token, held", FORGED_HELD, IBUILD_APPLIED, 0x3fffffff},
    {"no token", FORGED_PENDING, IBUILD_APPLIED, 0x10000000},
    {"a need set that is not there", FORGED_PENDING, IBUILD_SET, 2},
    {"a priority of 10", FORGED_PENDING, IBUILD_PRI, 10},
    {"a priority of 2^8", FORGED_PENDING, IBUILD_PRI, 256},
    {"tries of 2^16", FORGED_PENDING, IBUILD_TRIES, 1 << 16},
    {"attempts of 2^16", FORGED_PENDING, IBUILD_ATTEMPTS, 1 << 16},
    {"attempts that end", FORGED_PENDING, IBUILD_ATTEMPTS, UINT16_MAX},
    {"held without an attempt", FORGED_HELD, IBUILD_ATTEMPTS, 0},
    {"a lease of 2^32", FORGED_PENDING, IBUILD_LEASE_MS, (uint64_t)1 << 32},
    {"a lease of 2^32 as submitted", FORGED_PENDING, IBUILD_SUBMIT_LEASE_MS, (uint64_t)1 << 32},
    {"a queue that is not there", FORGED_PENDING, IBUILD_QUEUE, 2},
    {"a worker that is not there", FORGED_HELD, IBUILD_WORKER, 2},
    {"held by nobody", FORGED_HELD, IBUILD_WORKER, 0},
    {"a slot beyond the last", FORGED_HELD, IBUILD_HELD_AT, 2},
    {"a slot of 2^32", FORGED_HELD, IBUILD_HELD_AT, (uint64_t)1 << 32},
    {"pending since a later record", FORGED_PENDING, IBUILD_PENDING_LSN, FORGE_LSN + 1},
    {"due near 2^64", FORGED_DELAYED, IBUILD_DUE_MS, UINT64_MAX - 5},
    {"ended without a record", FORGED_ENDED, IBUILD_ENDED_LSN, 0},
    {"ended by a later record", FORGED_ENDED, IBUILD_ENDED_LSN, FORGE_LSN + 1},
    {"pending, and ended", FORGED_PENDING, IBUILD_ENDED_LSN, 5},
    {"build 2^30", FORGED_ENDED, IMAGE_ID, 1 << 30},
    {"a build twice", FORGED_ENDED, IMAGE_ID, 1},
    {"a key missing", FORGED_HEAD, HEAD_KEYS, 3},
    {"a key too many", FORGED_HEAD, HEAD_KEYS, 1},
    {"2^20 keys and one", FORGED_HEAD, HEAD_KEYS, KEYS_MAX + 1},
    {"a key of record 0", FORGED_KEY, IKEY_LSN, 0},
    {"two keys of one record", FORGED_KEY_2, IKEY_LSN, 11},
    {"keys that do not rise", FORGED_KEY_2, IKEY_LSN, 10},
    {"a key of a later record", FORGED_KEY_2, IKEY_LSN, FORGE_LSN + 1},
    {"a key whose time goes back", FORGED_KEY_2, IKEY_TIME_MS, FORGE_MS - 1001},
    {"a key of a later time", FORGED_KEY_2, IKEY_TIME_MS, FORGE_MS + 1},
    {"a key of no verb", FORGED_KEY, IKEY_VERB, 0},
    {"a key of a verb without keys", FORGED_KEY, IKEY_VERB, RECORD_CLAIM},
    {"a key of verb 2^32", FORGED_KEY, IKEY_VERB, (uint64_t)1 << 32 | RECORD_SUBMIT},
    {"a key twice", FORGED_KEY_2, IKEY_VERB, RECORD_SUBMIT},
    {"a reply that is NIL twice", FORGED_KEY, IKEY_NIL, 2},
    {"a voter missing", FORGED_POLL, IPOLL_VOTERS, 3},
    {"2^64 voters", FORGED_POLL, IPOLL_VOTERS, UINT64_MAX},
    {"a vote for no option", FORGED_VOTER, IVOTER_PLACE, 2},
    {"a vote twice for one option", FORGED_VOTER, IVOTER_PLACE, 0},
};

Test(hostile_engine, a_snapshot_with_a_number_that_cannot_be_is_refused)
{
    for (size_t i = 0; i < COUNT_OF(number_cases); i++) {
        const struct number_case *number = &number_cases[i];
        struct forge_images images;
        forge_images(&images);
        images.at[number->image].num[number->num] = number->value;
        expect_saved_refused(&images, number->what);
    }
}

#define TEXT(word)                                                                                 \
    {                                                                                              \
        word, sizeof(word) - 1                                                                     \
    }

static const struct text_case {
    const char *what;
    unsigned image;
    unsigned text;
    struct span value;
} text_cases[] = {
    {"a poll's name with a line end", FORGED_POLL, IPOLL_NAME, TEXT("p\r\nERR")},
    {"a poll without a name", FORGED_POLL, IPOLL_NAME, {NULL, 0}},
    {"a poll's name of 65 bytes", FORGED_POLL, IPOLL_NAME,
     TEXT("12345678901234567890123456789012345678901234567890123456789012345")},
    {"seconds that do not decode", FORGED_POLL, IPOLL_SECONDS, TEXT("\x80")},
    {"a second out of its place", FORGED_POLL, IPOLL_SECONDS, TEXT("\x01\x02\x03")},
    {"a place beyond the last", FORGED_POLL, IPOLL_SECONDS, TEXT("\x40\x40\x03")},
    {"a trend that does not decode", FORGED_POLL, IPOLL_TREND, TEXT("\x80")},
    {"a trend without a capacity", FORGED_POLL, IPOLL_TREND, TEXT("\x01\x00")},
    {"a trend of a capacity of 2", FORGED_POLL, IPOLL_TREND, TEXT("\x01\x00\x02")},
    {"a trend of a capacity of 6", FORGED_POLL, IPOLL_TREND, TEXT("\x01\x00\x06")},
    {"a trend of a capacity of 1024", FORGED_POLL, IPOLL_TREND, TEXT("\x01\x00\x80\x08")},
    {"more samples than a capacity", FORGED_POLL, IPOLL_TREND,
     TEXT("\x09\x00\x04\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01")},
    {"samples of no capacity", FORGED_POLL, IPOLL_TREND, TEXT("\x09\x00\x00\x01\x01")},
    {"two samples of a bucket", FORGED_POLL, IPOLL_TREND, TEXT("\x09\x00\x04\x01\x01\x00\x01")},
    {"a sample of the last bucket", FORGED_POLL, IPOLL_TREND, TEXT("\x09\x00\x04\x08\x01")},
    {"half a sample", FORGED_POLL, IPOLL_TREND, TEXT("\x09\x00\x04\x01")},
    {"a sample of 2^63 votes", FORGED_POLL, IPOLL_TREND,
     TEXT("\x09\x00\x04\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")},
    {"a trend in the future", FORGED_POLL, IPOLL_TREND, TEXT("\xff\xff\xff\xff\x7f\x00\x00")},
    {"a trend of an option in the future", FORGED_OPTION, IOPTION_TREND,
     TEXT("\xff\xff\xff\xff\x7f\x00\x00")},
    {"an option that changed after its poll", FORGED_OPTION, IOPTION_TREND,
     TEXT("\x81\x9a\x9d\xa8\x01\x00\x00")},
    {"no label", FORGED_OPTION, IOPTION_LABEL, {NULL, 0}},
    {"a label with a line end", FORGED_OPTION, IOPTION_LABEL, TEXT("A\nB")},
    {"a label with a C1 control", FORGED_OPTION, IOPTION_LABEL, TEXT("A\xc2\x9b")},
    {"a label that is no UTF-8", FORGED_OPTION, IOPTION_LABEL, TEXT("A\xff")},
    {"a label that turns the line", FORGED_OPTION, IOPTION_LABEL, TEXT("\xe2\x80\xae")},
    {"a label of 51 characters", FORGED_OPTION, IOPTION_LABEL,
     TEXT("123456789012345678901234567890123456789012345678901")},
    {"a folded label twice", FORGED_OPTION_2, IOPTION_FOLD, TEXT("a")},
    {"a queue's name with a blank", FORGED_QUEUE, IQUEUE_NAME, TEXT("q q")},
    {"tags such as a;b", FORGED_QUEUE, IQUEUE_TAGS, TEXT(";a;b")},
    {"tags that do not rise", FORGED_QUEUE, IQUEUE_TAGS, TEXT(";linux,arm")},
    {"a need set twice", FORGED_QUEUE, IQUEUE_TAGS, TEXT("arm;arm")},
    {"a tag with a control character", FORGED_QUEUE, IQUEUE_TAGS, TEXT(";a\x01")},
    {"a worker's id with a line end", FORGED_WORKER, IWORKER_ID, TEXT("w\n")},
    {"a worker's tags such as a;b", FORGED_WORKER, IWORKER_TAGS, TEXT("a;b")},
    {"a UNIQ of another queue", FORGED_PENDING, IBUILD_UNIQ, TEXT("r/nightly")},
    {"a UNIQ of nothing", FORGED_PENDING, IBUILD_UNIQ, TEXT("q/")},
    {"a UNIQ that has ended", FORGED_ENDED, IBUILD_UNIQ, TEXT("q/other")},
    {"a UNIQ twice", FORGED_DELAYED, IBUILD_UNIQ, TEXT("q/nightly")},
    {"a voter twice", FORGED_VOTER_2, IVOTER_VOTER, TEXT("v")},
    {"an empty key", FORGED_KEY, IKEY_KEY, {NULL, 0}},
    {"a key of 65 bytes", FORGED_KEY, IKEY_KEY,
     TEXT("12345678901234567890123456789012345678901234567890123456789012345")},
    {"values that do not decode", FORGED_KEY_2, IKEY_VALUES, TEXT("\x01\x80")},
    {"61 values", FORGED_KEY_2, IKEY_PREV,
     TEXT("1234567890123456789012345678901234567890123456789012345678901")},
};

Test(hostile_engine, a_snapshot_with_a_text_that_cannot_be_is_refused)
{
    for (size_t i = 0; i < COUNT_OF(text_cases); i++) {
        const struct text_case *text = &text_cases[i];
        struct forge_images images;
        forge_images(&images);
        images.at[text->image].text[text->text] = text->value;
        expect_saved_refused(&images, text->what);
    }
}

static void swap(struct forge_images *images, unsigned a, unsigned b)
{
    struct image image = images->at[a];
    images->at[a] = images->at[b];
    images->at[b] = image;
}

static void append(struct forge_images *images, unsigned of)
{
    images->at[images->count++] = images->at[of];
}

Test(hostile_engine, images_out_of_their_place_are_refused)
{
    struct forge_images images;
    forge_images(&images);
    append(&images, FORGED_END);
    expect_saved_refused(&images, "twice the end");
    forge_images(&images);
    append(&images, FORGED_OPTION);
    expect_saved_refused(&images, "an image behind the end");
    forge_images(&images);
    images.count--;
    expect_saved_refused(&images, "no end");
    forge_images(&images);
    swap(&images, FORGED_POLL, FORGED_OPTION);
    expect_saved_refused(&images, "an option before its poll");
    forge_images(&images);
    swap(&images, FORGED_HEAD, FORGED_POLL);
    expect_saved_refused(&images, "a poll before the head");
    forge_images(&images);
    images.at[FORGED_POLL] = images.at[FORGED_HEAD];
    expect_saved_refused(&images, "twice the head");
    forge_images(&images);
    images.at[FORGED_DELAYED] = images.at[FORGED_HELD];
    images.at[FORGED_DELAYED].num[IMAGE_ID] = 3;
    expect_saved_refused(&images, "two builds in one slot");
}

/* 28 MiB of payload and result would make an image that fits no block of a snapshot. */
Test(hostile_engine, texts_that_no_snapshot_could_hold_are_refused)
{
    struct forge_images images;
    size_t bytes = BUILD_TEXT_BYTES_MAX + 1;
    char *text = calloc(1, bytes);
    cr_assert_not_null(text);
    static const unsigned texts[] = {IBUILD_PAYLOAD, IBUILD_RESULT, IBUILD_ERROR};
    for (size_t i = 0; i < 3; i++) {
        forge_images(&images);
        images.at[FORGED_HEAD].num[HEAD_PAYLOAD_BYTES] +=
            texts[i] == IBUILD_PAYLOAD ? bytes - 4 : 0;
        images.at[FORGED_ENDED].text[texts[i]] = (struct span){text, bytes};
        expect_saved_refused(&images, "a text of more than 4 MiB");
    }
    free(text);
}

/* All sums are right, but the word of the option could not hold the votes. */
Test(hostile_engine, an_option_with_2_to_the_40_votes_is_refused)
{
    struct forge_images images;
    forge_images(&images);
    images.at[FORGED_OPTION].num[IOPTION_VOTES] = TIB;
    images.at[FORGED_POLL].num[IPOLL_TOTAL] = TIB + 2;
    images.at[FORGED_HEAD].num[HEAD_VOTES] = TIB + 2;
    expect_saved_refused(&images, "2^40 votes");
}

/* The head promises 2^30 options and builds: a load takes no memory for missing ones. */
Test(hostile_engine, ids_near_2_to_the_30_take_no_memory)
{
    struct forge_images images;
    forge_images(&images);
    images.at[FORGED_HEAD].num[HEAD_OPTIONS] = (1 << 30) - 1;
    images.at[FORGED_OPTION_2].num[IMAGE_ID] = (1 << 30) - 1;
    struct snapshot_load load;
    static struct state state;
    cr_assert_eq(state_init(&state), 0);
    snapshot_load_init(&load, &state);
    int err = 0;
    for (size_t i = 0; i < images.count && err == 0; i++) {
        err = snapshot_load_image(&load, &images.at[i]);
    }
    err = err != 0 ? err : snapshot_load_end(&load);
    cr_expect_eq(err, TALLY_CORRUPT);
    cr_expect_not_null(load.proof.why);
    snapshot_load_fini(&load);
    state_fini(&state);
}

/* Texts within their bounds that together are larger than the machine's memory: a few kilobytes of
 * the file decompress to megabytes of zeros. */
Test(hostile_engine, a_load_takes_no_more_memory_than_the_machine_has)
{
    struct forge_images images;
    struct snapshot_load load;
    static struct state state;
    static char zeros[1 << 20];
    forge_images(&images);
    images.at[FORGED_ENDED].text[IBUILD_RESULT] = (struct span){zeros, sizeof(zeros)};
    cr_assert_eq(state_init(&state), 0);
    cr_expect(state.ledger.load_max > sizeof(zeros), "the machine's memory");
    state.ledger.load_max = sizeof(zeros) / 2;
    snapshot_load_init(&load, &state);
    int err = 0;
    for (size_t i = 0; i < images.count && err == 0; i++) {
        err = snapshot_load_image(&load, &images.at[i]);
    }
    cr_expect_eq(err, TALLY_NOMEM);
    snapshot_load_fini(&load);
    state_fini(&state);
}

/* ---- a state close to its limits is loaded, and goes on ---- */

static int claim(uint32_t *token, uint64_t *id)
{
    const struct edge_claim ask = {
        .worker = {"w", 1}, .queues = {{"q", 1}}, .queue_count = 1, .lease_ms = 1000};
    struct edge_claimed got;
    int err;
    HANDLE_ASK(err, &handle, edge_claim(handle.edge, &ask, &got));
    *token = err == 0 ? got.token : 0;
    *id = err == 0 ? got.id : 0;
    handle_settle(&handle);
    return err;
}

Test(hostile_engine, a_build_with_the_last_token_but_few_fails_and_ends_nothing)
{
    struct forge_images images;
    struct edge_failed how;
    uint32_t token;
    uint64_t id;
    int err;
    forge_images(&images);
    images.at[FORGED_PENDING].num[IBUILD_APPLIED] = status_make(BUILD_PENDING, BUILD_TOKEN_MAX - 4);
    forge_saved(dir, &images);
    cr_assert_eq(opened_start(), 0, "%s", report.text);
    cr_assert_eq(claim(&token, &id), 0);
    const struct edge_fail ask = {.id = id, .token = token};
    HANDLE_ASK(err, &handle, edge_fail(handle.edge, &ask, &how));
    cr_assert_eq(err, 0);
    handle_settle(&handle);
    cr_expect(how.final, "there is no token for another try");
    opened_stop();
    cr_assert_eq(opened_start(), 0, "%s", report.text);
    opened_stop();
}

Test(hostile_engine, an_option_with_nearly_2_to_the_40_votes_refuses_more_and_ends_nothing)
{
    struct forge_images images;
    struct edge_vote vote;
    forge_images(&images);
    images.at[FORGED_OPTION].num[IOPTION_VOTES] = VOTES_MASK;
    images.at[FORGED_POLL].num[IPOLL_TOTAL] = VOTES_MASK + 2;
    images.at[FORGED_HEAD].num[HEAD_VOTES] = VOTES_MASK + 2;
    forge_saved(dir, &images);
    cr_assert_eq(opened_start(), 0, "%s", report.text);
    cr_expect_eq(edge_vote(handle.edge, 1, 1, &vote), TALLY_RANGE);
    cr_expect_eq(edge_vote(handle.edge, 2, 1, &vote), 0);
    edge_flush(handle.edge);
    handle_settle(&handle);
    opened_stop();
    cr_assert_eq(opened_start(), 0, "%s", report.text);
    opened_stop();
}

/* A mistake in the state itself, as a bug would make it: the proof finds it when the snapshot is
 * read back, and no older file is removed. */
Test(hostile_engine, a_snapshot_that_cannot_be_loaded_does_not_count)
{
    struct forge_images images;
    struct edge_snapshot done;
    uint64_t ticket = 0;
    char path[256];
    int err;
    forge_images(&images);
    forge_saved(dir, &images);
    cr_assert_eq(opened_start(), 0, "%s", report.text);
    FIELD_ADD(tally->state.votes, 1);
    handle_poll(&handle, "another");
    HANDLE_ASK(err, &handle, edge_snapshot(handle.edge, &ticket, &done));
    cr_expect_eq(err, TALLY_IO, "it counts: %d", err);
    snprintf(path, sizeof(path), "%s/snap-%016x.tally", dir, FORGE_LSN + 1);
    cr_expect_neq(access(path, F_OK), 0, "it has a name");
    opened_stop();
    cr_assert_eq(opened_start(), 0, "the log has it all: %s", report.text);
    cr_expect_eq(report.snapshot_lsn, FORGE_LSN);
    opened_stop();
}

/* ---- a record that apply refuses is never appended ---- */

Test(hostile_engine, the_edge_refuses_what_apply_would)
{
    static char payload[BUILD_TEXT_BYTES_MAX + 1];
    cr_assert_eq(opened_start(), 0, "%s", report.text);
    const struct edge_submit good = {
        .queue = {"q", 1}, .payload = {"make", 4}, .lease_ms = 1000, .tries = 3, .pri = 5};
    struct edge_submit bad = good;
    bad.tries = 0;
    cr_expect_eq(edge_submit(handle.edge, &bad), TALLY_INVAL, "no try");
    bad.tries = BUILD_TRIES_MAX + 1;
    cr_expect_eq(edge_submit(handle.edge, &bad), TALLY_INVAL, "too many tries");
    bad = good;
    bad.pri = BUILD_PRIORITIES;
    cr_expect_eq(edge_submit(handle.edge, &bad), TALLY_INVAL, "a priority of 10");
    bad = good;
    bad.lease_ms = (uint32_t)BUILD_LEASE_MS_MAX + 1;
    cr_expect_eq(edge_submit(handle.edge, &bad), TALLY_INVAL, "a lease of a day and more");
    bad = good;
    bad.delay_ms = (uint32_t)BUILD_DELAY_MS_MAX + 1;
    cr_expect_eq(edge_submit(handle.edge, &bad), TALLY_INVAL, "a delay of 30 days and more");
    bad = good;
    bad.payload = (struct span){payload, sizeof(payload)};
    cr_expect_eq(edge_submit(handle.edge, &bad), TALLY_INVAL, "a payload of 4 MiB and more");
    struct edge_poll poll = {.name = {"p", 1}, .open_ms = INT64_MAX};
    cr_expect_eq(edge_poll(handle.edge, &poll), TALLY_INVAL, "an opening near 2^63");
    poll = (struct edge_poll){.name = {"p", 1}, .mode = POLL_MODES};
    cr_expect_eq(edge_poll(handle.edge, &poll), TALLY_INVAL, "a mode 3");
    struct edge_worker worker = {.id = {"w", 1}, .name = {payload, 300}, .slots = 1};
    cr_expect_eq(edge_worker(handle.edge, &worker), TALLY_INVAL, "a name of 300 bytes");
    cr_expect_eq(edge_tail(handle.edge), 0, "nothing was appended");
    cr_expect_eq(ledger_of(edge_ledger(handle.edge), LEDGER_IN_FLIGHT), 0, "nothing is counted");
    opened_stop();
}
