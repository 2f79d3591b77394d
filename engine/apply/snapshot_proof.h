/* The proof of a snapshot: checks that its images can be loaded, without making a state. */
#ifndef TALLY_ENGINE_APPLY_SNAPSHOT_PROOF_H
#define TALLY_ENGINE_APPLY_SNAPSHOT_PROOF_H

#include "engine/log/image.h"
#include "engine/base/table.h"
#include "wal/wal.h"

#include <stdbool.h>

/*
 * The proof checks that each image is within its bounds (bounds.h), stands in its place, has a new
 * id, and refers to images before it; at the end, that nothing is missing and the sums are right.
 * The loader asks the proof about each image first. So a load accepts what the proof accepts, but
 * for errors that only the indexes of the loader find: a name, label or key that is there twice,
 * two builds in one slot of a worker. A snapshot of a live state has none, since apply asks the
 * same indexes.
 *
 * The proof takes a bit for each id and about 60 bytes for each poll. Unused ids take no memory:
 * the bits stand in pages of 4,096.
 */
struct proof_poll {
    uint64_t total;   /* the votes of its options */
    uint64_t claimed; /* the sum that its image states */
    uint64_t voters;  /* that have not come yet */
    uint32_t generation;
    bool is_deleted;
};

struct snapshot_proof {
    uint64_t lsn; /* the lsn that the head must have; 0: any */
    struct image head;
    uint64_t images;
    uint64_t counts[IMAGE_KINDS];
    struct table ids[IMAGE_KINDS]; /* pages of bits, one for each id */
    uint64_t first[IMAGE_KINDS];   /* lowest and highest id of each kind; 0: none yet */
    uint64_t last[IMAGE_KINDS];
    struct table used; /* pages of bits, like ids: the queues that have a build */
    uint64_t used_count;
    struct table polls; /* owned: struct proof_poll */
    uint64_t voters_missing;
    uint64_t deleted_polls;
    uint64_t deleted_options;
    uint64_t payload_bytes;
    uint64_t key_ms; /* time of the last key */
    bool ended;
    const char *why; /* what did not fit; static */
};

void snapshot_proof_init(struct snapshot_proof *proof, uint64_t lsn);
void snapshot_proof_fini(struct snapshot_proof *proof);

/* Takes the next image. Returns 0, CORRUPT with a why, or NOMEM. */
int snapshot_proof_image(struct snapshot_proof *proof, const struct image *image);

/* To be called after the last image; as snapshot_proof_image. */
int snapshot_proof_end(struct snapshot_proof *proof);

/* A wal_visit_fn for the blocks of a snapshot; the proof is the arg. */
int snapshot_proof_block(void *proof, const struct wal_block *block);

#endif
