/* A made log: a test chooses its records, times and blocks, and runs tally-wal on it. */
#include "tests/inspect/made.h"

#include "engine/log/columns.h"
#include "tests/lib/proc.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { ARGS_MAX = 12 };

static int see_nothing(void *arg, const struct wal_block *block)
{
    (void)arg;
    (void)block;
    return 0;
}

void made_init(struct log_dir *disk)
{
    log_dir_init(disk);
    cr_assert_eq(wal_file_io_new(&disk->io, disk->path, 1), 0);
    struct wal_options options = {.io = disk->io, .segment_bytes = disk->segment_bytes};
    cr_assert_eq(wal_open(&disk->wal, &options, see_nothing, NULL, &disk->report), 0);
}

void made_block(struct log_dir *disk, uint64_t time_ms, const struct record *records, size_t count)
{
    struct columns columns = {.count = 0};
    const unsigned char *raw;
    size_t len;
    columns_begin(&columns, time_ms);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(columns_add(&columns, &records[i]), 0);
    }
    cr_assert_eq(columns_end(&columns, &raw, &len), 0);
    cr_assert_eq(wal_append(disk->wal, (uint32_t)count, raw, len), 0, "%s", wal_why(disk->wal));
    columns_fini(&columns);
}

#define BLOCK(disk, second, ...)                                                                   \
    made_block(disk, MADE_MS + (second)*1000, (const struct record[]){__VA_ARGS__},                \
               sizeof((const struct record[]){__VA_ARGS__}) / sizeof(struct record))

void made_scene(struct log_dir *disk)
{
    static const char bytes[] = {'\xff', '\0', '"'};
    made_init(disk);
    BLOCK(disk, 0, {.type = RECORD_POLL, .text = {SPAN("p")}},
          {.type = RECORD_OPTION, .text = {SPAN("p"), SPAN("A"), SPAN("a")}},
          {.type = RECORD_OPTION, .text = {SPAN("p"), SPAN("\"ü\""), SPAN("\"ü\"")}});
    BLOCK(disk, 1, {.type = RECORD_VOTE, .num = {1, 0, 5}},
          {.type = RECORD_VOTE, .num = {2, 0, 1}});
    BLOCK(disk, 2, {.type = RECORD_WORKER, .num = {1}, .text = {SPAN("w")}},
          {.type = RECORD_SUBMIT,
           .num = {5, 0, 1000, 3},
           .text = {SPAN("q"), {NULL, 0}, {NULL, 0}, {bytes, sizeof(bytes)}}},
          {.type = RECORD_SUBMIT,
           .num = {5, 0, 1000, 3},
           .text = {SPAN("q"), {NULL, 0}, {NULL, 0}, SPAN("make app")}});
    BLOCK(disk, 3, {.type = RECORD_CLAIM, .num = {1, 0x10000001, 0x30000002, 1, 1000}});
    BLOCK(disk, 4, {.type = RECORD_VOTE, .num = {1, 5, 2}});
    BLOCK(disk, 5, {.type = RECORD_DONE, .num = {1, 0x30000002, 0x50000003}, .text = {SPAN("ok")}});
    BLOCK(disk, 6, {.type = RECORD_VOTE, .num = {1, 7, 1}, .text = {SPAN("v")}});
    log_dir_close_clean(disk);
}

static int run(char **out, const char *const *before, const char *const *args)
{
    const char *argv[ARGS_MAX + 6];
    const char *tool = getenv("TALLY_WAL");
    size_t used = 0;
    cr_assert_not_null(tool, "TALLY_WAL is not set: it names the log inspector");
    for (; *before != NULL; before++) {
        argv[used++] = *before;
    }
    argv[used++] = tool;
    for (size_t i = 0; args[i] != NULL; i++) {
        cr_assert(i < ARGS_MAX, "too many arguments");
        argv[used++] = args[i];
    }
    argv[used] = NULL;
    return proc_run(argv, out);
}

int made_run(char **out, const char *const *args)
{
    return run(out, (const char *const[]){NULL}, args);
}

int made_run_all(char **out, const char *const *args)
{
    return run(out, (const char *const[]){"sh", "-c", "exec \"$0\" \"$@\" 2>&1", NULL}, args);
}
