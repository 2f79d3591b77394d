/* Mutants of a directory: valid checksums, and contents that a seed has spoiled. */
#ifndef TALLY_TESTS_HOSTILE_MUTATE_H
#define TALLY_TESTS_HOSTILE_MUTATE_H

#include "tests/lib/seed.h"

/* Makes a mutant in dir, which is empty. */
void mutate(struct seed *seed, const char *dir);

/* As files_temp_dir, but in memory where the machine has a file system there. */
void mutant_dir(char *path, size_t capacity);

/* From now on a mutant that takes longer than so many seconds, or fails an EXPECT, ends the program
 * with the command that makes it again. */
void mutant_begin(uint64_t seed, const char *command, unsigned seconds);

/* Ends the mode of mutant_begin: the program ends without a message. */
void mutant_over(void);

/* The most memory that the process had, in MiB. */
uint64_t mutant_peak_mib(void);

#endif
