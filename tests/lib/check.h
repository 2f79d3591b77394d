/* A program of tests: a table of sentences with a function each, and the runner. */
#ifndef TALLY_TESTS_LIB_CHECK_H
#define TALLY_TESTS_LIB_CHECK_H

#include "tests/lib/count.h"
#include "tests/lib/expect.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check_test {
    const char *name; /* a sentence: what holds */
    void (*run)(void);
};

/* Runs the tests named on the command line, or all; `--list` only names them. `--word value` pairs
 * are left to check_option. One line per test. Returns the exit code: 0 all passed, 1 one failed,
 * 77 none failed and one was skipped, 64 usage. */
int check_main(int argc, char **argv, const struct check_test *tests, size_t test_count);

/* Returns the number behind `name` on the command line, or `otherwise`. */
uint64_t check_option(int argc, char **argv, const char *name, uint64_t otherwise);

/* Calls `fn` after every test, and before the process ends in the middle of one, with how the test
 * went. Up to 8 of them. */
void check_at_end(void (*fn)(bool failed));

/* Ends the running test as skipped: the machine lacks what it needs, and `format` says what.
 * Threads: the first. */
_Noreturn void check_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
