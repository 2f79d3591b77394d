/* EXPECT: the one assertion of all that Criterion does not run, and of what all tests share. */
#ifndef TALLY_TESTS_LIB_EXPECT_H
#define TALLY_TESTS_LIB_EXPECT_H

#include <stdbool.h>
#include <stdio.h>

/* Unless `cond` holds: prints the reason and ends the test as failed. In a program of check.h the
 * next test follows; elsewhere, and from any thread but the first, the process ends with exit code
 * 1, which Criterion, too, counts as failed. Threads: any. */
#define EXPECT(cond, ...) ((cond) ? (void)0 : expect_fail(__FILE__, __LINE__, #cond, __VA_ARGS__))

_Noreturn void expect_fail(const char *file, int line, const char *cond, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Calls `fn` once the reason is printed, before the process ends; it need not return. One only. */
void expect_on_fail(void (*fn)(void));

/* Prints reasons there instead of on standard error. Borrowed. */
void expect_print_to(FILE *out);

#endif
