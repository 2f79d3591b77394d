/* The log as `tally-wal dump` tells it, and what must hold of the votes in it (G2). */
#ifndef TALLY_TESTS_LIB_DUMP_H
#define TALLY_TESTS_LIB_DUMP_H

#include "tests/lib/server.h"

#include <stddef.h>
#include <stdint.h>

/* Per option id, the last votes_after told. */
struct dump_votes {
    uint64_t *last;
    size_t count;
};

/* Runs `tally-wal dump` on the server's directory, running or not. The tool's path is the
 * environment's TALLY_WAL. Owns: the text is the caller's to free. */
char *dump_text(const struct server *server);

/* Reads the VOTE lines of the log and expects of every option that record after record continues
 * where the one before ended: `votes - n` is the last `votes`. Returns where each option ended. */
void dump_votes_read(struct dump_votes *votes, const struct server *server);
void dump_votes_fini(struct dump_votes *votes);

/* Expects that the events of this option's votes are exactly 1, 2, … `total`. */
void dump_votes_expect(const struct dump_votes *votes, uint64_t option, uint64_t total);

/* Expects that `tally-wal verify` finds nothing wrong: exit 0. */
void dump_verify(const struct server *server);

#endif
