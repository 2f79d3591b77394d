/* The replay of a log: blocks are put aside, decoded and applied by several threads at once. */
#ifndef TALLY_ENGINE_REPLAY_H
#define TALLY_ENGINE_REPLAY_H

#include "engine/apply.h"
#include "engine/parallel.h"
#include "wal/wal.h"

enum { REPLAY_SLICES = 16, REPLAY_SHARES = 8, REPLAY_RECENT = 256 };

/* An array that grows and keeps its memory. */
struct replay_list {
    void *at;
    size_t count;
    size_t room;
};

struct replay_place { /* a block that is put aside */
    size_t at;        /* in raw */
    size_t bytes;
    uint64_t first_lsn;
    uint64_t time_ms;
    uint32_t count;
};

/* Which step was the last one of an option. */
struct replay_recent {
    uint32_t option; /* 0: none */
    uint32_t step;
};

/* Blocks that follow each other, decoded by one task. */
struct replay_slice {
    size_t begin; /* index of the first of its blocks */
    size_t end;
    struct replay_list steps[REPLAY_SHARES]; /* struct vote_step */
    struct replay_list builds;               /* struct record; their texts are in raw */
    struct replay_recent recent[REPLAY_RECENT];
    int err;
};

/* What one task applies: votes of the options whose id has one remainder; or what is of builds. */
struct replay_share {
    struct replay_list sums; /* struct vote_sum */
    uint64_t lsn;            /* of the first record that did not fit */
    unsigned type;
    int err;
};

struct replay {
    struct state *state;
    struct parallel parallel;
    uint64_t lsn;     /* of the last record, applied or put aside */
    uint64_t time_ms; /* its */
    unsigned char *raw; /* a batch's; NULL: none yet */
    size_t raw_bytes;
    struct replay_list places;
    unsigned slice_count;
    struct replay_slice slices[REPLAY_SLICES];
    struct replay_share shares[REPLAY_SHARES + 1]; /* the last one: builds */
    /* after CORRUPT: the record that contradicts the state; 0: the block is to blame */
    uint64_t bad_lsn;
    unsigned bad_type;
};

/* The state is borrowed; what it has already (a snapshot) is left out of the blocks. threads: as
 * parallel_init. */
void replay_init(struct replay *replay, struct state *state, unsigned threads);
void replay_fini(struct replay *replay);

/*
 * The next block of the log. It may be put aside: the state has it, and its errors come, with a
 * later call. Errors: CORRUPT, NEWER, NOMEM; then the state is of no use any more.
 */
int replay_block(struct replay *replay, const struct wal_block *block);

/* Applies what is put aside. Errors: as replay_block. */
int replay_flush(struct replay *replay);

#endif
