/* Buckets: a hash table of links that stand in the caller's entries; not locked. */
#ifndef TALLY_NET_PIPELINE_BUCKETS_H
#define TALLY_NET_PIPELINE_BUCKETS_H

#include <stdint.h>

/*
 *     buckets ── chain ── link ── link ── NULL        each the first member of an entry
 *
 * The caller compares the entries of a chain with its key; equal hashes alone say nothing.
 * Synchronization: the caller's lock. Owns: the entries are the caller's.
 */
enum {
    BUCKETS_MIN = 16,
    BUCKETS_ENTRY_BYTES = 2 * sizeof(void *), /* an entry's share of the chains, at most */
};

struct bucket_link {
    struct bucket_link *next;
    uint64_t hash;
};

struct buckets {
    struct bucket_link **chains;
    uint64_t chain_count; /* a power of two */
    uint64_t entry_count;
};

int buckets_init(struct buckets *buckets); /* Errors: NOMEM */
void buckets_fini(struct buckets *buckets);

/* Returns the chain of a hash: the place of its first link. */
struct bucket_link **buckets_chain(const struct buckets *buckets, uint64_t hash);

/* Adds an entry, and chains if there is memory for them; with fewer the table is only slower. */
void buckets_put(struct buckets *buckets, struct bucket_link *link, uint64_t hash);

/* Takes the entry at this place of a chain out, and returns it. */
struct bucket_link *buckets_take(struct buckets *buckets, struct bucket_link **at);

/* Gives back all chains but BUCKETS_MIN. REQUIRES: there are no entries. */
void buckets_shrink(struct buckets *buckets);

#endif
