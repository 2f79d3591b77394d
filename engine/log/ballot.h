/* The ballot: the options of a BALLOT record, and the ballot that a VOTE record with texts was. */
#ifndef TALLY_ENGINE_LOG_BALLOT_H
#define TALLY_ENGINE_LOG_BALLOT_H

#include "engine/limits.h"
#include "engine/log/record.h"

/*
 *     VOTE 7 9 12 VOTER v    ──▶  BALLOT option=7 n=1 voter=v more="9,12"
 *
 * `more` holds the ids behind the first: decimal, no zero in front, commas between. A vote for one
 * option has none.
 *
 * A ballot in a free poll is a step: its record is a VOTE with texts. The request is the same in
 * both cases, so a key that was used for the one is known for the other.
 */
enum { BALLOT_MORE_BYTES_MAX = (BALLOT_OPTIONS_MAX - 1) * 21 };

/* Returns how many ids a `more` has; BALLOT_OPTIONS_MAX when it is none. */
unsigned ballot_more_count(struct span more);

/* Reads the options of a ballot. Returns how many. REQUIRES: its `more` is one. */
unsigned ballot_options(const struct record *record, uint64_t options[BALLOT_OPTIONS_MAX]);

/* Writes a `more` for all options but the first. Returns its length. */
size_t ballot_more_put(char to[BALLOT_MORE_BYTES_MAX], const uint64_t *options, unsigned count);

/* Makes the ballot that a VOTE record with texts was; its texts are the record's. */
void ballot_of_vote(const struct record *vote, struct record *ballot);

#endif
