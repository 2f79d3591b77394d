/* Blocks of records by column: encoded and decoded, cut short, garbled, and of a newer version. */
#include "engine/log/columns.h"
#include "tests/lib/count.h"
#include "tests/lib/seed.h"
#include "wal/base/bytes.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { RECORDS_MAX = 400, TEXT_MAX = 64 };

struct random_records {
    struct record records[RECORDS_MAX];
    char texts[RECORDS_MAX][RECORD_TEXTS][TEXT_MAX];
    uint32_t count;
    uint32_t seen;
};

static const unsigned types[] = {
#define X(name, number, ...) number,
    RECORD_LIST(X)
#undef X
};

static uint64_t random_number(struct seed *seed)
{
    return seed_next(seed) >> seed_below(seed, 64);
}

/* A record of a type; about half of its numbers are zero and half of its texts empty. */
static void random_record(struct random_records *sample, enum record_type type, struct seed *seed)
{
    uint32_t at = sample->count++;
    struct record *record = &sample->records[at];
    *record = (struct record){.type = type};
    for (unsigned i = 0; i < record_schema(type)->num_count; i++) {
        record->num[i] = seed_below(seed, 2) == 0 ? 0 : random_number(seed);
    }
    if (type == RECORD_VOTE) {
        record->num[VOTE_N] = (uint32_t)record->num[VOTE_N];
    }
    for (unsigned i = 0; i < record_schema(type)->text_count; i++) {
        size_t len = seed_below(seed, 2) == 0 ? 0 : (size_t)seed_below(seed, TEXT_MAX);
        seed_fill(seed_next(seed), (unsigned char *)sample->texts[at][i], TEXT_MAX);
        record->text[i] = (struct span){sample->texts[at][i], len};
    }
}

static struct random_records *random_sample(uint64_t start)
{
    struct random_records *sample = calloc(1, sizeof(*sample));
    struct seed seed = {start};
    cr_assert(sample != NULL);
    for (unsigned i = 0; i < RECORDS_MAX; i++) {
        size_t type = i < COUNT_OF(types) ? i : seed_below(&seed, COUNT_OF(types));
        random_record(sample, (enum record_type)types[type], &seed);
    }
    return sample;
}

/* Encodes a block into memory of exactly its size, so that asan sees a read beyond it. Owned by the
 * caller: free(). */
static unsigned char *encode(const struct random_records *sample, uint64_t time_ms, size_t *len)
{
    struct columns columns = {.count = 0};
    const unsigned char *block = NULL;
    columns_begin(&columns, time_ms);
    for (uint32_t i = 0; i < sample->count; i++) {
        cr_assert_eq(columns_add(&columns, &sample->records[i]), 0);
    }
    cr_assert_eq(columns_end(&columns, &block, len), 0);
    unsigned char *copy = malloc(*len);
    cr_assert(copy != NULL);
    memcpy(copy, block, *len);
    columns_fini(&columns);
    return copy;
}

static int compare_record(void *arg, const struct record *record)
{
    struct random_records *sample = arg;
    const struct record *wanted = &sample->records[sample->seen++];
    cr_assert_eq(record->type, wanted->type);
    cr_assert_eq(record->time_ms, 777);
    cr_assert_eq(record->lsn, 1000 + sample->seen - 1);
    for (unsigned i = 0; i < RECORD_NUMS; i++) {
        cr_assert_eq(record->num[i], wanted->num[i], "%s: number %u",
                     record_type_name(record->type), i);
    }
    for (unsigned i = 0; i < RECORD_TEXTS; i++) {
        cr_assert(span_equal(record->text[i], wanted->text[i]), "%s: text %u",
                  record_type_name(record->type), i);
    }
    return 0;
}

/* A run of votes is the same as its votes one by one. */
static int compare_votes(void *arg, const struct vote_run *run)
{
    cr_assert(run->count >= 1 && run->count <= VOTE_RUN_MAX);
    for (uint32_t i = 0; i < run->count; i++) {
        struct record record = {
            .type = RECORD_VOTE, .lsn = run->first_lsn + i, .time_ms = run->time_ms};
        record.num[VOTE_OPTION] = run->option[i];
        record.num[VOTE_BEFORE] = run->before[i];
        record.num[VOTE_N] = run->n[i];
        cr_assert_eq(compare_record(arg, &record), 0);
    }
    return 0;
}

static int count_record(void *arg, const struct record *record)
{
    uint32_t *count = arg;
    (void)record;
    (*count)++;
    return 0;
}

Test(columns, every_type_comes_back_as_it_was)
{
    for (uint64_t start = 1; start <= 30; start++) {
        struct random_records *sample = random_sample(start);
        size_t len = 0;
        unsigned char *block = encode(sample, 777, &len);
        cr_assert_eq(columns_decode(block, len, 1000, sample->count, compare_record, sample), 0);
        cr_assert_eq(sample->seen, sample->count);
        free(block);
        free(sample);
    }
}

Test(columns, votes_come_in_runs_with_every_number_and_in_their_order)
{
    static const unsigned lens[] = {1, 2, VOTE_RUN_MAX - 1, VOTE_RUN_MAX, VOTE_RUN_MAX + 1, 300};
    for (size_t l = 0; l < COUNT_OF(lens); l++) {
        struct seed seed = {l + 1};
        struct random_records *sample = random_sample(l + 1);
        struct columns_visitor visitor = {compare_record, compare_votes, sample};
        size_t len = 0;
        sample->count = RECORDS_MAX - 300;
        for (unsigned i = 0; i < lens[l]; i++) {
            struct record *record = &sample->records[sample->count];
            random_record(sample, RECORD_VOTE, &seed);
            memset(record->text, 0, sizeof(record->text));
            record->num[VOTE_OPTION] = seed_below(&seed, 3 * VOTE_GUESSES); /* again, and crowded */
        }
        unsigned char *block = encode(sample, 777, &len);
        cr_assert_eq(columns_visit(block, len, 1000, sample->count, &visitor), 0);
        cr_assert_eq(sample->seen, sample->count);
        for (size_t cut = 0; cut < len; cut += 1 + cut / 8) {
            unsigned char *part = memcpy(malloc(cut + 1), block, cut);
            sample->seen = 0;
            cr_assert_eq(columns_visit(part, cut, 1000, sample->count, &visitor), TALLY_CORRUPT);
            free(part);
        }
        free(block);
        free(sample);
    }
}

Test(columns, an_empty_block_holds_nothing)
{
    struct random_records sample = {.count = 0};
    size_t len = 0;
    unsigned char *block = encode(&sample, 777, &len);
    cr_assert_eq(columns_decode(block, len, 1, 0, compare_record, &sample), 0);
    cr_assert_eq(columns_decode(block, len, 1, 1, compare_record, &sample), TALLY_CORRUPT);
    free(block);
}

Test(columns, a_block_that_is_cut_short_is_corrupt)
{
    struct random_records *sample = random_sample(7);
    size_t len = 0;
    unsigned char *block = encode(sample, 777, &len);
    for (size_t cut = 0; cut < len; cut++) {
        unsigned char *part = malloc(cut > 0 ? cut : 1);
        uint32_t count = 0;
        cr_assert(part != NULL);
        memcpy(part, block, cut);
        cr_assert_eq(columns_decode(part, cut, 1, sample->count, count_record, &count),
                     TALLY_CORRUPT, "%zu of %zu bytes", cut, len);
        free(part);
    }
    free(block);
    free(sample);
}

Test(columns, another_count_is_corrupt)
{
    struct random_records *sample = random_sample(8);
    size_t len = 0;
    uint32_t count = 0;
    unsigned char *block = encode(sample, 777, &len);
    cr_assert_eq(columns_decode(block, len, 1, sample->count - 1, count_record, &count),
                 TALLY_CORRUPT);
    cr_assert_eq(columns_decode(block, len, 1, sample->count + 1, count_record, &count),
                 TALLY_CORRUPT);
    free(block);
    free(sample);
}

/* Whatever the bytes are, the decoder stays inside them and returns 0, CORRUPT or NEWER. */
Test(columns, garbled_blocks_do_no_harm)
{
    struct random_records *sample = random_sample(9);
    struct seed seed = {99};
    size_t len = 0;
    unsigned char *block = encode(sample, 777, &len);
    for (int round = 0; round < 20000; round++) {
        uint32_t count = 0;
        unsigned char kept[4];
        size_t at[4];
        for (int i = 0; i < 4; i++) {
            at[i] = (size_t)seed_below(&seed, i < 2 ? len : 32);
            kept[i] = block[at[i]];
            block[at[i]] = (unsigned char)seed_next(&seed);
        }
        int err = columns_decode(block, len, 1, sample->count, count_record, &count);
        cr_assert(err == 0 || err == TALLY_CORRUPT || err == TALLY_NEWER, "round %d: %d", round,
                  err);
        for (int i = 3; i >= 0; i--) {
            block[at[i]] = kept[i];
        }
    }
    cr_assert_eq(columns_decode(block, len, 1000, sample->count, compare_record, sample), 0);
    free(block);
    free(sample);
}

/* A block of one record of any kind byte, with one number and one text. */
static size_t block_of_kind(unsigned char kind, unsigned char *block)
{
    const unsigned char rest[] = {1, 5, 1, 2, 'h', 'i'};
    unsigned char *to = block;
    to += put_varint(to, 777);
    to += put_varint(to, 1);
    *to++ = kind;
    for (int i = 0; i < 3; i++) {
        to += put_varint(to, 0);
    }
    to += put_varint(to, sizeof(rest));
    memcpy(to, rest, sizeof(rest));
    return (size_t)(to - block) + sizeof(rest);
}

Test(columns, kinds_that_nobody_knows)
{
    unsigned char block[64];
    for (unsigned kind = 0; kind < 256; kind++) {
        size_t len = block_of_kind((unsigned char)kind, block);
        uint32_t count = 0;
        int err = columns_decode(block, len, 1, 1, count_record, &count);
        if (kind == RECORD_VOTE) {
            cr_assert_eq(err, TALLY_CORRUPT, "a plain vote is not in the rest");
        } else if (kind == (RECORD_VOTE | 0x40) || record_type_name(kind) != NULL) {
            cr_assert_eq(err, 0);
            cr_assert_eq(count, 1);
        } else if ((kind & RECORD_SKIPPABLE) != 0) {
            cr_assert_eq(err, 0, "kind %u may be skipped", kind);
            cr_assert_eq(count, 0);
        } else {
            cr_assert_eq(err, TALLY_NEWER, "kind %u is of a newer version", kind);
        }
    }
}
