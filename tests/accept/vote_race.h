/* Votes cast at once, on fresh polls, again and again, through kill -9: are all counted, once? */
#ifndef TALLY_TESTS_ACCEPT_VOTE_RACE_H
#define TALLY_TESTS_ACCEPT_VOTE_RACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VOTE_RACE_RUNS = 100, VOTE_RACE_VOTERS_MAX = 100, VOTE_RACE_OPTIONS_MAX = 3 };

struct vote_race {
    size_t runs; /* up to VOTE_RACE_RUNS */
    size_t voters;
    size_t options;   /* the voters choose them in turn */
    uint64_t before;  /* votes that each option has when the race starts */
    const char *mode; /* of the poll; NULL: no word of it */
    bool has_voter;   /* the votes have a VOTER, a KEY */
    bool has_key;
};

/* Runs it as a test of its own. Every votes_after is told once, and stands in the events and in the
 * log, with the voter or key that was told it. After each crash the counts are the same, and who
 * votes again is VOTED, or with a key gets the first reply. */
void vote_race_run(const struct vote_race *race);

/* Bad ids, each with the words behind them (" VOTER v" or ""): an error, and nothing is counted. */
void vote_race_bad_ids(const char *mode, const char *words);

#endif
