/* The data that the threads of the engine's torture share, and their functions. */
#ifndef TALLY_TESTS_ENGINE_TORTURE_H
#define TALLY_TESTS_ENGINE_TORTURE_H

#include "tests/engine/handle.h"
#include "tests/lib/seed.h"

#include <pthread.h>

enum {
    HOT_OPTIONS = 3,
    CLAIMERS = 2, /* each with a worker of its own */
    SHARERS = 2,  /* all with one worker of one slot */
    BUILDS_MAX = 1 << 18,
    OPEN_MAX = 300, /* builds that wait, before the submitter pauses */
};

/* Votes that a thread was told: `n` of them, the last one counted as `after`. */
struct told {
    uint64_t after;
    uint32_t n;
    uint32_t option; /* index of the hot option */
};

struct told_list {
    struct told *at;
    size_t count;
    size_t room;
};

/* The claims and the end of a build, as all threads have noted them. */
struct trace {
    _Atomic uint32_t done; /* the token with which it was done; 0: not yet */
    /* of the claim with the highest token that was noted; under torture.noting */
    uint32_t token;
    uint64_t noted_ns;  /* the claim was answered by then */
    uint64_t held_till; /* mono ns: no other claim may hold it before; 0: it was given up */
};

struct torture {
    struct tally *tally;
    uint64_t seed;
    pthread_barrier_t start;
    _Atomic bool stop;
    uint64_t option[HOT_OPTIONS]; /* ids */
    struct trace *builds;         /* by id */
    pthread_mutex_t noting;
    _Atomic uint64_t submitted;
    _Atomic uint64_t done;
    _Atomic uint64_t failed;
    _Atomic uint64_t claims;
    _Atomic uint64_t stale;
    _Atomic uint64_t reads;
    _Atomic uint64_t fifo;
    _Atomic uint64_t byes;
    _Atomic uint64_t late; /* claims that were noted behind a later one */
};

struct actor {
    struct torture *t;
    void (*run)(struct actor *actor, struct handle *handle);
    bool no_handle; /* the function opens and closes handles itself */
    unsigned number;
    struct seed seed;
    struct told_list told;
    pthread_t thread;
};

static inline bool torture_goes_on(const struct torture *t)
{
    /* T1: relaxed: the end may be seen late */
    return !atomic_load_explicit(&t->stop, memory_order_relaxed);
}

static inline uint64_t torture_count(_Atomic uint64_t *counter)
{
    /* T2: relaxed: a count publishes nothing */
    return atomic_fetch_add_explicit(counter, 1, memory_order_relaxed) + 1;
}

static inline uint64_t torture_get(const _Atomic uint64_t *counter)
{
    /* T2: relaxed: a count publishes nothing */
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void actor_told(struct actor *actor, unsigned option, uint64_t after, uint32_t n);

/* ---- torture_builds.c ---- */
void actor_submit(struct actor *actor, struct handle *handle);
void actor_fifo(struct actor *actor, struct handle *handle);
void actor_claim(struct actor *actor, struct handle *handle);
void actor_share(struct actor *actor, struct handle *handle);

/* ---- torture_votes.c ---- */
void actor_vote(struct actor *actor, struct handle *handle);
void actor_visit(struct actor *actor, struct handle *handle);
void actor_create(struct actor *actor, struct handle *handle);
void actor_read(struct actor *actor, struct handle *handle);

#endif
