/* The logs that are damaged, and what is done to them: one list for the suite and for the mutants.
 */
#ifndef TALLY_TESTS_CRASH_LOGS_H
#define TALLY_TESTS_CRASH_LOGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct logs_total {
    uint64_t cases;
    uint64_t right;
    uint64_t refused;
    uint64_t shortened;
    bool failed;
    char text[1024];
};

/* Every kind of damage to every log; with is_short the bits are left out. Prints a line for each
 * log to `out`, if there. */
void logs_damage(struct logs_total *total, bool is_short, FILE *out);

#endif
