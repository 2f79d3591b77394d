/* What a failed EXPECT does. */
#include "tests/lib/expect.h"

#include <stdarg.h>
#include <unistd.h>

/*
 * ThreadSanitizer asks for this, and every program it runs has this file. urcu_qsbr_barrier hands a
 * counter to liburcu's helper thread, which frees it; the library is built without the sanitizer,
 * so the order between them is not seen.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:urcu_qsbr_barrier\n";
}

static void (*on_fail)(void);
static FILE *print_to;

void expect_on_fail(void (*fn)(void))
{
    on_fail = fn;
}

void expect_print_to(FILE *out)
{
    print_to = out;
}

void expect_fail(const char *file, int line, const char *cond, const char *format, ...)
{
    FILE *out = print_to != NULL ? print_to : stderr;
    va_list args;
    va_start(args, format);
    fputs("FAILED: ", out);
    vfprintf(out, format, args);
    fprintf(out, "\n  %s:%d: expected %s\n", file, line, cond);
    va_end(args);
    fflush(NULL);
    if (on_fail != NULL) {
        on_fail();
    }
    _exit(1);
}
