/* After the last restart: holds what the clients were told against what the server has. */
#ifndef TALLY_TESTS_KILL_VERDICT_H
#define TALLY_TESTS_KILL_VERDICT_H

#include "tests/kill/crew.h"
#include "tests/lib/server.h"

/* Each expects, on a serving server and with all threads of the crew joined: */

/* no fault met; every acknowledged vote counted, no vote counted that was not sent, no votes_after
 * told twice; with is_whole (the log begins at its first record) the log says the same. */
void verdict_votes(const struct crew *crew, const struct server *server, bool is_whole);

/* every acknowledged submit there with its payload, none there twice; every acknowledged end still
 * true. */
void verdict_builds(const struct crew *crew, const struct server *server);

/* no build held by two at a time, and its tokens rise. */
void verdict_holds(const struct crew *crew);

#endif
