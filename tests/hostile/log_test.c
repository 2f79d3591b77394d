/* Forged logs: the server refuses them at the start. */
#include "engine/log/bounds.h"
#include "engine/state/state.h"
#include "tests/hostile/forge_state.h"
#include "tests/hostile/opened.h"
#include "tests/lib/count.h"

#include <criterion/criterion.h>

#define TEXT(word)                                                                                 \
    {                                                                                              \
        word, sizeof(word) - 1                                                                     \
    }

TestSuite(hostile_log, .init = opened_init, .fini = opened_fini);

static void expect_logged(const struct forge_records *records, const char *what, int expected)
{
    opened_fresh();
    forge_logged(dir, records);
    int err = opened_start();
    cr_expect_eq(err, expected, "%s: %d, %s", what, err, report.text);
    if (err == 0) {
        opened_stop();
    }
}

static struct record *find(struct forge_records *records, enum record_type type)
{
    size_t i = 0;
    while (records->at[i].type != type) {
        i++;
    }
    return &records->at[i];
}

static const struct record_number_case {
    const char *what;
    enum record_type type;
    unsigned num;
    uint64_t value;
} record_numbers[] = {
    {"a period of 0", RECORD_POLL, POLL_RATE_MS, 0},
    {"an opening near 2^64", RECORD_POLL, POLL_OPEN_MS, UINT64_MAX},
    {"a closing near 2^64", RECORD_POLL, POLL_CLOSE_MS, UINT64_MAX},
    {"a mode 3", RECORD_POLL, POLL_MODE, POLL_MODES},
    {"no vote", RECORD_VOTE, VOTE_N, 0},
    {"2^32 votes", RECORD_VOTE, VOTE_N, (uint64_t)1 << 32},
    {"a priority of 10", RECORD_SUBMIT, SUBMIT_PRI, 10},
    {"a delay near 2^64", RECORD_SUBMIT, SUBMIT_DELAY_MS, UINT64_MAX},
    {"a lease of 2^32", RECORD_SUBMIT, SUBMIT_LEASE_MS, (uint64_t)1 << 32},
    {"no try", RECORD_SUBMIT, SUBMIT_TRIES, 0},
    {"2^16 tries", RECORD_SUBMIT, SUBMIT_TRIES, (1 << 16) + 3},
    {"257 slots", RECORD_WORKER, WORKER_SLOTS, 257},
    {"a lease of 2^32 at a claim", RECORD_CLAIM, CLAIM_LEASE_MS, (uint64_t)1 << 32},
    {"a state of 5 bits", RECORD_CLAIM, STEP_AFTER, (uint64_t)1 << 32 | 0x30000002},
    {"a delay near 2^64 at a fail", RECORD_FAIL, STEP_DELAY_MS, UINT64_MAX},
    {"a delay near 2^64 at a done", RECORD_DONE, STEP_DELAY_MS, UINT64_MAX},
    {"a poll that is not there", RECORD_POLL_WINDOW, POLL_WINDOW_POLL, 2},
    {"a reset of no poll", RECORD_RESET, RESET_POLL, 2},
    {"a reset near 2^64", RECORD_RESET, RESET_POLL, UINT64_MAX},
    {"the deletion of no poll", RECORD_POLLDEL, POLLDEL_POLL, 3},
    {"the deletion of poll 0", RECORD_POLLDEL, POLLDEL_POLL, 0},
    {"the deletion of a poll near 2^64", RECORD_POLLDEL, POLLDEL_POLL, UINT64_MAX},
    {"a purge of no poll", RECORD_PURGE, PURGE_POLL, 3},
    {"a purge of a poll that is not deleted", RECORD_PURGE, PURGE_POLL, 1},
    {"a purge of more options than there are", RECORD_PURGE, PURGE_OPTIONS, 2},
    {"a purge of 257 options", RECORD_PURGE, PURGE_OPTIONS, PURGE_OPTIONS_MAX + 1},
    {"a purge near 2^64", RECORD_PURGE, PURGE_OPTIONS, UINT64_MAX},
    {"a mode 3 of a window", RECORD_POLL_WINDOW, POLL_WINDOW_MODE, POLL_MODES},
    {"a worker that is not there", RECORD_OFFLINE, 0, 2},
};

static const struct record_text_case {
    const char *what;
    enum record_type type;
    unsigned text;
    struct span value;
} record_texts[] = {
    {"a poll's name with a line end", RECORD_POLL, POLL_NAME, TEXT("p\n")},
    {"a label with a line end", RECORD_OPTION, OPTION_LABEL, TEXT("A\n1 2 VOTE")},
    {"a label that is no UTF-8", RECORD_OPTION, OPTION_LABEL, TEXT("\xff")},
    {"no folded label", RECORD_OPTION, OPTION_FOLD, {NULL, 0}},
    {"a queue's name with a line end", RECORD_SUBMIT, SUBMIT_QUEUE, TEXT("q\r\n")},
    {"a key of 65 bytes", RECORD_SUBMIT, SUBMIT_KEY,
     TEXT("12345678901234567890123456789012345678901234567890123456789012345")},
    {"a key of 65 bytes of a step", RECORD_VOTE, VOTE_KEY,
     TEXT("12345678901234567890123456789012345678901234567890123456789012345")},
    {"a key of 65 bytes, too", RECORD_OPTION, OPTION_KEY,
     TEXT("12345678901234567890123456789012345678901234567890123456789012345")},
    {"tags such as a;b", RECORD_SUBMIT, SUBMIT_NEED, TEXT("a;b")},
    {"tags that do not rise", RECORD_SUBMIT, SUBMIT_NEED, TEXT("b,a")},
    {"a worker's id with a line end", RECORD_WORKER, WORKER_ID, TEXT("w\n")},
    {"a worker's tags such as a;b", RECORD_WORKER, WORKER_TAGS, TEXT("a;b")},
};

Test(hostile_log, a_log_that_says_what_cannot_be_is_refused)
{
    struct forge_records records;
    forge_records(&records);
    expect_logged(&records, "as it should be", 0);
    for (size_t i = 0; i < COUNT_OF(record_numbers); i++) {
        forge_records(&records);
        find(&records, record_numbers[i].type)->num[record_numbers[i].num] =
            record_numbers[i].value;
        expect_logged(&records, record_numbers[i].what, TALLY_DAMAGE);
    }
    for (size_t i = 0; i < COUNT_OF(record_texts); i++) {
        forge_records(&records);
        find(&records, record_texts[i].type)->text[record_texts[i].text] = record_texts[i].value;
        expect_logged(&records, record_texts[i].what, TALLY_DAMAGE);
    }
    forge_records(&records);
    records.at[records.count - 1].time_ms = UINT64_MAX - 5;
    expect_logged(&records, "a time near 2^64", TALLY_DAMAGE);
}

/* 2^32 - 1 votes a record, chained as they should be: the last one reaches 2^40. */
Test(hostile_log, a_log_that_counts_beyond_2_to_the_40_is_refused)
{
    struct forge_records records;
    forge_records(&records);
    records.count = 3;
    uint64_t before = 0;
    for (unsigned i = 0; i < FORGE_RECORDS_MAX - 3; i++) {
        records.at[records.count++] =
            (struct record){.type = RECORD_VOTE, .num = {1, before, UINT32_MAX}};
        before += UINT32_MAX;
    }
    expect_logged(&records, "2^32 votes a record", 0);
    struct forge_images images;
    forge_images(&images);
    images.at[FORGED_OPTION].num[IOPTION_VOTES] = VOTES_MASK;
    cr_expect_null(bounds_image_error(&images.at[FORGED_OPTION]));
    images.at[FORGED_OPTION].num[IOPTION_VOTES] = VOTES_MASK + 1;
    cr_expect_not_null(bounds_image_error(&images.at[FORGED_OPTION]));
}

/* Of a poll that is deleted, steps are refused; what apply decides in log order is only told so. */
Test(hostile_log, a_step_on_what_is_deleted_is_refused)
{
    static const struct {
        const char *what;
        struct record record;
        int expected;
    } cases[] = {
        {"a vote", {.type = RECORD_VOTE, .num = {1, 0, 1}}, TALLY_DAMAGE},
        {"a vote with a key",
         {.type = RECORD_VOTE, .num = {1, 0, 1}, .text = {[VOTE_KEY] = TEXT("n")}},
         TALLY_DAMAGE},
        {"a SEED", {.type = RECORD_SEED, .num = {1, 0, 1}}, TALLY_DAMAGE},
        {"a ballot",
         {.type = RECORD_BALLOT, .num = {1, 1}, .text = {[BALLOT_VOTER] = TEXT("v")}},
         0},
        {"an UNVOTE", {.type = RECORD_UNVOTE, .text = {TEXT("p"), TEXT("v")}}, 0},
        {"a RESET", {.type = RECORD_RESET, .num = {1}}, 0},
        {"a second POLLDEL", {.type = RECORD_POLLDEL, .num = {1}}, 0},
        {"a POLL_WINDOW", {.type = RECORD_POLL_WINDOW, .num = {1, 1}}, 0},
        {"a poll of the same name", {.type = RECORD_POLL, .text = {TEXT("p")}}, 0},
        {"a purge", {.type = RECORD_PURGE, .num = {1, 2}}, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct forge_records records;
        forge_records(&records);
        records.count = 3; /* a poll and two options */
        records.at[records.count++] = (struct record){.type = RECORD_POLLDEL, .num = {1}};
        records.at[records.count++] = cases[i].record;
        expect_logged(&records, cases[i].what, cases[i].expected);
        records.at[3 + 2] = records.at[3 + 1];
        records.at[3 + 1] = (struct record){.type = RECORD_PURGE, .num = {1, 2}};
        records.count++;
        bool is_lasting =
            cases[i].record.type == RECORD_BALLOT || cases[i].record.type == RECORD_UNVOTE ||
            cases[i].record.type == RECORD_POLLDEL || cases[i].record.type == RECORD_POLL;
        expect_logged(&records, cases[i].what, is_lasting ? 0 : TALLY_DAMAGE);
    }
}
