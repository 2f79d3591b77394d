/* Votes that are safe to repeat, by their key or their voter: exactly one of each counts. */
#ifndef TALLY_TESTS_KILL_SAFE_H
#define TALLY_TESTS_KILL_SAFE_H

#include "tests/lib/client.h"
#include "tests/lib/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Request number n of a client is always the same, so after a lost connection those without a
 * reply are sent again. Their kinds take turns: a plain vote with a key; the only vote of a voter;
 * a vote with a key of a voter whom all clients share, and who changes it.
 */
enum safe_kind { SAFE_KEY, SAFE_ONCE, SAFE_CHANGE, SAFE_KINDS };

enum { SAFE_LINE_MAX = 160 };

struct safe_options {
    uint64_t of[SAFE_KINDS];
    uint64_t other; /* of the poll whose voters change */
};

/* The requests of one client. Threads: as struct history. */
struct safe {
    uint64_t sent, acked; /* the first so many are */
    uint64_t *told;       /* votes_after, by number; 0: a voter who had voted before */
    size_t room;
};

/* Makes the polls. */
void safe_set_up(struct safe_options *options, struct client *client);

/* Writes request `number` of a client, without its LF. */
void safe_request(char line[SAFE_LINE_MAX], const struct safe_options *options, size_t index,
                  uint64_t number);

/* Takes the reply to the first request that has none. Returns false when it may not come. */
bool safe_answered(struct safe *safe, const struct reply *reply, bool is_repeated);

/* After the last restart, with `count` clients: what was acknowledged counts once, as it was told;
 * with is_whole the log says so, else the totals. */
void safe_verdict(const struct safe *const safe[], size_t count, const struct safe_options *options,
                  const struct server *server, bool is_whole);

void safe_fini(struct safe *safe);

#endif
