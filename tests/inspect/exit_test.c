/* The exit codes of tally-wal, as its --help lists them; and the changes that repair makes. */
#include "tests/inspect/made.h"
#include "tests/lib/count.h"
#include "tests/lib/proc.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CODE_WHOLE = 0, CODE_TORN = 4, CODE_DAMAGE = 5, CODE_USAGE = 64, CODE_MISSING = 66 };
enum { CODE_IN_USE = 73, CODE_UNREADABLE = 74 };
enum { PAGE = 4096, FILES_MAX = 16 };

static struct log_dir disk;

static void setup(void)
{
    made_scene(&disk);
}

static void teardown(void)
{
    log_dir_fini(&disk);
}

TestSuite(inspect_exit, .init = setup, .fini = teardown);

/* made_scene has written one page each: the header, the blocks of lsn 1, 4, 6, 9, 10, 11, 12, and
 * the seal. */
enum { PAGE_OF_6 = 3, PAGE_OF_12 = 7, PAGE_OF_SEAL = 8 };

/* Tears the log as a crash in the last write does: half of a block, then zeros. */
static void tear(void)
{
    static const unsigned char zeros[PAGE];
    log_dir_poke(&disk, log_dir_segment(1), PAGE_OF_12 * PAGE + 70, zeros, PAGE - 70);
    log_dir_poke(&disk, log_dir_segment(1), PAGE_OF_SEAL * PAGE, zeros, PAGE);
    log_dir_truncate(&disk, log_dir_segment(1), log_dir_head(&disk, 1).bytes);
}

/* Flips a bit of a block that a later one calls durable. */
static void damage(void)
{
    log_dir_flip(&disk, log_dir_segment(1), (PAGE_OF_6 * PAGE + 80) * 8);
}

/* A valid block whose records contradict the state before them. */
static void contradict(void)
{
    const struct record record = {.type = RECORD_VOTE, .num = {1, 99, 1}};
    log_dir_fini(&disk);
    made_init(&disk);
    made_block(&disk, MADE_MS, &record, 1);
    log_dir_close_clean(&disk);
}

static void leave_out_first(void)
{
    log_dir_store(&disk, log_dir_segment(2), "", 0);
    log_dir_unlink(&disk, log_dir_segment(1));
}

static int run(const char *const *args)
{
    char *text;
    int code = made_run_all(&text, args);
    free(text);
    return code;
}

static void expect_codes(const char *what, int code)
{
    static const char *const commands[] = {"dump", "stat", "verify"};
    for (size_t i = 0; i < 3; i++) {
        int got = run((const char *const[]){commands[i], disk.path, NULL});
        cr_expect_eq(got, code, "%s of %s: exit code %d", commands[i], what, got);
        got = run((const char *const[]){commands[i], "--json", disk.path, NULL});
        cr_expect_eq(got, code, "%s --json of %s: exit code %d", commands[i], what, got);
    }
}

Test(inspect_exit, reading_a_whole_log_is_0)
{
    expect_codes("a whole log", CODE_WHOLE);
}

Test(inspect_exit, reading_a_torn_log_is_4)
{
    tear();
    expect_codes("a torn log", CODE_TORN);
}

Test(inspect_exit, reading_a_damaged_log_is_5)
{
    damage();
    expect_codes("a damaged log", CODE_DAMAGE);
}

Test(inspect_exit, reading_a_log_that_contradicts_itself_is_5)
{
    contradict();
    expect_codes("a log that contradicts itself", CODE_DAMAGE);
}

Test(inspect_exit, reading_a_log_that_does_not_begin_at_1_is_5)
{
    leave_out_first();
    expect_codes("a log without its beginning", CODE_DAMAGE);
}

Test(inspect_exit, a_directory_that_is_not_there_is_74)
{
    static const char *const commands[] = {"dump", "stat", "verify", "repair"};
    for (size_t i = 0; i < 4; i++) {
        int got = run((const char *const[]){commands[i], "/nonexistent/data", NULL});
        cr_expect_eq(got, CODE_UNREADABLE, "%s: exit code %d", commands[i], got);
    }
}

/* A check of the wrong directory must not end with 0. */
Test(inspect_exit, a_directory_without_a_log_is_66)
{
    struct log_dir empty;
    char *text;
    log_dir_init(&empty);
    for (size_t i = 0; i < 4; i++) {
        static const char *const commands[] = {"dump", "stat", "verify", "repair"};
        int got = made_run_all(&text, (const char *const[]){commands[i], empty.path, NULL});
        cr_expect_eq(got, CODE_MISSING, "%s: exit code %d", commands[i], got);
        cr_expect_str_eq(text, "tally-wal: there is no log yet\n", "%s: %s", commands[i], text);
        free(text);
    }
    char into[sizeof(empty.path) + 8];
    snprintf(into, sizeof(into), "%s/new", empty.path);
    int got = run((const char *const[]){"replay", "--until=5", "--into", into, empty.path, NULL});
    cr_expect_eq(got, CODE_MISSING, "replay: exit code %d", got);
    cr_expect_eq(made_run(&text, (const char *const[]){"verify", "--json", empty.path, NULL}), 66);
    cr_expect_not_null(strstr(text, "\"result\":\"missing\",\"exit\":66"), "%s", text);
    free(text);
    cr_expect_eq(rmdir(empty.path), 0, "something was made there");
}

/* A dump that ends before the damage, because it has all records asked for, ends with 0. */
Test(inspect_exit, a_dump_that_ends_before_the_damage_is_0)
{
    damage();
    cr_expect_eq(run((const char *const[]){"dump", "--to", "5", disk.path, NULL}), CODE_WHOLE);
    cr_expect_eq(run((const char *const[]){"dump", "--to", "6", disk.path, NULL}), CODE_DAMAGE);
    cr_expect_eq(run((const char *const[]){"dump", "--follow", disk.path, NULL}), CODE_DAMAGE);
    cr_expect_eq(run((const char *const[]){"dump", "--follow", "--to", "5", disk.path, NULL}), 0);
}

Test(inspect_exit, an_output_that_cannot_be_written_is_74)
{
    static const char *const commands[] = {"dump", "stat", "verify"};
    for (size_t i = 0; i < 3; i++) {
        const char *argv[] = {"sh",
                              "-c",
                              "exec \"$0\" \"$1\" \"$2\" >/dev/full",
                              getenv("TALLY_WAL"),
                              commands[i],
                              disk.path,
                              NULL};
        int code = proc_run(argv, NULL);
        cr_expect_eq(code, CODE_UNREADABLE, "%s: exit code %d", commands[i], code);
    }
}

static const char *const wrong[][6] = {
    {NULL},
    {"dump"},
    {"look", "DIR"},
    {"dump", "DIR", "DIR"},
    {"dump", "--nothing", "DIR"},
    {"dump", "--from", "x", "DIR"},
    {"dump", "--from", "0", "DIR"},
    {"dump", "--to", "18446744073709551616", "DIR"},
    {"dump", "--since", "yesterday", "DIR"},
    {"dump", "--since", "2026-02-30T10:00:00Z", "DIR"},
    {"dump", "--until", "2026-11-21T10:00:00", "DIR"},
    {"dump", "--type", "VOTE,NOTE", "DIR"},
    {"dump", "--type", "", "DIR"},
    {"dump", "--option", "12abc", "DIR"},
    {"dump", "--option", "no poll/label", "DIR"},
    {"dump", "--build", "-1", "DIR"},
    {"stat", "--follow", "DIR"},
    {"verify", "--from", "1", "DIR"},
    {"repair", "--json", "DIR"},
    {"replay", "DIR"},
    {"replay", "DIR", "--until", "5"},
    {"replay", "DIR", "--into", "NEW"},
    {"replay", "DIR", "--until", "0", "--into=NEW"},
};

Test(inspect_exit, wrong_usage_is_64)
{
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        const char *args[7] = {NULL};
        for (size_t k = 0; k < 6 && wrong[i][k] != NULL; k++) {
            args[k] = strcmp(wrong[i][k], "DIR") == 0 ? disk.path : wrong[i][k];
        }
        int code = run(args);
        cr_expect_eq(code, CODE_USAGE, "case %zu (%s %s): exit code %d", i, args[0], args[1], code);
    }
}

Test(inspect_exit, help_of_each_command_tells_its_exit_codes)
{
    static const char *const commands[] = {"dump", "stat", "verify", "repair", "replay"};
    char *text;
    for (size_t i = 0; i < 5; i++) {
        cr_expect_eq(made_run(&text, (const char *const[]){commands[i], "--help", NULL}), 0);
        cr_expect_not_null(strstr(text, "Exit codes: 0"), "%s", commands[i]);
        free(text);
    }
    cr_expect_eq(made_run(&text, (const char *const[]){"--help", NULL}), 0);
    for (size_t i = 0; i < 5; i++) {
        cr_expect_not_null(strstr(text, commands[i]), "%s", commands[i]);
    }
    free(text);
    cr_expect_eq(run((const char *const[]){"--version", NULL}), 0);
}

/* ---- repair ---- */

struct dir_contents {
    char *names[FILES_MAX];
    unsigned char *bytes[FILES_MAX];
    size_t lens[FILES_MAX];
    size_t count;
};

static void take(struct dir_contents *snapshot)
{
    struct dirent **entries;
    int found = scandir(disk.path, &entries, NULL, alphasort);
    *snapshot = (struct dir_contents){.count = 0};
    for (int i = 0; i < found; i++) {
        if (entries[i]->d_name[0] != '.') {
            size_t at = snapshot->count++;
            cr_assert_lt(at, FILES_MAX);
            snapshot->names[at] = strdup(entries[i]->d_name);
            snapshot->bytes[at] = log_dir_load(&disk, entries[i]->d_name, &snapshot->lens[at]);
        }
        free(entries[i]);
    }
    free(entries);
}

/* Expects unchanged files since the snapshot, and frees it. */
static void expect_same(struct dir_contents *before)
{
    struct dir_contents after;
    take(&after);
    cr_expect_eq(before->count, after.count, "%zu files, and there were %zu", after.count,
                 before->count);
    for (size_t i = 0; i < before->count && before->count == after.count; i++) {
        cr_expect_str_eq(before->names[i], after.names[i]);
        cr_expect(before->lens[i] == after.lens[i] &&
                      memcmp(before->bytes[i], after.bytes[i], after.lens[i]) == 0,
                  "%s has changed", after.names[i]);
    }
    for (size_t i = 0; i < after.count; i++) {
        free(after.names[i]);
        free(after.bytes[i]);
    }
    for (size_t i = 0; i < before->count; i++) {
        free(before->names[i]);
        free(before->bytes[i]);
    }
}

static void expect_repair_leaves(int code, const char *word)
{
    struct dir_contents before;
    char *text;
    take(&before);
    int got = made_run_all(&text, (const char *const[]){"repair", disk.path, NULL});
    cr_expect_eq(got, code, "exit code %d: %s", got, text);
    cr_expect_not_null(strstr(text, word), "'%s' is not in: %s", word, text);
    free(text);
    expect_same(&before);
}

Test(inspect_exit, repair_of_a_whole_log_changes_nothing_and_says_so)
{
    expect_repair_leaves(CODE_WHOLE, "nothing to repair");
}

Test(inspect_exit, repair_of_a_damaged_log_changes_nothing_and_says_so)
{
    damage();
    expect_repair_leaves(CODE_DAMAGE, "nothing was changed");
}

Test(inspect_exit, repair_of_a_log_that_contradicts_itself_changes_nothing)
{
    contradict();
    expect_repair_leaves(CODE_DAMAGE, "contradicts");
}

Test(inspect_exit, repair_of_a_log_without_its_beginning_changes_nothing)
{
    leave_out_first();
    expect_repair_leaves(CODE_DAMAGE, "missing");
}

Test(inspect_exit, repair_while_somebody_has_the_directory_is_73)
{
    tear();
    struct wal_io *io;
    cr_assert_eq(wal_file_io_new(&io, disk.path, 0), 0);
    cr_assert_eq(io->ops->lock(io, "LOCK"), 0);
    expect_repair_leaves(CODE_IN_USE, "in use");
    io->ops->destroy(io);
}

Test(inspect_exit, repair_cuts_a_torn_tail_and_keeps_its_bytes)
{
    tear();
    size_t len;
    unsigned char *torn = log_dir_load(&disk, log_dir_segment(1), &len);
    char *text;
    cr_assert_eq(made_run_all(&text, (const char *const[]){"repair", disk.path, NULL}), 0);
    cr_expect_not_null(strstr(text, "repaired: "), "%s", text);
    cr_expect_not_null(strstr(text, "torn-12.bin"), "%s", text);
    free(text);

    size_t kept_len;
    unsigned char *kept = log_dir_load(&disk, "torn-12.bin", &kept_len);
    cr_expect_eq(kept_len, PAGE);
    cr_expect(memcmp(kept, torn + PAGE_OF_12 * PAGE, kept_len) == 0);
    free(kept);

    unsigned char *mended = log_dir_load(&disk, log_dir_segment(1), &kept_len);
    memset(torn + PAGE_OF_12 * PAGE, 0, PAGE);
    cr_expect(kept_len == len && memcmp(mended, torn, len) == 0, "more than the tail has changed");
    free(mended);
    free(torn);

    expect_codes("a repaired log", CODE_WHOLE);
    cr_expect_eq(made_run(&text, (const char *const[]){"dump", "--from", "11", disk.path, NULL}),
                 0);
    cr_expect(strncmp(text, "11 ", 3) == 0 && strstr(text, "\n12 ") == NULL, "%s", text);
    free(text);
    expect_repair_leaves(CODE_WHOLE, "nothing to repair");
}

/* A crash while an unused segment gets its new header leaves it without one. */
Test(inspect_exit, repair_writes_a_torn_header_of_an_empty_segment_anew)
{
    static const unsigned char zeros[PAGE];
    unsigned char *blank = calloc(1, WAL_SEGMENT_BYTES_MIN);
    log_dir_store(&disk, log_dir_segment(2), blank, WAL_SEGMENT_BYTES_MIN);
    free(blank);
    log_dir_poke(&disk, log_dir_segment(2), 0, zeros, sizeof(zeros));
    expect_codes("a torn header", CODE_TORN);
    cr_expect_eq(run((const char *const[]){"repair", disk.path, NULL}), 0);
    cr_expect_eq(log_dir_head(&disk, 2).number, 2);
    expect_codes("a repaired header", CODE_WHOLE);
    expect_repair_leaves(CODE_WHOLE, "nothing to repair");
}
