/* Vote limits per client address: the times of the votes in each window, in bounded memory. */
#include "net/pipeline/rate.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/random.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 *     shard of the address ── buckets ── entry {poll, address} ── ring of times
 *       (one lock)                  `─── entry {0, address}: the sum of the address, over all polls
 *
 * All entries of an address are in one shard. A time is `ms << TIME_BITS | votes`. The hash has a
 * secret seed, so no client can aim at a bucket.
 *
 * Synchronization table: all of a shard is under its lock; `bytes`, of all shards, is a count (R1).
 */
enum {
    SHARDS = 64,
    BUCKETS_MIN = 16, /* of a shard */
    TIMES_FEW = 4,    /* in the entry itself */
    TIME_BITS = 20,   /* bits of a time that hold its votes: a limit is below 2^20 */
    SWEEP = 4,        /* buckets swept for each vote */
    SWEEP_BUSY = 256, /* the same when memory is short */
    SWEEP_TURN = 64,  /* the same in each shard by rate_sweep */
    BUSY_RETRY_MS = 1000,
};
#define VOTES_OF_TIME (((uint64_t)1 << TIME_BITS) - 1)

struct rate_entry {
    struct rate_entry *next; /* in the bucket */
    uint64_t poll;           /* 0: this is the sum of an address */
    struct rate_address from;
    uint64_t bytes;  /* its own; of a sum: those of all entries of the address, and its own */
    uint64_t end_ms; /* when its last vote leaves the window; 0 in a sum */
    uint64_t *times; /* a ring; its capacity is a power of two */
    uint32_t capacity;
    uint32_t first;
    uint32_t count;
    uint32_t votes; /* in all times */
    uint64_t few[TIMES_FEW];
};

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    struct rate_entry **buckets;
    uint64_t bucket_count; /* a power of two */
    uint64_t entry_count;
    uint64_t swept; /* number of buckets swept so far */
};

struct rate {
    struct shard shards[SHARDS];
    struct ledger *ledger;
    uint64_t seed[3];
    uint64_t bytes_max;
};

/* An entry and its share of the buckets. */
enum { ENTRY_BYTES = sizeof(struct rate_entry) + 2 * sizeof(struct rate_entry *) };

int rate_new(struct rate **out, struct ledger *ledger)
{
    struct rate *rate = aligned_alloc(64, sizeof(*rate));
    if (rate == NULL) {
        return TALLY_NOMEM;
    }
    uint64_t most = ledger->ceiling / LEDGER_RESERVE_SHARE;
    *rate =
        (struct rate){.ledger = ledger, .bytes_max = most < RATE_BYTES_MAX ? most : RATE_BYTES_MAX};
    bool good = true;
    random_fill(rate->seed, sizeof(rate->seed));
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &rate->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        shard->bucket_count = BUCKETS_MIN;
        shard->buckets = calloc(BUCKETS_MIN, sizeof(struct rate_entry *));
        good = good && shard->buckets != NULL;
    }
    if (!good) {
        rate_destroy(rate);
        return TALLY_NOMEM;
    }
    *out = rate;
    return 0;
}

/* ---- the entries of a shard ---- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}

static uint64_t hash_address(const struct rate *rate, const struct rate_address *from)
{
    return mix(rate->seed[0] ^ mix(rate->seed[1] ^ from->high ^ mix(rate->seed[2] ^ from->low)));
}

static struct rate_entry **bucket_of(const struct rate *rate, const struct shard *shard,
                                     uint64_t poll, const struct rate_address *from)
{
    uint64_t hash = mix(hash_address(rate, from) ^ mix(rate->seed[1] + poll));
    return &shard->buckets[hash & (shard->bucket_count - 1)];
}

/* Returns the link to the entry, or the end of its bucket. */
static struct rate_entry **entry_find(const struct rate *rate, const struct shard *shard,
                                      uint64_t poll, const struct rate_address *from)
{
    struct rate_entry **at = bucket_of(rate, shard, poll, from);
    while (*at != NULL && ((*at)->poll != poll || (*at)->from.high != from->high ||
                           (*at)->from.low != from->low)) {
        at = &(*at)->next;
    }
    return at;
}

/* Adds buckets if there is memory for them; with fewer the table is only slower. */
static void grow(const struct rate *rate, struct shard *shard)
{
    struct shard grown = *shard;
    grown.bucket_count *= 2;
    grown.buckets = calloc(grown.bucket_count, sizeof(struct rate_entry *));
    if (grown.buckets == NULL) {
        return;
    }
    for (uint64_t i = 0; i < shard->bucket_count; i++) {
        struct rate_entry *next;
        for (struct rate_entry *entry = shard->buckets[i]; entry != NULL; entry = next) {
            next = entry->next;
            struct rate_entry **at = bucket_of(rate, &grown, entry->poll, &entry->from);
            entry->next = *at;
            *at = entry;
        }
    }
    free(shard->buckets);
    shard->buckets = grown.buckets;
    shard->bucket_count = grown.bucket_count;
}

static void count_bytes(struct rate *rate, struct rate_entry *sum, int64_t bytes)
{
    /* a sum has the bytes of all entries of its address, so they can be taken off */
    CHECK(sum->poll == 0 && (bytes > 0 || sum->bytes >= (uint64_t)-bytes));
    sum->bytes += (uint64_t)bytes;
    if (bytes > 0) {
        ledger_add(rate->ledger, LEDGER_RATES, (uint64_t)bytes);
    } else {
        ledger_sub(rate->ledger, LEDGER_RATES, (uint64_t)-bytes);
    }
}

static struct rate_entry *entry_new(struct rate *rate, struct shard *shard, uint64_t poll,
                                    const struct rate_address *from)
{
    struct rate_entry *entry = malloc(sizeof(*entry));
    if (entry == NULL) {
        return NULL;
    }
    *entry = (struct rate_entry){
        .poll = poll, .from = *from, .bytes = ENTRY_BYTES, .capacity = TIMES_FEW};
    entry->times = entry->few;
    if (++shard->entry_count > shard->bucket_count) {
        grow(rate, shard);
    }
    struct rate_entry **at = bucket_of(rate, shard, poll, from);
    entry->next = *at;
    *at = entry;
    return entry;
}

static void entry_free(struct shard *shard, struct rate_entry **at)
{
    struct rate_entry *entry = *at;
    /* callers have found the entry in this shard, under its lock */
    CHECK(entry != NULL && shard->entry_count > 0);
    *at = entry->next;
    shard->entry_count--;
    if (entry->times != entry->few) {
        free(entry->times);
    }
    free(entry);
}

/* Frees the entry of a poll, and with the address's last one the sum. */
static void forget(struct rate *rate, struct shard *shard, struct rate_entry **at)
{
    const struct rate_address from = (*at)->from;
    struct rate_entry **sum = entry_find(rate, shard, 0, &from);
    /* an address with an entry has a sum: entry_for makes both or none */
    CHECK((*at)->poll != 0 && *sum != NULL);
    count_bytes(rate, *sum, -(int64_t)(*at)->bytes);
    bool is_last = (*sum)->bytes == ENTRY_BYTES;
    entry_free(shard, at);
    if (is_last) {
        sum = entry_find(rate, shard, 0, &from); /* its link may have been in the freed entry */
        count_bytes(rate, *sum, -(int64_t)ENTRY_BYTES);
        entry_free(shard, sum);
    }
}

void rate_destroy(struct rate *rate)
{
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &rate->shards[i];
        for (uint64_t k = 0; shard->buckets != NULL && k < shard->bucket_count; k++) {
            while (shard->buckets[k] != NULL) {
                struct rate_entry *entry = shard->buckets[k];
                ledger_sub(rate->ledger, LEDGER_RATES,
                           entry->poll == 0 ? ENTRY_BYTES : entry->bytes);
                entry_free(shard, &shard->buckets[k]);
            }
        }
        DCHECK(shard->entry_count == 0);
        free(shard->buckets);
        pthread_mutex_destroy(&shard->lock);
    }
    free(rate);
}

/* Forgets entries whose votes have left the window, in the next few buckets. */
static void sweep(struct rate *rate, struct shard *shard, uint64_t now_ms, unsigned buckets)
{
    while (buckets-- > 0) {
        uint64_t bucket = shard->swept++ & (shard->bucket_count - 1);
        struct rate_entry **at = &shard->buckets[bucket];
        while (*at != NULL) {
            if ((*at)->poll != 0 && (*at)->end_ms <= now_ms) {
                forget(rate, shard, at);
                at = &shard->buckets[bucket]; /* the sum may have been freed from it, too */
            } else {
                at = &(*at)->next;
            }
        }
    }
}

/* Gives back an empty shard's buckets, except for BUCKETS_MIN. */
static void shrink(struct shard *shard)
{
    /* rate_sweep calls it only for an empty shard */
    CHECK(shard->entry_count == 0);
    struct rate_entry **few = calloc(BUCKETS_MIN, sizeof(struct rate_entry *));
    if (few != NULL) {
        free(shard->buckets);
        shard->buckets = few;
        shard->bucket_count = BUCKETS_MIN;
    }
}

bool rate_sweep(struct rate *rate, uint64_t now_ms)
{
    bool more = false;
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &rate->shards[i];
        pthread_mutex_lock(&shard->lock);
        if (shard->entry_count > 0) {
            sweep(rate, shard, now_ms, SWEEP_TURN);
        }
        if (shard->entry_count == 0 && shard->bucket_count > BUCKETS_MIN) {
            shrink(shard);
        }
        more = more || shard->entry_count > 0;
        pthread_mutex_unlock(&shard->lock);
    }
    return more;
}

/* ---- memory ---- */

/* Whether an address that has has_bytes may have so many bytes more. */
static bool may_have(const struct rate *rate, uint64_t has_bytes, uint64_t bytes)
{
    uint64_t all = ledger_of(rate->ledger, LEDGER_RATES);
    uint64_t half = rate->bytes_max / 2;
    uint64_t free_bytes = all < half ? half - all : 0;
    return all + bytes <= rate->bytes_max && (has_bytes + bytes <= RATE_LITTLE_BYTES ||
                                              has_bytes + bytes <= free_bytes / RATE_FREE_SHARE);
}

/* Returns the entry of the poll and address, made if it is new; NULL: no memory for it. */
static struct rate_entry *entry_for(struct rate *rate, struct shard *shard,
                                    const struct rate_ask *ask)
{
    struct rate_entry *entry = *entry_find(rate, shard, ask->poll, &ask->from);
    if (entry != NULL) {
        return entry;
    }
    struct rate_entry *sum = *entry_find(rate, shard, 0, &ask->from);
    if (!may_have(rate, sum != NULL ? sum->bytes : 0, (sum != NULL ? 1 : 2) * ENTRY_BYTES)) {
        sweep(rate, shard, ask->now_ms, SWEEP_BUSY);
        sum = *entry_find(rate, shard, 0, &ask->from);
        if (!may_have(rate, sum != NULL ? sum->bytes : 0, (sum != NULL ? 1 : 2) * ENTRY_BYTES)) {
            return NULL;
        }
    }
    bool is_new = sum == NULL;
    sum = is_new ? entry_new(rate, shard, 0, &ask->from) : sum;
    entry = sum != NULL ? entry_new(rate, shard, ask->poll, &ask->from) : NULL;
    if (entry == NULL && is_new && sum != NULL) {
        entry_free(shard, entry_find(rate, shard, 0, &ask->from));
    }
    if (entry == NULL) {
        return NULL;
    }
    if (is_new) {
        sum->bytes = 0;
        count_bytes(rate, sum, ENTRY_BYTES);
    }
    count_bytes(rate, sum, ENTRY_BYTES);
    return entry;
}

/* Makes room for one more time. False: the address may not have more memory, or there is none. */
static bool reserve(struct rate *rate, struct shard *shard, struct rate_entry *entry)
{
    struct rate_entry *sum = *entry_find(rate, shard, 0, &entry->from);
    /* entry_for makes the sum before the entry, and forget frees the sum after the entry */
    CHECK(sum != NULL && entry->count <= entry->capacity);
    if (entry->count < entry->capacity) {
        return true;
    }
    uint64_t bytes = 2 * (uint64_t)entry->capacity * sizeof(uint64_t);
    uint64_t before = entry->bytes - ENTRY_BYTES;
    if (!may_have(rate, sum->bytes, bytes - before)) {
        return false;
    }
    uint64_t *times = malloc(bytes);
    if (times == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < entry->count; i++) {
        times[i] = entry->times[(entry->first + i) & (entry->capacity - 1)];
    }
    if (entry->times != entry->few) {
        free(entry->times);
    }
    entry->times = times;
    entry->capacity *= 2;
    entry->first = 0;
    entry->bytes = ENTRY_BYTES + bytes;
    count_bytes(rate, sum, (int64_t)(bytes - before));
    return true;
}

/* ---- the window ---- */

static uint64_t *time_at(const struct rate_entry *entry, uint32_t i)
{
    DCHECK(i < entry->count);
    return &entry->times[(entry->first + i) & (entry->capacity - 1)];
}

static uint64_t ms_of(uint64_t time)
{
    return time >> TIME_BITS;
}

/* The time under which a vote is counted: now, or the end of the part of the window that is told
 * apart. Threads sample the clock on their own, so a vote may have a time before the last one's:
 * it is counted under that one. */
static uint64_t vote_ms(const struct rate_entry *entry, const struct rate_ask *ask)
{
    uint64_t part_ms = ask->n > RATE_TIMES ? ask->per_ms / RATE_TIMES + 1 : 1;
    uint64_t ms = (ask->now_ms + part_ms - 1) / part_ms * part_ms;
    uint64_t last_ms = entry->count > 0 ? ms_of(*time_at(entry, entry->count - 1)) : 0;
    return ms > last_ms ? ms : last_ms;
}

static void slide(struct rate_entry *entry, const struct rate_ask *ask)
{
    while (entry->count > 0 && ms_of(*time_at(entry, 0)) + ask->per_ms <= ask->now_ms) {
        /* count_votes has added the votes of each time to the entry's */
        CHECK(entry->votes >= (*time_at(entry, 0) & VOTES_OF_TIME));
        entry->votes -= (uint32_t)(*time_at(entry, 0) & VOTES_OF_TIME);
        entry->first++;
        entry->count--;
    }
}

/* Returns the time until enough of the oldest votes have left the window for the wanted ones. */
static uint64_t entry_wait_ms(const struct rate_entry *entry, const struct rate_ask *ask)
{
    uint64_t left = entry->votes;
    for (uint32_t i = 0; i < entry->count && left + ask->votes > ask->n; i++) {
        left -= *time_at(entry, i) & VOTES_OF_TIME;
        if (left + ask->votes <= ask->n) {
            return ms_of(*time_at(entry, i)) + ask->per_ms - ask->now_ms;
        }
    }
    return 0;
}

static bool count_votes(struct rate *rate, struct shard *shard, struct rate_entry *entry,
                        const struct rate_ask *ask)
{
    uint64_t ms = vote_ms(entry, ask);
    bool is_same = entry->count > 0 && ms_of(*time_at(entry, entry->count - 1)) == ms;
    if (!is_same) {
        if (!reserve(rate, shard, entry)) {
            return false;
        }
        entry->count++;
        *time_at(entry, entry->count - 1) = ms << TIME_BITS;
    }
    /* entry_wait_ms lets no more votes than the limit into a window, and a limit is below 2^20 */
    CHECK((*time_at(entry, entry->count - 1) & VOTES_OF_TIME) + ask->votes <= VOTES_OF_TIME);
    *time_at(entry, entry->count - 1) += ask->votes;
    entry->votes += (uint32_t)ask->votes;
    uint64_t end_ms = ms + ask->per_ms;
    entry->end_ms = end_ms > entry->end_ms ? end_ms : entry->end_ms;
    return true;
}

static struct shard *shard_of(struct rate *rate, const struct rate_ask *ask)
{
    return &rate->shards[hash_address(rate, &ask->from) >> 32 & (SHARDS - 1)];
}

int rate_take(struct rate *rate, const struct rate_ask *ask, uint64_t *retry_ms)
{
    struct shard *shard = shard_of(rate, ask);
    int err = 0;
    /* 0 is the sum's; and callers ask only about polls with a limit: edge_vote_rate */
    CHECK(ask->poll != 0 && ask->per_ms > 0);
    if (ask->votes > ask->n) {
        return TALLY_RANGE;
    }
    pthread_mutex_lock(&shard->lock);
    sweep(rate, shard, ask->now_ms, SWEEP);
    struct rate_entry *entry = entry_for(rate, shard, ask);
    if (entry != NULL) {
        slide(entry, ask);
        *retry_ms = entry_wait_ms(entry, ask);
        err = *retry_ms > 0 ? TALLY_RATE : 0;
    }
    if (entry == NULL || (err == 0 && !count_votes(rate, shard, entry, ask))) {
        *retry_ms = BUSY_RETRY_MS;
        err = TALLY_BUSY;
    }
    pthread_mutex_unlock(&shard->lock);
    return err;
}

void rate_give_back(struct rate *rate, const struct rate_ask *ask)
{
    struct shard *shard = shard_of(rate, ask);
    pthread_mutex_lock(&shard->lock);
    struct rate_entry *entry = *entry_find(rate, shard, ask->poll, &ask->from);
    uint64_t *time = NULL; /* the first at or after the ask's: other votes may have come since */
    for (uint32_t i = entry != NULL ? entry->count : 0;
         i > 0 && ms_of(*time_at(entry, i - 1)) >= ask->now_ms; i--) {
        bool is_enough = (*time_at(entry, i - 1) & VOTES_OF_TIME) >= ask->votes;
        time = is_enough ? time_at(entry, i - 1) : time;
    }
    if (time != NULL) {
        /* this time has so many votes, and the entry counts those of all times */
        CHECK(entry->votes >= ask->votes);
        *time -= ask->votes;
        entry->votes -= (uint32_t)ask->votes;
        while (entry->count > 0 && (*time_at(entry, entry->count - 1) & VOTES_OF_TIME) == 0) {
            entry->count--;
        }
    }
    pthread_mutex_unlock(&shard->lock);
}
