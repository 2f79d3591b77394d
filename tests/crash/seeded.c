/* The seeded bug of a program that has just this one. */
#include "wal/base/mutant.h"

int tally_mutant = MUTANT_SEGMENT_REMOVED_EARLY;
