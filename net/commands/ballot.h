/* Ballots: what VOTE does with a vote that is more than an option and a number. */
#ifndef TALLY_NET_COMMANDS_BALLOT_H
#define TALLY_NET_COMMANDS_BALLOT_H

#include "net/commands/ask.h"

#include "engine/edge.h"

/* Casts the vote of a request, which is counted by `from` in a poll with a limit. */
enum outcome ballot_cast(struct ask *ask, struct edge_ballot *ballot, const struct vote_from *from);

/* Checks a VOTER. False: the ERR is written. */
bool ballot_voter(struct ask *ask, struct span voter);

#endif
