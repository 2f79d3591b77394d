/* The scripts that are explored: all short ones, and long ones from a seed. */
#ifndef TALLY_TESTS_CRASH_SCRIPTS_H
#define TALLY_TESTS_CRASH_SCRIPTS_H

#include "tests/crash/explore.h"

/* Every sequence of up to SCRIPTS_SHORT operations, on every kind of disk in turn; ends early
 * behind images_max images. */
enum { SCRIPTS_SHORT = 3 };
bool scripts_short(struct explorer *explorer, uint64_t images_max);

struct scripts_random {
    struct seed seed;
};

/* The next long script, with any disk, schedule and faults. */
void scripts_random_next(struct scripts_random *random, struct explorer *explorer);

#endif
