/* Mutants of a directory: valid checksums, and contents that a seed has spoiled. */
#ifndef TALLY_TESTS_HOSTILE_MUTATE_H
#define TALLY_TESTS_HOSTILE_MUTATE_H

#include "tests/lib/seed.h"

/* Makes one in dir, which is empty. */
void mutate(struct seed *seed, const char *dir);

/* files_temp_dir, in memory where the machine has such a place. */
void mutant_dir(char *path, size_t capacity);

/* From now on a mutant that takes longer than so many seconds, or fails an EXPECT, ends the program
 * with the command that makes it again. */
void mutant_begin(uint64_t seed, const char *command, unsigned seconds);

/* All went well: the end of the program tells nothing. */
void mutant_over(void);

/* The most memory that the process had, in MiB. */
uint64_t mutant_peak_mib(void);

#endif
