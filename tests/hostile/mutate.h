/* Mutants of a directory: valid checksums, and contents that a seed has spoiled. */
#ifndef TALLY_TESTS_HOSTILE_MUTATE_H
#define TALLY_TESTS_HOSTILE_MUTATE_H

#include "tests/lib/seed.h"

enum { MUTANT_WHAT_BYTES = 64 };

/* Makes one in dir, which is empty. what: in which way, for whoever has to find it again. */
void mutate(struct seed *seed, const char *dir, char what[MUTANT_WHAT_BYTES]);

/* A directory for mutants, in memory where the machine has such a place; its end with all in it;
 * and all of its files gone. */
void mutant_dir(char *path, size_t room);
void mutant_dir_remove(const char *path);
void mutant_dir_clear(const char *path);

/* The numbers behind "--name" of the command line, or what they are without. */
uint64_t mutant_arg(int argc, char **argv, const char *name, uint64_t without);

/* From now on a mutant that takes longer than so many seconds ends the program, with its seed. */
void mutant_begin(uint64_t seed, const char *command, unsigned seconds);

/* All went well: the end of the program tells nothing. */
void mutant_over(void);

/* The most memory that the process had, in MiB. */
uint64_t mutant_peak_mib(void);

#endif
