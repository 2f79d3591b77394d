/* The runner: one test at a time, a failed EXPECT jumps back to it. */
#include "tests/lib/check.h"

#include "tests/lib/wait.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { END_FNS_MAX = 8, EXIT_SKIPPED = 77, EXIT_BAD_USAGE = 64 };
enum outcome { PASSED, FAILED, SKIPPED };

/* All of it belongs to the first thread; static, so that the jump leaves it intact. */
static pthread_t first_thread;
static jmp_buf back_to_runner;
static bool test_is_running;
static void (*end_fns[END_FNS_MAX])(bool failed);
static size_t end_fn_count;

void check_at_end(void (*fn)(bool failed))
{
    for (size_t i = 0; i < end_fn_count; i++) {
        if (end_fns[i] == fn) {
            return;
        }
    }
    if (end_fn_count == END_FNS_MAX) {
        abort();
    }
    end_fns[end_fn_count++] = fn;
}

static void call_end_fns(bool failed)
{
    test_is_running = false;
    for (size_t i = end_fn_count; i > 0; i--) {
        end_fns[i - 1](failed);
    }
}

/* Reached with a running test only when the process ends in the middle of it. */
static void on_exit_call(void)
{
    if (test_is_running) {
        call_end_fns(true);
    }
}

/* A failed EXPECT: back to the runner, or the end of the process after the clean-up. */
static void fail_test(void)
{
    if (test_is_running && pthread_equal(pthread_self(), first_thread)) {
        longjmp(back_to_runner, (int)FAILED);
    }
    on_exit_call();
}

void check_skip(const char *format, ...)
{
    va_list args;
    printf("skipped: ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    if (!test_is_running) {
        exit(EXIT_SKIPPED);
    }
    longjmp(back_to_runner, (int)SKIPPED);
}

static enum outcome run_one(const struct check_test *test)
{
    test_is_running = true;
    int jumped = setjmp(back_to_runner);
    if (jumped == 0) {
        test->run();
    }
    enum outcome outcome = (enum outcome)jumped;
    call_end_fns(outcome == FAILED);
    return outcome;
}

static bool is_wanted(int argc, char **argv, const char *name)
{
    bool any_named = false;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            i++; /* an option of the program's own, with its value */
        } else if (strcmp(argv[i], name) == 0) {
            return true;
        } else {
            any_named = true;
        }
    }
    return !any_named;
}

int check_main(int argc, char **argv, const struct check_test *tests, size_t test_count)
{
    static const char *const words[] = {"passed", "FAILED", "skipped"};
    size_t counts[3] = {0, 0, 0};

    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < test_count; i++) {
            printf("%s\n", tests[i].name);
        }
        return 0;
    }
    first_thread = pthread_self();
    expect_on_fail(fail_test);
    atexit(on_exit_call);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < test_count; i++) {
        if (!is_wanted(argc, argv, tests[i].name)) {
            continue;
        }
        uint64_t start_ms = wait_now_ms();
        enum outcome outcome = run_one(&tests[i]);
        counts[outcome]++;
        printf("%s %s (%llu ms)\n", words[outcome], tests[i].name,
               (unsigned long long)(wait_now_ms() - start_ms));
        if (outcome == FAILED) {
            printf("  again: %s '%s'\n", argv[0], tests[i].name);
        }
    }
    if (counts[PASSED] + counts[FAILED] + counts[SKIPPED] == 0) {
        fprintf(stderr, "%s: no test of that name; --list names them\n", argv[0]);
        return EXIT_BAD_USAGE;
    }
    return counts[FAILED] != 0 ? 1 : counts[SKIPPED] != 0 ? EXIT_SKIPPED : 0;
}

uint64_t check_option(int argc, char **argv, const char *name, uint64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            char *end;
            uint64_t value = strtoull(argv[i + 1], &end, 10);
            EXPECT(end != argv[i + 1] && *end == '\0', "%s takes a number", name);
            return value;
        }
    }
    return otherwise;
}
