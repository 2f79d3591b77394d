/* The allocators of the C library, with the test in front of them (--wrap). */
#ifndef TALLY_TESTS_CRASH_ALLOCATIONS_H
#define TALLY_TESTS_CRASH_ALLOCATIONS_H

#include <stdbool.h>

/* The test's: whether the allocation that is asked for now fails. Any thread. */
bool allocation_fails(void);

#endif
