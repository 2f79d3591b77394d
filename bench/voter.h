/* Names of voters: the same number has the same name, other numbers have others. */
#ifndef TALLY_BENCH_VOTER_H
#define TALLY_BENCH_VOTER_H

#include <stdbool.h>
#include <stdint.h>

enum { VOTER_ROOM = 40 };

/* Writes the name of voter `number`, with a NUL: `v17`, or 36 letters like a random UUID. */
void voter_name(char name[VOTER_ROOM], uint64_t number, bool is_short);

#endif
