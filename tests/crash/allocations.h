/* The allocators of the C library, wrapped (--wrap) so that a test can let them fail. */
#ifndef TALLY_TESTS_CRASH_ALLOCATIONS_H
#define TALLY_TESTS_CRASH_ALLOCATIONS_H

#include <stdbool.h>

/* Defined by the test: whether the present allocation fails. Any thread. */
bool allocation_fails(void);

#endif
