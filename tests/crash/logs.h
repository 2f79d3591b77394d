/* The logs to be damaged, and the kinds of damage: one list for the suite and for the mutants. */
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

/* Does every kind of damage to every log; with is_short no bits are flipped. Prints a line for each
 * log to `out`, if that is not NULL. */
void logs_damage(struct logs_total *total, bool is_short, FILE *out);

#endif
