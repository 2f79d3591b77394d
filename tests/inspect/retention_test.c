/* tally-wal on a log whose beginning retention removes, before or during the reading: replay goes
 * on behind the oldest snapshot, a reading begins anew or says what it has missed. */
#include "tests/inspect/retention.h"

#include "engine/apply/digest.h"
#include "engine/apply/snapshot_load.h"
#include "engine/tally.h"
#include "tests/lib/count.h"
#include "tests/lib/files.h"
#include "tools/tally-wal/inspector.h"
#include "tools/tally-wal/moment.h"
#include "tools/tally-wal/newdir.h"
#include "wal/base/err.h"
#include "wal/format/snapshot.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CODE_DAMAGE = 5, CODE_USAGE = 64, CODE_CUT = 75, UNTIL_MAX = 32 };

static struct cut cut;
static char into[192];

static void setup(void)
{
    cut_init(&cut);
    snprintf(into, sizeof(into), "%s-new", cut.disk.path);
}

static void teardown(void)
{
    files_remove_tree(into);
    cut_fini(&cut);
}

TestSuite(inspect_cut, .init = setup, .fini = teardown);

/* Replays. Returns the output; the caller frees. */
static char *replay(const char *until, int code)
{
    char *text;
    const char *const args[] = {"replay", cut.disk.path, "--until", until, "--into", into, NULL};
    int got = made_run_all(&text, args);
    cr_assert_eq(got, code, "--until %s: exit code %d: %s", until, got, text);
    cr_assert_eq(access(into, F_OK) == 0, code == 0);
    return text;
}

/* Replays, and expects a directory that a start takes to the state at lsn, with the history behind
 * that snapshot. */
static void expect_state(const char *until, uint64_t lsn, uint64_t snapshot_lsn)
{
    struct wal_report report;
    free(replay(until, 0));
    cr_expect_eq(made_run(NULL, (const char *const[]){"verify", into, NULL}), 0);
    cr_expect_eq(cut_start(into, &report), cut.digests[lsn], "--until %s", until);
    cr_expect_eq(report.snapshot_lsn, snapshot_lsn);
    cr_expect_eq(report.next_lsn, lsn + 1);
    /* the log that this start has left can be read, too */
    cr_expect_eq(cut_start(into, &report), cut.digests[lsn], "--until %s, again", until);
    files_remove_tree(into);
}

static void expect_lsn(uint64_t lsn, uint64_t snapshot_lsn)
{
    char until[UNTIL_MAX];
    snprintf(until, sizeof(until), "%" PRIu64, lsn);
    expect_state(until, lsn, snapshot_lsn);
}

Test(inspect_cut, until_an_lsn_it_is_the_state_of_then)
{
    static const uint64_t lsns[] = {CUT_OLDER_LSN,      CUT_OLDER_LSN + 1,  CUT_OLDER_LSN + 2,
                                    CUT_OLDER_LSN + 3,  CUT_NEWEST_LSN - 1, CUT_NEWEST_LSN,
                                    CUT_NEWEST_LSN + 1, CUT_LAST_LSN - 1,   CUT_LAST_LSN};
    cut_retain(&cut, CUT_OLDER_LSN);
    for (size_t i = 0; i < COUNT_OF(lsns); i++) {
        expect_lsn(lsns[i], CUT_OLDER_LSN);
    }
}

Test(inspect_cut, until_a_time_it_is_the_state_of_then)
{
    char until[UNTIL_MAX];
    cut_retain(&cut, CUT_OLDER_LSN);
    /* the snapshot is in the middle of a block, whose records have one time: all are taken */
    for (unsigned block = CUT_OLDER_LSN / 3; block <= CUT_BLOCKS; block += 13) {
        snprintf(until, sizeof(until), "%" PRIu64 "ms", cut_time_ms(block) + 999);
        expect_state(until, 3 * (uint64_t)block + 2, CUT_OLDER_LSN);
    }
    expect_state("2030-01-01T00:00:00Z", CUT_LAST_LSN, CUT_OLDER_LSN);
}

Test(inspect_cut, a_moment_before_the_oldest_is_64_and_names_the_earliest)
{
    char until[UNTIL_MAX];
    char time[MOMENT_TEXT_BYTES];
    char wanted[96];
    cut_retain(&cut, CUT_OLDER_LSN);
    moment_format(time, cut_time_ms(CUT_OLDER_LSN / 3));
    snprintf(wanted, sizeof(wanted), "record %d, at %s", CUT_OLDER_LSN, time);
    snprintf(until, sizeof(until), "%d", CUT_OLDER_LSN - 1);
    char *by_lsn = replay(until, CODE_USAGE);
    cr_expect_not_null(strstr(by_lsn, wanted), "%s", by_lsn);
    snprintf(until, sizeof(until), "%" PRIu64 "ms", cut_time_ms(CUT_OLDER_LSN / 3) - 1);
    char *by_time = replay(until, CODE_USAGE);
    cr_expect_not_null(strstr(by_time, wanted), "%s", by_time);
    free(by_lsn);
    free(by_time);
    snprintf(until, sizeof(until), "%d", CUT_LAST_LSN + 1);
    free(replay(until, CODE_USAGE));
}

Test(inspect_cut, a_damaged_oldest_snapshot_is_passed_over)
{
    char until[UNTIL_MAX];
    cut_retain(&cut, CUT_OLDER_LSN);
    cut_spoil(&cut, CUT_OLDER_LSN);
    expect_lsn(CUT_NEWEST_LSN, CUT_NEWEST_LSN);
    expect_lsn(CUT_LAST_LSN, CUT_NEWEST_LSN);
    snprintf(until, sizeof(until), "%d", CUT_NEWEST_LSN - 1);
    free(replay(until, CODE_USAGE));
    cut_spoil(&cut, CUT_NEWEST_LSN);
    char *text = replay("100", CODE_DAMAGE);
    cr_expect_not_null(strstr(text, "no snapshot that can be read"), "%s", text);
    free(text);
}

Test(inspect_cut, without_a_snapshot_for_the_beginning_it_is_damaged)
{
    static const char *const commands[] = {"verify", "stat", "dump"};
    cut_retain(&cut, CUT_OLDER_LSN);
    cut_spoil(&cut, CUT_OLDER_LSN);
    cut_spoil(&cut, CUT_NEWEST_LSN);
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        char *text;
        const char *const args[] = {commands[i], cut.disk.path, NULL};
        cr_expect_eq(made_run_all(&text, args), CODE_DAMAGE, "%s: %s", commands[i], text);
        cr_expect_not_null(strstr(text, "no snapshot that can be read"), "%s", text);
        free(text);
    }
}

/* A torn tail of a log without its beginning is repaired like any other: the last block is half
 * written, and there is no seal. */
Test(inspect_cut, repair_mends_what_is_left)
{
    static const unsigned char zeros[WAL_PAGE_BYTES];
    enum { SEGMENT = CUT_BLOCKS / 14 + 1, PAGE = CUT_BLOCKS % 14 + 1, HALF = 70 };
    const char *const repair[] = {"repair", cut.disk.path, NULL};
    const char *const verify[] = {"verify", cut.disk.path, NULL};
    char *text;
    cut_retain(&cut, CUT_OLDER_LSN);
    cr_assert_eq(made_run_all(&text, repair), 0, "%s", text);
    cr_expect_not_null(strstr(text, "nothing to repair"), "%s", text);
    free(text);
    log_dir_poke(&cut.disk, log_dir_segment(SEGMENT), PAGE * WAL_PAGE_BYTES + HALF, zeros,
                 WAL_PAGE_BYTES - HALF);
    log_dir_poke(&cut.disk, log_dir_segment(SEGMENT), (PAGE + 1) * WAL_PAGE_BYTES, zeros,
                 WAL_PAGE_BYTES);
    log_dir_truncate(&cut.disk, log_dir_segment(SEGMENT), log_dir_head(&cut.disk, SEGMENT).bytes);
    cr_assert_eq(made_run_all(&text, verify), 4, "%s", text);
    free(text);
    cr_assert_eq(made_run_all(&text, repair), 0, "%s", text);
    cr_expect_not_null(strstr(text, "kept in torn-"), "%s", text);
    free(text);
    cr_assert_eq(made_run_all(&text, verify), 0, "%s", text);
    free(text);
}

Test(inspect_cut, a_log_that_has_its_beginning_is_copied_in_full)
{
    char *text;
    cut_spoil(&cut, CUT_OLDER_LSN);
    expect_lsn(5, 0);
    expect_lsn(CUT_LAST_LSN, 0);
    free(replay("20", 0));
    cr_expect_eq(made_run(&text, (const char *const[]){"dump", into, NULL}), 0);
    cr_expect(strncmp(text, "1 ", 2) == 0, "%s", text);
    free(text);
}

/* A replay of a replay gives the same log. */
Test(inspect_cut, a_copy_is_a_log_like_any_other)
{
    struct tally *tally;
    struct tally_report report;
    char again[256];
    char until[UNTIL_MAX];
    cut_retain(&cut, CUT_OLDER_LSN);
    snprintf(until, sizeof(until), "%d", CUT_NEWEST_LSN);
    free(replay(until, 0));
    snprintf(again, sizeof(again), "%s-again", into);
    snprintf(until, sizeof(until), "%d", CUT_NEWEST_LSN - 5);
    const char *const args[] = {"replay", into, "--until", until, "--into", again, NULL};
    cr_assert_eq(made_run(NULL, args), 0);
    struct wal_report found;
    cr_expect_eq(cut_start(again, &found), cut.digests[CUT_NEWEST_LSN - 5]);
    const struct tally_options options = {.dir = again, .edges = 1};
    cr_assert_eq(tally_open(&tally, &options, &report), 0, "%s", report.text);
    cr_expect(report.lsn == CUT_NEWEST_LSN - 5 && report.snapshot_lsn == CUT_OLDER_LSN);
    cr_expect_eq(tally_close(tally), 0);
    files_remove_tree(again);
}

/* ---- while it is read ---- */

Test(inspect_cut, what_has_seen_nothing_yet_begins_anew)
{
    struct inspector *inspector = inspector_new(cut.disk.path, "reading");
    cr_assert(inspector != NULL && inspector->first_lsn == 1 && inspector->snapshot_lsn == 0);
    cut_retain(&cut, CUT_OLDER_LSN);
    cr_assert_eq(inspector_run(inspector), 0, "%s", inspector->report.text);
    cr_expect(inspector->first_lsn == 42 && inspector->snapshot_lsn == CUT_OLDER_LSN);
    cr_expect_eq(digest_state(&inspector->state), cut.digests[CUT_LAST_LSN]);
    inspector_destroy(inspector);
}

/* The last lsn of the segments that are removed while record 5 is read. */
static uint64_t safe_lsn;

static int see(void *arg, const struct record *record, const struct apply_result *result)
{
    (void)arg;
    (void)result;
    if (record->lsn == 5) {
        cut_retain(&cut, safe_lsn);
    }
    return 0;
}

static int read_and_cut(struct inspector **inspector, uint64_t lsn)
{
    safe_lsn = lsn;
    *inspector = inspector_new(cut.disk.path, "reading");
    cr_assert_not_null(*inspector);
    (*inspector)->see = see;
    return inspector_run(*inspector);
}

Test(inspect_cut, a_segment_that_is_open_is_read_to_its_end)
{
    struct inspector *inspector;
    cr_expect_eq(read_and_cut(&inspector, CUT_OLDER_LSN), 0, "%s", inspector->report.text);
    cr_expect_eq(digest_state(&inspector->state), cut.digests[CUT_LAST_LSN]);
    inspector_destroy(inspector);
}

Test(inspect_cut, what_was_missed_is_named_and_is_75)
{
    struct inspector *inspector;
    int err = read_and_cut(&inspector, CUT_NEWEST_LSN);
    cr_expect_eq(err, TALLY_MISSED);
    cr_expect_eq(inspector_code(inspector, err), CODE_CUT);
    const char *text = inspector_text(inspector, err);
    cr_expect_not_null(strstr(text, "records 42 to 83 left the log by retention"), "%s", text);
    inspector_destroy(inspector);
}

Test(inspect_cut, a_snapshot_that_goes_before_it_is_copied_is_looked_for_again)
{
    struct newdir newdir;
    struct wal_io *io;
    char name[WAL_NAME_BYTES];
    cr_assert_eq(wal_file_io_new(&io, cut.disk.path, 0), 0);
    wal_snapshot_name(name, CUT_OLDER_LSN);
    log_dir_unlink(&cut.disk, name);
    cr_expect_eq(newdir_begin(&newdir, into, io, CUT_OLDER_LSN), NEWDIR_AGAIN);
    cr_expect_neq(access(into, F_OK), 0);
    io->ops->destroy(io);
}
