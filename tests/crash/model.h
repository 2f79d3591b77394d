/* The model of a log: the blocks that were appended, and how many of them were acknowledged. */
#ifndef TALLY_TESTS_CRASH_MODEL_H
#define TALLY_TESTS_CRASH_MODEL_H

#include "wal/wal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The contents are a function of this, so that the record of a lost append differs from the later
 * one of the same lsn. */
struct model_block {
    uint64_t id;
    uint64_t first_lsn;
    uint32_t count;
    uint32_t raw_bytes;
};

/* A block's image in a snapshot: the block, and noise that makes the file several pages long. */
enum { MODEL_IMAGE_BYTES = 1000 };

/*
 * blocks[0 .. acked) must be read. The rest up to count may be read: it is one block at most, the
 * one that was being written.
 */
struct model {
    struct model_block *blocks;
    size_t count;
    size_t room;
    size_t acked;
    uint64_t snapshot_lsn; /* the newest that counts: a start loads this one, or a later one */
    uint64_t older_lsn;    /* the one that a start loads if that is damaged; 0: none */
    bool is_damaged;       /* a snapshot was */
};

void model_init(struct model *model);
void model_fini(struct model *model);
void model_copy(struct model *to, const struct model *from);

/* The next lsn of a log that has all blocks. */
uint64_t model_next_lsn(const struct model *model);

/* Adds a block before its append; `raw`, which has room for raw_bytes, gets its contents. With an
 * odd id they do not compress. */
void model_submit(struct model *model, uint64_t id, uint32_t count, uint32_t raw_bytes,
                  unsigned char *raw);

/* Removes the last block: its append has failed before it wrote anything. */
void model_withdraw(struct model *model);

void model_acknowledge(struct model *model);

/* The image of a block for a snapshot. */
void model_image(const struct model_block *block, unsigned char image[MODEL_IMAGE_BYTES]);

/* One replay, compared with the model. */
struct model_replay {
    struct model *model;
    size_t at;       /* the next block expected */
    uint64_t loaded; /* the last lsn that the snapshot had; 0: there was none */
    bool is_patient; /* goes on behind a fault: the open itself may refuse later */
    char wrong[128]; /* the first fault; empty: none */
};

/* A wal_visit_fn for the blocks of a snapshot; arg is a struct model_replay, not used before. */
int model_load(void *arg, const struct wal_block *block);

/* The unload of struct wal_options for it. */
int model_unload(void *arg);

/* A wal_visit_fn; arg is a struct model_replay. Shown blocks count as acknowledged. */
int model_visit(void *arg, const struct wal_block *block);

/* Ends a replay without an error: blocks that were not shown are lost for good. Returns whether
 * every acknowledged block was shown; else replay->wrong says so. */
bool model_settle(struct model_replay *replay);

#endif
