/* The merge: it brings the records of all lanes into one order and encodes them as a block. */
#ifndef TALLY_ENGINE_COMMIT_MERGE_H
#define TALLY_ENGINE_COMMIT_MERGE_H

#include "engine/commit/judge.h"
#include "engine/edge/edges.h"
#include "engine/edge/lane.h"
#include "engine/log/columns.h"
#include "engine/tally.h"

/*
 *     lane 0 ──┐
 *     lane 1 ──┼─▶ its head, when its entity's accepted word is its `before` ─▶ batch (slots)
 *     own lane ┘                └ an ordered request: judge.h                └▶ columns (block)
 *
 * engine/README.md, "The order argument", says why some head can always be taken.
 *
 * Synchronization: the committer alone, but for the lanes (engine/edge/lane.h). Only the merge uses
 * `accepted` of an option or a build.
 * Reclamation: the slots of a batch are the committer's until it publishes their lanes. The encoded
 * block is owned by the columns and lives until the next merge_begin.
 */
struct merge {
    /* written once */
    const struct edges *edges;
    struct lane *own;
    struct judge *judge;
    const struct tally_options *options;
    /* of the block that is being made */
    struct columns columns;
    struct lane_slot **batch;
    uint32_t batch_count;
    uint32_t alone_count; /* slots taken without a record */
};

/* Makes a merge over all lanes; the judge is borrowed. Errors: NOMEM. */
int merge_init(struct merge *merge, const struct edges *edges, struct judge *judge,
               const struct tally_options *options);
void merge_fini(struct merge *merge);

/* Begins a block of this log time. Threads, of this and the rest: the committer. */
void merge_begin(struct merge *merge, uint64_t time_ms);

/* Takes the records that are next from all lanes into a new batch, and into the block. Returns the
 * number of slots. */
uint32_t merge_take(struct merge *merge);

/* Encodes the block. */
void merge_end(struct merge *merge, const unsigned char **block, size_t *len);

/* Returns the first lane with a record that was not taken; NULL when all are empty. */
struct lane *merge_waiting_lane(const struct merge *merge);

/* Brings near what apply will read for the ballots behind slot i of the batch. */
void merge_look_ahead(const struct merge *merge, uint32_t i);

/* Fills in the record of a slot, but for its lsn and time. */
void merge_slot_record(const struct lane_slot *slot, struct record *record);

#endif
