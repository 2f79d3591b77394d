/* Ballots: what VOTE does with a vote that is more than an option and a number. */
#ifndef TALLY_NET_COMMANDS_BALLOT_H
#define TALLY_NET_COMMANDS_BALLOT_H

#include "net/commands/ask.h"

#include "engine/edge.h"

/* Casts the vote of a request. */
enum outcome ballot_cast(struct ask *ask, const struct edge_ballot *ballot);

/* Checks a VOTER. False: the ERR is written. */
bool ballot_voter(struct ask *ask, struct span voter);

#endif
