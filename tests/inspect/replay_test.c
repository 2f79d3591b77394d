/* tally-wal replay: the new log ends at the given moment with the same records, or none is made. */
#include "tests/inspect/made.h"
#include "tests/lib/files.h"
#include "tests/lib/wait.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { CODE_DAMAGE = 5, CODE_USAGE = 64, CODE_IN_USE = 73, CODE_UNREADABLE = 74, PAGE = 4096 };

static struct log_dir disk;
static char home[160];
static char into[192];

static void setup(void)
{
    made_scene(&disk);
    snprintf(home, sizeof(home), "%s-home", disk.path);
    cr_assert_eq(mkdir(home, 0700), 0);
    snprintf(into, sizeof(into), "%s/new", home);
}

static void teardown(void)
{
    log_dir_fini(&disk);
    files_remove_tree(home);
}

TestSuite(inspect_replay, .init = setup, .fini = teardown);

static int replay(const char *until)
{
    char *text;
    int code = made_run_all(
        &text, (const char *const[]){"replay", disk.path, "--until", until, "--into", into, NULL});
    free(text);
    return code;
}

static char *dump(const char *dir, const char *to)
{
    char *text;
    int code = made_run(&text, (const char *const[]){"dump", "--json", "--to", to, dir, NULL});
    cr_assert_eq(code, 0, "exit code %d", code);
    return text;
}

/* Expects a whole new directory with exactly the first records of the old one. */
static void expect_first(const char *until, unsigned lsn)
{
    char last[16];
    int code = replay(until);
    cr_assert_eq(code, 0, "--until %s: exit code %d", until, code);
    snprintf(last, sizeof(last), "%u", lsn);
    char *wanted = dump(disk.path, last);
    char *got = dump(into, "1000");
    cr_expect_str_eq(got, wanted, "--until %s", until);
    free(wanted);
    free(got);
    cr_expect_eq(made_run(NULL, (const char *const[]){"verify", into, NULL}), 0);
    cr_expect_eq(files_count(home), 1, "something else was left behind");
    files_remove_tree(into);
}

Test(inspect_replay, until_any_lsn_inside_of_a_block_or_at_its_end)
{
    for (unsigned lsn = 1; lsn <= 12; lsn++) {
        char until[16];
        snprintf(until, sizeof(until), "%u", lsn);
        expect_first(until, lsn);
    }
}

Test(inspect_replay, until_a_time)
{
    expect_first("2026-11-21T10:00:00Z", 3);
    expect_first("2026-11-21T10:00:02.999Z", 8);
    expect_first("1795255204000ms", 10);
    expect_first("2030-01-01T00:00:00Z", 12);
}

static void expect_nothing(const char *until, int code)
{
    int got = replay(until);
    cr_expect_eq(got, code, "--until %s: exit code %d", until, got);
    cr_expect_eq(files_count(home), 0, "--until %s left something behind", until);
}

Test(inspect_replay, a_moment_that_the_log_does_not_have_is_64_and_makes_nothing)
{
    expect_nothing("13", CODE_USAGE);
    expect_nothing("2026-11-21T09:59:59.999Z", CODE_USAGE);
    expect_nothing("tomorrow", CODE_USAGE);
}

Test(inspect_replay, before_the_damage_it_works_and_behind_it_makes_nothing)
{
    log_dir_flip(&disk, log_dir_segment(1), (3 * PAGE + 80) * 8);
    expect_nothing("6", CODE_DAMAGE);
    expect_nothing("2030-01-01T00:00:00Z", CODE_DAMAGE);
    cr_assert_eq(replay("5"), 0);
    cr_expect_eq(made_run(NULL, (const char *const[]){"verify", into, NULL}), 0);
}

/* Without a snapshot the state of removed records is lost, so no later record can be applied. */
Test(inspect_replay, of_a_log_that_does_not_begin_at_1_makes_nothing)
{
    log_dir_store(&disk, log_dir_segment(2), "", 0);
    log_dir_unlink(&disk, log_dir_segment(1));
    expect_nothing("5", CODE_DAMAGE);
}

Test(inspect_replay, an_empty_directory_is_taken_and_a_filled_one_is_73)
{
    cr_assert_eq(mkdir(into, 0700), 0);
    cr_expect_eq(replay("5"), 0);
    char *before = dump(into, "1000");
    cr_expect_eq(replay("6"), CODE_IN_USE);
    char *after = dump(into, "1000");
    cr_expect_str_eq(before, after);
    cr_expect_eq(files_count(home), 1);
    free(before);
    free(after);
}

Test(inspect_replay, a_directory_that_cannot_be_made_is_74_and_one_that_is_something_else_is_73)
{
    snprintf(into, sizeof(into), "%s/none/new", home);
    cr_expect_eq(replay("5"), CODE_UNREADABLE);
    snprintf(into, sizeof(into), "/dev/null");
    cr_expect_eq(replay("5"), CODE_IN_USE);
}

/* Whenever the signal comes, there is a whole directory or none, and no temporary one. */
Test(inspect_replay, a_signal_leaves_nothing_half_made)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    signal(SIGHUP, SIG_DFL);
    for (unsigned run = 0; run < 30; run++) {
        const char *argv[] = {
            getenv("TALLY_WAL"), "replay", disk.path, "--until", "12", "--into", into, NULL};
        pid_t pid;
        int status;
        cr_assert_eq(posix_spawn(&pid, argv[0], NULL, NULL, (char **)(void *)argv, environ), 0);
        uint64_t deadline_ms = wait_now_ms() + run;
        while (wait_now_ms() < deadline_ms) {
            sched_yield();
        }
        kill(pid, signals[run % 3]);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        struct stat there;
        bool is_made = stat(into, &there) == 0;
        cr_expect_eq(files_count(home), is_made ? 1 : 0, "run %u left something behind", run);
        if (is_made) {
            cr_expect_eq(made_run(NULL, (const char *const[]){"verify", into, NULL}), 0);
            files_remove_tree(into);
        } else {
            cr_expect(WIFSIGNALED(status), "run %u: exit code %d", run, WEXITSTATUS(status));
        }
    }
}
