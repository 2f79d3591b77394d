/* The committer's own lane: steps and records that no client asked for. */
#ifndef TALLY_ENGINE_COMMIT_OWN_LANE_H
#define TALLY_ENGINE_COMMIT_OWN_LANE_H

#include "engine/edge/lane.h"
#include "engine/log/record.h"
#include "engine/state/state.h"
#include "engine/tally.h"

/*
 *     timers, gate, forget, snapshot ── step, append ──▶ own lane ──▶ merge, like every other lane
 *     judge ── wait ──▶ waiting ── step ────────────────────▲
 *
 * Synchronization: the committer is both the edge and the committer of this lane. Other threads
 * call only lane_applied() on it, for the reply to a BYE (engine/edge/shared.h).
 * Room: callers ask own_lane_has_room before they append, which leaves OWN_LANE_SPARE slots free.
 * These are for the steps that a commit itself appends, those of BYE; when they are used up, too,
 * the builds wait in the wheel of leases.
 * Reclamation: a slot is free when it is applied (own_lane_applied); the lane lives as long as the
 * committer.
 */
enum { OWN_LANE_SPARE = LANE_SLOTS / 8, OWN_LANE_NUMS = 4 };

struct own_lane {
    struct lane *lane;
    struct ledger *ledger;
    const struct tally_options *options;
    struct request_list waiting; /* ballots and SEEDs whose steps cannot be made yet: judge.h */
    uint64_t waits_begun;
    uint64_t waits_ended;
};

/* Makes the lane. Errors: NOMEM. */
int own_lane_init(struct own_lane *own, struct ledger *ledger, const struct tally_options *options);
void own_lane_fini(struct own_lane *own);

/* Threads, of this and the rest: the committer. */
/* Whether there is room beyond OWN_LANE_SPARE; whether there is any. */
static inline bool own_lane_has_room(const struct own_lane *own)
{
    return lane_room(own->lane) > OWN_LANE_SPARE;
}

static inline bool own_lane_has_slot(const struct own_lane *own)
{
    return lane_room(own->lane) > 0;
}

/* Steps a build if its word is still `seen`, and appends the record. REQUIRES: own_lane_has_slot.
 * Returns whether the word was `seen`. */
bool own_lane_step(struct own_lane *own, struct build *build, uint64_t seen, enum record_type type,
                   enum build_state to);

/* Adds n votes to the word of an option, and appends the VOTE or SEED that answers the request, a
 * ballot or a SEED. REQUIRES: own_lane_has_slot. */
void own_lane_vote(struct own_lane *own, struct option *option, struct ordered_request *request,
                   uint64_t n);

/* Puts a request behind those that wait; takes the first one of them away. */
void own_lane_wait(struct own_lane *own, struct ordered_request *request);
void own_lane_wait_ends(struct own_lane *own);

/* Appends an ordered record with these numbers. REQUIRES: own_lane_has_slot. */
void own_lane_append(struct own_lane *own, enum record_type type,
                     const uint64_t num[OWN_LANE_NUMS]);

/* Appends the request of an edge, which is answered when its record is applied. REQUIRES:
 * own_lane_has_slot. */
void own_lane_append_request(struct own_lane *own, struct ordered_request *request);

/* Returns the position behind the last appended record. */
uint64_t own_lane_tail(const struct own_lane *own);

/* Publishes the appended records: the next merge may take them. */
void own_lane_publish(struct own_lane *own);

#endif
