/* What a log must hold: the blocks that were handed in, and how many of them were acknowledged. */
#ifndef TALLY_TESTS_CRASH_MODEL_H
#define TALLY_TESTS_CRASH_MODEL_H

#include "wal/wal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Contents are a function of this, so that a record of a lost attempt is told from its successor of
 * the same number. */
struct model_block {
    uint64_t id;
    uint64_t first_lsn;
    uint32_t count;
    uint32_t raw_bytes;
};

/* What a snapshot holds of a block: itself, and noise that makes the file several pages long. */
enum { MODEL_IMAGE_BYTES = 1000 };

/*
 * blocks[0 .. acked) must come back. The rest up to count may: it is one block at most, the one
 * that was being written.
 */
struct model {
    struct model_block *blocks;
    size_t count;
    size_t room;
    size_t acked;
    uint64_t snapshot_lsn; /* this snapshot counts: a start takes it, or a later one */
    uint64_t older_lsn;    /* and this one does if that one is damaged; 0: none */
    bool is_damaged;       /* a snapshot was */
};

void model_init(struct model *model);
void model_fini(struct model *model);
void model_copy(struct model *to, const struct model *from);

/* The next lsn if all of it is there. */
uint64_t model_next_lsn(const struct model *model);

/* A block is handed in; its contents are left in `raw`, which has room for raw_bytes. With an odd
 * id they do not compress. */
void model_submit(struct model *model, uint64_t id, uint32_t count, uint32_t raw_bytes,
                  unsigned char *raw);

/* The last call that handed one in failed before anything was written. */
void model_withdraw(struct model *model);

void model_acknowledge(struct model *model);

/* The image of a block for a snapshot. */
void model_image(const struct model_block *block, unsigned char image[MODEL_IMAGE_BYTES]);

/* One replay held against the model. */
struct model_replay {
    struct model *model;
    size_t at;       /* the next block expected */
    uint64_t loaded; /* the last lsn that the snapshot had; 0: there was none */
    bool is_patient; /* goes on behind what is wrong: the open itself may refuse later */
    char wrong[128]; /* empty: nothing */
};

/* A wal_visit_fn for the blocks of a snapshot; arg is a struct model_replay, not used before. */
int model_load(void *arg, const struct wal_block *block);

/* The unload of struct wal_options for it. */
int model_unload(void *arg);

/* A wal_visit_fn; arg is a struct model_replay. What was shown counts as acknowledged. */
int model_visit(void *arg, const struct wal_block *block);

/* The replay has ended well: what was not shown is gone for good. Returns whether all was there
 * that must be; else says so in replay->wrong. */
bool model_settle(struct model_replay *replay);

#endif
