/* The loader: a state made from the images of a snapshot. */
#ifndef TALLY_ENGINE_APPLY_SNAPSHOT_LOAD_H
#define TALLY_ENGINE_APPLY_SNAPSHOT_LOAD_H

#include "engine/apply/snapshot_proof.h"
#include "engine/state/state.h"

/* One load; begin with the state of state_init. */
struct snapshot_load {
    struct state *state;
    struct snapshot_proof proof; /* checks each image first; proof.why says what did not fit */
    /* Takes the newest events of a poll: 0, or NOMEM. NULL: they are not wanted. */
    int (*recent)(void *arg, uint64_t poll, struct span events);
    void *arg;
    uint64_t voters_reserved;
    bool ended; /* snapshot_load_end was called; it is called once */
};

void snapshot_load_init(struct snapshot_load *load, struct state *state);
void snapshot_load_fini(struct snapshot_load *load);

/* Takes the next image. Returns 0; CORRUPT when it contradicts the images before; NOMEM. After an
 * error the state may only be freed. */
int snapshot_load_image(struct snapshot_load *load, const struct image *image);

/*
 * To be called after the last image: makes the lists, counts and indexes that images do not store,
 * and checks that nothing is missing. Then the state is the one that apply made from all records up
 * to its lsn. Returns as snapshot_load_image.
 */
int snapshot_load_end(struct snapshot_load *load);

/*
 * A wal_visit_fn for wal_snapshot_read and wal_open; the loader is the arg. Takes a block's images,
 * and ends the load with the last block.
 */
int snapshot_load_block(void *load, const struct wal_block *block);

#endif
