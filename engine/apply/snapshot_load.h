/* The loader: a state made from the images of a snapshot. */
#ifndef TALLY_ENGINE_APPLY_SNAPSHOT_LOAD_H
#define TALLY_ENGINE_APPLY_SNAPSHOT_LOAD_H

#include "engine/apply/snapshot_proof.h"
#include "engine/state/state.h"

/* One load; begin with the state of state_init. */
struct loader {
    struct state *state;
    struct proof proof; /* it is asked about each image first, and says what did not fit */
    bool ended;         /* loader_end was called: there is no second end */
};

void loader_init(struct loader *loader, struct state *state);
void loader_fini(struct loader *loader);

/* Takes the next image. Returns 0; CORRUPT when it contradicts what came before; NOMEM. After an
 * error the state is of no use any more. */
int loader_image(struct loader *loader, const struct image *image);

/*
 * To be called after the last image: makes what is not saved (lists, counts, indexes), and checks
 * that nothing is missing. Then the state is what apply made of all records up to its lsn. As
 * loader_image.
 */
int loader_end(struct loader *loader);

/*
 * A wal_visit_fn for wal_snap_read and wal_open; the loader is the arg. Takes a block's images, and
 * ends the load with the last block.
 */
int loader_block(void *loader, const struct wal_block *block);

/*
 * A number for all that is in a state and that a record could ever depend on; equal states have
 * equal digests. Threads: the committer, or nobody else is there.
 */
uint64_t state_digest(const struct state *state);

#endif
