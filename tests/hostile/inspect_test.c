/* tally-wal in a forged directory: it judges as the server does, and prints no bytes that control a
 * terminal. */
#include "engine/log/columns.h"
#include "tests/hostile/forge_state.h"
#include "tests/inspect/made.h"
#include "tests/lib/proc.h"
#include "wal/base/glyph.h"
#include "wal/format/snapshot.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_WHOLE = 0, CODE_DAMAGE = 5 };

static struct log_dir disk;
static char *text;

static void setup(void)
{
    log_dir_init(&disk);
}

static void teardown(void)
{
    free(text);
    log_dir_fini(&disk);
}

TestSuite(hostile_inspect, .init = setup, .fini = teardown);

static int run(const char *command, const char *option)
{
    free(text);
    return made_run_all(&text, (const char *const[]){command, disk.path, option, NULL});
}

/* ---- snapshots as proof of what was durable ---- */

/* Forges a log of one block a record without a seal, as a killed server leaves it. */
static uint64_t forge_open_log(void)
{
    struct forge_records records;
    struct columns columns = {.count = 0};
    struct forge forge;
    struct wal_segment_head head = {.number = 1, .bytes = 1 << 20, .epoch = 1};
    memcpy(head.uuid, forge_uuid, sizeof(head.uuid));
    forge_segment(&forge, disk.path, &head, 1);
    forge_records(&records);
    for (size_t i = 0; i < records.count; i++) {
        const unsigned char *raw;
        size_t len;
        columns_begin(&columns, FORGE_MS + (uint64_t)i * 1000);
        cr_assert_eq(columns_add(&columns, &records.at[i]), 0);
        cr_assert_eq(columns_end(&columns, &raw, &len), 0);
        forge_block(&forge, 0, 1, raw, len);
    }
    columns_fini(&columns);
    forge_close(&forge);
    return records.count;
}

/* Forges a snapshot that cannot be loaded; its header still proves which lsn was durable. */
static void forge_witness(uint64_t lsn)
{
    struct forge forge;
    forge_snapshot(&forge, disk.path, lsn);
    forge_block(&forge, 0, 1, "image", 5);
    forge_snapshot_end(&forge, true, 1);
}

/* Whether the text has a number between two words. */
static bool tells(const char *before, uint64_t number, const char *after)
{
    char what[128];
    snprintf(what, sizeof(what), "%s%lu%s", before, (unsigned long)number, after);
    return strstr(text, what) != NULL;
}

Test(hostile_inspect, garbage_behind_a_snapshot_is_no_torn_tail)
{
    uint64_t last = forge_open_log();
    uint64_t offset = (last + 1) * WAL_PAGE_BYTES - WAL_PAGE_BYTES;
    size_t len;
    log_dir_poke(&disk, log_dir_segment(1), offset, "garbage over the block", 22);
    cr_expect_eq(run("verify", NULL), 4, "without a snapshot it is a tear: %s", text);
    forge_witness(last);
    unsigned char *before = log_dir_load(&disk, log_dir_segment(1), &len);
    cr_expect_eq(run("repair", NULL), CODE_DAMAGE, "%s", text);
    cr_expect(tells("record ", last,
                    " cannot be read, and was acknowledged: there is a snapshot of it; nothing was "
                    "changed"),
              "%s", text);
    unsigned char *after = log_dir_load(&disk, log_dir_segment(1), &len);
    cr_expect_arr_eq(before, after, len);
    free(before);
    free(after);
    cr_expect_eq(run("verify", NULL), CODE_DAMAGE, "%s", text);
    cr_expect_eq(run("stat", NULL), CODE_DAMAGE, "%s", text);
    cr_expect_eq(run("dump", NULL), CODE_DAMAGE, "%s", text);
    log_dir_zero(&disk, log_dir_segment(1), offset, WAL_PAGE_BYTES);
    cr_expect_eq(run("verify", NULL), CODE_DAMAGE, "zeros: %s", text);
    cr_expect_eq(run("repair", NULL), CODE_DAMAGE, "zeros: %s", text);
    log_dir_unlink(&disk, log_dir_segment(1));
    cr_expect_eq(run("verify", NULL), CODE_DAMAGE, "no segment: %s", text);
    cr_expect(tells("there is a snapshot at record ", last, ", and no log"), "%s", text);
    cr_expect_eq(run("repair", NULL), CODE_DAMAGE, "no segment: %s", text);
}

Test(hostile_inspect, verify_reads_the_snapshots_and_says_so)
{
    struct forge_images images;
    forge_images(&images);
    forge_saved(disk.path, &images);
    cr_expect_eq(run("verify", NULL), CODE_WHOLE, "%s", text);
    cr_expect_not_null(strstr(text, "snapshots=1 newest=40"), "%s", text);
    cr_expect_eq(run("verify", "--json"), CODE_WHOLE, "%s", text);
    cr_expect_not_null(strstr(text, "\"snapshots\":1,\"snapshot_lsn\":40"), "%s", text);
}

Test(hostile_inspect, verify_finds_a_snapshot_that_is_damaged_or_says_something_else)
{
    uint64_t last = forge_open_log();
    forge_witness(last);
    cr_expect_eq(run("verify", NULL), CODE_DAMAGE, "%s", text);
    char name[WAL_NAME_BYTES];
    wal_snapshot_name(name, last);
    cr_expect_not_null(strstr(text, name), "%s", text);
    cr_expect_eq(run("verify", "--json"), CODE_DAMAGE, "%s", text);
    cr_expect_not_null(strstr(text, "\"result\":\"damage\""), "%s", text);
    struct forge_images images;
    struct forge forge;
    struct image_buf buf = {.at = NULL};
    forge_images(&images);
    images.at[FORGED_HEAD].num[HEAD_LSN] = last;
    for (size_t i = 0; i < images.count; i++) {
        images.at[i].num[IBUILD_ENDED_LSN] = images.at[i].num[IBUILD_ENDED_LSN] > 0 ? last : 0;
        cr_assert_eq(image_put(&buf, &images.at[i]), 0);
    }
    forge_snapshot(&forge, disk.path, last);
    forge_block(&forge, 0, buf.count, buf.at, buf.len);
    forge_snapshot_end(&forge, true, buf.count);
    image_buf_fini(&buf);
    cr_expect_eq(run("verify", NULL), CODE_DAMAGE, "%s", text);
    cr_expect_not_null(strstr(text, "it is not the state that the log leads to"), "%s", text);
}

/* ---- output ---- */

#define TEXT(word)                                                                                 \
    {                                                                                              \
        word, sizeof(word) - 1                                                                     \
    }

static const char evil[] = "a\r\n7 0 VOTE option=1 \x1b[2J \xc2\x9b"
                           "31m \x7f \xe2\x80\xae \xff\"\\";

/* Whether a line has no bytes that control a terminal, beyond line ends. */
static bool is_harmless(const char *line)
{
    for (struct span rest = span_of(line); rest.len > 0;) {
        size_t shown = rest.at[0] == '\n' ? 1 : glyph_shown(rest);
        if (shown == 0) {
            return false;
        }
        rest = (struct span){rest.at + shown, rest.len - shown};
    }
    return true;
}

/* Forges texts that the server takes from any client: a title, an error, a UNIQ; and a voter.
 * Returns the number of records. */
static uint64_t forge_evil_log(void)
{
    struct forge_records records;
    forge_records(&records);
    for (size_t i = 0; i < records.count; i++) {
        struct record *record = &records.at[i];
        struct span bytes = {evil, sizeof(evil) - 1};
        if (record->type == RECORD_WORKER) {
            record->text[WORKER_NAME] = bytes;
        } else if (record->type == RECORD_FAIL) {
            record->text[STEP_TEXT] = bytes;
        } else if (record->type == RECORD_SUBMIT) {
            record->text[SUBMIT_UNIQ] = i == 6 ? bytes : (struct span){NULL, 0};
            record->text[SUBMIT_PAYLOAD] = bytes;
        } else if (record->type == RECORD_VOTE) {
            record->text[0] = bytes;
        }
    }
    forge_logged(disk.path, &records);
    return records.count;
}

Test(hostile_inspect, dump_forges_no_line_and_turns_no_terminal)
{
    uint64_t last = forge_evil_log();
    cr_expect_eq(run("dump", NULL), CODE_WHOLE, "%s", text);
    cr_expect(is_harmless(text), "%s", text);
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    cr_expect_eq(lines, last + 1, "a line for each record, and how the log ends: %zu", lines);
    cr_expect_not_null(strstr(text, "name=\"a\\r\\n7 0 VOTE option=1 \\x1B[2J \\xC2\\x9B31m \\x7F "
                                    "\\xE2\\x80\\xAE \\xFF\\\"\\\\\""),
                       "%s", text);
}

Test(hostile_inspect, json_has_no_control_characters_either)
{
    struct forge_records records;
    forge_records(&records);
    records.at[5].text[WORKER_NAME] = (struct span)TEXT("C1 \xc2\x9b DEL \x7f turn \xe2\x80\xae");
    forge_logged(disk.path, &records);
    cr_expect_eq(run("dump", "--json"), CODE_WHOLE, "%s", text);
    cr_expect(is_harmless(text), "%s", text);
    cr_expect_not_null(strstr(text, "\"name\":\"C1 \\u009b DEL \\u007f turn \\u202e\""), "%s",
                       text);
    log_dir_unlink(&disk, log_dir_segment(1));
    (void)forge_evil_log();
    cr_expect_eq(run("dump", "--json"), CODE_WHOLE, "%s", text);
    cr_expect(is_harmless(text), "%s", text);
}
