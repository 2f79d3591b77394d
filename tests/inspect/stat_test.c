/* tally-wal stat and verify: the numbers of a log for which they are known. */
#include "tests/inspect/made.h"
#include "tests/lib/count.h"
#include "tests/lib/seed.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct log_dir disk;

static void teardown(void)
{
    log_dir_fini(&disk);
}

TestSuite(inspect_stat, .fini = teardown);

/* Parses the object that a command prints; the caller frees it. */
static json_t *object_of(const char *command)
{
    char *text;
    json_error_t error;
    int code = made_run(&text, (const char *const[]){command, "--json", disk.path, NULL});
    cr_assert_eq(code, 0, "exit code %d", code);
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(object, "'%s': %s", text, error.text);
    free(text);
    return object;
}

/* The number at "a.b". */
static double number_at(const json_t *object, const char *path)
{
    char key[64];
    size_t len = strcspn(path, ".");
    snprintf(key, sizeof(key), "%.*s", (int)len, path);
    const json_t *value = json_object_get(object, key);
    if (path[len] == '.') {
        return number_at(value, path + len + 1);
    }
    cr_assert(json_is_number(value), "%s is no number", path);
    return json_number_value(value);
}

struct wanted {
    const char *path;
    double value;
};

static void expect_all(const json_t *object, const struct wanted *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double got = number_at(object, wanted[i].path);
        cr_expect_float_eq(got, wanted[i].value, 1e-6, "%s is %.9g, not %.9g", wanted[i].path, got,
                           wanted[i].value);
    }
}

Test(inspect_stat, the_numbers_of_the_scene)
{
    static const struct wanted wanted[] = {
        {"records", 12},
        {"next_lsn", 13},
        {"first_ms", (double)MADE_MS},
        {"last_ms", (double)MADE_MS + 6000},
        {"polls", 1},
        {"options", 2},
        {"votes", 9},
        {"builds", 2},
        {"by_type.VOTE", 4},
        {"by_type.OPTION", 2},
        {"by_type.DONE", 1},
        {"all.blocks", 7},
        {"all.stored_bytes", 7 * 4096},
        {"pure.blocks", 3},
        {"pure.records", 4},
        {"pure.stored_bytes", 3 * 4096},
        {"pure_votes", 9},
        {"bytes_per_record", 7 * 4096 / 12.0},
        {"bytes_per_vote", 3 * 4096 / 9.0},
        {"compression", 1},
        {"lz4_blocks", 0},
        {"mark_blocks", 1},
        {"mark_bytes", 4096},
        {"segments.sealed", 1},
        {"segments.open", 0},
        {"votes_over_time.first_ms", (double)MADE_MS + 1000},
    };
    made_scene(&disk);
    json_t *object = object_of("stat");
    expect_all(object, wanted, COUNT_OF(wanted));
    const json_t *bins = json_object_get(object, "fill_bins");
    cr_expect_eq(json_array_size(bins), 10);
    cr_expect_eq(json_integer_value(json_array_get(bins, 0)), 7);
    json_int_t votes = 0;
    const json_t *over_time = json_object_get(json_object_get(object, "votes_over_time"), "bins");
    for (size_t i = 0; i < json_array_size(over_time); i++) {
        votes += json_integer_value(json_array_get(over_time, i));
    }
    cr_expect_eq(votes, 9);
    json_decref(object);
}

Test(inspect_stat, what_verify_says_of_the_scene)
{
    static const struct wanted wanted[] = {
        {"exit", 0},  {"records", 12}, {"blocks", 8}, {"bytes", 8 * 4096}, {"next_lsn", 13},
        {"polls", 1}, {"options", 2},  {"votes", 9},  {"builds", 2},       {"by_type.VOTE", 4},
    };
    made_scene(&disk);
    json_t *object = object_of("verify");
    expect_all(object, wanted, COUNT_OF(wanted));
    cr_expect_str_eq(json_string_value(json_object_get(object, "result")), "whole");
    json_decref(object);
}

/* Makes 20 payloads that fill a known part of their blocks, in segments of 64 KiB. */
Test(inspect_stat, fill_compression_and_segments)
{
    enum { BLOCKS = 20, NOISE_BYTES = 3000 };
    static unsigned char noise[NOISE_BYTES + 8];
    made_init(&disk);
    for (uint64_t i = 0; i < BLOCKS; i++) {
        seed_fill(i, noise, NOISE_BYTES);
        const struct record record = {
            .type = RECORD_SUBMIT,
            .num = {5, 0, 1000, 3},
            .text = {SPAN("q"), {NULL, 0}, {NULL, 0}, {(const char *)noise, NOISE_BYTES}}};
        made_block(&disk, MADE_MS + i, &record, 1);
    }
    static const char letters[20000] = {'a'};
    const struct record packed = {
        .type = RECORD_SUBMIT,
        .num = {5, 0, 1000, 3},
        .text = {SPAN("q"), {NULL, 0}, {NULL, 0}, {letters, sizeof(letters)}}};
    made_block(&disk, MADE_MS + BLOCKS, &packed, 1);
    log_dir_close_clean(&disk);
    json_t *object = object_of("stat");
    static const struct wanted wanted[] = {
        {"all.blocks", BLOCKS + 1}, {"all.stored_bytes", (BLOCKS + 1) * 4096},
        {"lz4_blocks", 1},          {"pure.blocks", 0},
        {"bytes_per_vote", 0},      {"segments.sealed", 2},
    };
    expect_all(object, wanted, COUNT_OF(wanted));
    const json_t *bins = json_object_get(object, "fill_bins");
    cr_expect_eq(json_integer_value(json_array_get(bins, 7)), BLOCKS);
    cr_expect_eq(json_integer_value(json_array_get(bins, 0)), 1);
    double raw = number_at(object, "all.raw_bytes");
    double payload = number_at(object, "all.payload_bytes");
    cr_expect_gt(raw, BLOCKS * NOISE_BYTES + 20000);
    cr_expect_lt(payload, BLOCKS * (NOISE_BYTES + 100) + 1000);
    cr_expect_float_eq(number_at(object, "compression"), raw / payload, 1e-6);
    json_decref(object);
}

Test(inspect_stat, the_table_and_the_pictures)
{
    char *text;
    made_scene(&disk);
    setenv("COLUMNS", "60", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    cr_assert_eq(made_run(&text, (const char *const[]){"stat", disk.path, NULL}), 0);
    static const char *const parts[] = {
        "records      12 in 7 blocks\n",
        "votes alone  12288 bytes for 9 votes in 4 records: 1365.333 a vote\n",
        "adds up to   1 polls, 2 options, 9 votes, 2 builds\n",
        "\nVOTE         ████████████████████████████████              4\n",
        "\nPOLL         ████████                                      1\n",
        "\n 0- 10 %     ████████████████████████████████              7\n",
        "votes over time: 2026-11-21T10:00:01.000Z to 2026-11-21T10:00:06.000Z",
    };
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        cr_expect_not_null(strstr(text, parts[i]), "'%s' is not in:\n%s", parts[i], text);
    }
    free(text);
    setenv("LC_ALL", "C", 1);
    cr_assert_eq(made_run(&text, (const char *const[]){"stat", disk.path, NULL}), 0);
    cr_expect_not_null(strstr(text, "\nPOLL         ########  "), "%s", text);
    for (const char *at = text; *at != '\0'; at++) {
        cr_assert((unsigned char)*at < 0x80, "not plain ASCII: %s", text);
    }
    free(text);
}

Test(inspect_stat, an_empty_log_has_numbers_too)
{
    made_init(&disk);
    log_dir_close_clean(&disk);
    static const struct wanted wanted[] = {{"records", 0}, {"next_lsn", 1}, {"bytes_per_vote", 0}};
    json_t *object = object_of("stat");
    expect_all(object, wanted, COUNT_OF(wanted));
    json_decref(object);
}
