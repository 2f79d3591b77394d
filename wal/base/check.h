/* Assertions: CHECK is always on, DCHECK in debug builds; neither on input, allocation or with side
 * effects. */
#ifndef TALLY_WAL_BASE_CHECK_H
#define TALLY_WAL_BASE_CHECK_H

/* Prints the place and the condition, then ends the process with exit code 70 (a bug of tally).
 * Does not return. */
_Noreturn void tally_check_failed(const char *file, int line, const char *what);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0)) {                                                        \
            tally_check_failed(__FILE__, __LINE__, #cond);                                         \
        }                                                                                          \
    } while (0)

#ifdef TALLY_DEBUG
#define DCHECK(cond) CHECK(cond)
#else
#define DCHECK(cond) ((void)sizeof(cond))
#endif

#endif
