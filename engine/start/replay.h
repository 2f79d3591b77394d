/* The replay of a log: one thread decodes blocks, others apply the decoded records. */
#ifndef TALLY_ENGINE_START_REPLAY_H
#define TALLY_ENGINE_START_REPLAY_H

#include "engine/apply/apply.h"
#include "engine/base/parallel.h"
#include "engine/events/event_store.h"
#include "wal/wal.h"

enum { REPLAY_SHARES_MAX = PARALLEL_THREADS_MAX / 2 };
_Static_assert(TREND_OPTION_POOLS % REPLAY_SHARES_MAX == 0, "a pool of trends is of one share");

/* An array that grows and keeps its memory. */
struct replay_list {
    void *at;
    size_t count;
    size_t room;
};

/* Votes of a batch that follow each other in the log and are of one second. */
struct replay_span {
    uint64_t first_lsn;
    uint64_t second;
    size_t begin; /* index of the first of its steps */
};

/* Records that were decoded and are applied together. */
struct replay_batch {
    struct replay_list steps;  /* struct vote_step */
    struct replay_list spans;  /* struct replay_span */
    struct replay_list builds; /* struct record; their texts are in raw */
    struct replay_list votes;  /* struct event_votes: which steps are whose */
    struct replay_list blocks; /* struct replay_told */
    struct replay_list told;   /* bytes: the votes of these blocks, for the events */
    unsigned char *raw;        /* copies of the blocks with builds; NULL: none yet */
    size_t raw_bytes;
    bool notes_events; /* votes, blocks and told are filled in */
    uint64_t first_second;
    uint64_t last_lsn; /* 0: the batch is empty */
    uint64_t last_ms;
};

/* A block of a batch, for the events. */
struct replay_told {
    uint64_t first_lsn;
    uint32_t count;
    size_t votes_len; /* in replay_batch.told */
};

/* The part of a batch that one task applies: the votes of the options whose ids have one remainder,
 * or the records of builds. */
struct replay_share {
    struct replay_list sums; /* struct vote_sum */
    uint64_t lsn;            /* of the first record that did not fit */
    unsigned type;
    int err;
};

struct replay {
    struct state *state;
    struct event_store *events; /* set by the caller; NULL: nobody wants to know */
    struct parallel parallel;
    struct replay_batch batches[2];
    struct replay_batch *filled;  /* by the caller */
    struct replay_batch *applied; /* by the tasks that are under way; NULL: none are */
    uint32_t share_count;         /* of votes; a power of two */
    struct replay_share shares[REPLAY_SHARES_MAX + 1]; /* the first one: builds */
    struct apply_result result;                        /* of a record that is applied alone */
    /* after CORRUPT: the record that contradicts the state; 0: the block is to blame */
    uint64_t bad_lsn;
    unsigned bad_type;
};

/* Makes a replay into a state, which is borrowed; records that it already has from a snapshot are
 * left out. threads: as parallel_init. */
void replay_init(struct replay *replay, struct state *state, unsigned threads);
void replay_fini(struct replay *replay);

/*
 * Takes the next block of the log. The block may be applied, and its errors returned, by a later
 * call. Errors: CORRUPT, NEWER, NOMEM; after an error the state may only be freed.
 */
int replay_block(struct replay *replay, const struct wal_block *block);

/* Applies all decoded records. Errors: as replay_block. */
int replay_flush(struct replay *replay);

#endif
