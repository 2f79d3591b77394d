/* Vote limits: the times of the votes in each window, in bounded memory. */
#include "net/pipeline/rate.h"

#include "engine/base/index.h"
#include "net/pipeline/buckets.h"
#include "wal/base/bytes.h"
#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/base/mutant.h"
#include "wal/base/random.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 *     shard of the key     ── buckets ── entry {poll, kind, name} ── ring of times
 *       (one lock)                         │
 *     shard of the address ── buckets ── account {address}: the bytes of the entries that votes
 *       (one lock)                         from this address have made
 *
 * A time is `ms << TIME_BITS | votes`. An entry is found by its whole key, so no two voters share
 * one; the hash has a secret seed, so no client can aim at a bucket. An account lives as long as an
 * entry is counted in it.
 *
 * Synchronization table: entries are under the lock of their shard, accounts under that of theirs.
 * Who needs both takes the entry's first; nobody has two locks of one kind. The account of an entry
 * is set before the entry is in the table, and stays.
 */
enum {
    SHARDS = 64,
    TIMES_FEW = 4,    /* in the entry itself */
    TIME_BITS = 20,   /* bits of a time that hold its votes: a limit is below 2^20 */
    SWEEP = 4,        /* chains swept for each vote */
    SWEEP_BUSY = 256, /* the same when memory is short */
    SWEEP_TURN = 64,  /* the same in each shard by rate_sweep */
    BUSY_RETRY_MS = 1000,
    KEY_HEAD_BYTES = 9, /* poll and kind */
    KEY_BYTES_MAX = KEY_HEAD_BYTES + RATE_NAME_MAX,
    ADDRESS_BYTES = 16,
};
#define VOTES_OF_TIME (((uint64_t)1 << TIME_BITS) - 1)

struct rate_account {
    struct bucket_link link;
    struct rate_address from;
    uint64_t bytes; /* its own, and those of its entries */
};

struct rate_entry {
    struct bucket_link link;
    struct rate_account *account;
    uint64_t end_ms; /* when its last vote leaves the window */
    uint64_t *times; /* a ring; its capacity is a power of two */
    uint32_t capacity;
    uint32_t first;
    uint32_t count;
    uint32_t votes; /* in all times */
    uint64_t few[TIMES_FEW];
    uint8_t key_len;
    char key[]; /* poll, kind, name */
};

struct rate_shard {
    _Alignas(64) pthread_mutex_t lock;
    struct buckets buckets;
    uint64_t swept; /* number of chains swept so far */
};

struct rate {
    struct rate_shard entries[SHARDS];
    struct rate_shard accounts[SHARDS];
    struct ledger *ledger;
    uint64_t seed;
    uint64_t bytes_max;
};

enum { ACCOUNT_BYTES = sizeof(struct rate_account) + BUCKETS_ENTRY_BYTES };

static int shard_init(struct rate_shard *shard)
{
    shard->swept = 0;
    pthread_mutex_init(&shard->lock, NULL);
    return buckets_init(&shard->buckets);
}

static void shard_fini(struct rate_shard *shard)
{
    buckets_fini(&shard->buckets);
    pthread_mutex_destroy(&shard->lock);
}

int rate_new(struct rate **out, struct ledger *ledger)
{
    struct rate *rate = aligned_alloc(64, sizeof(*rate));
    if (rate == NULL) {
        return TALLY_NOMEM;
    }
    uint64_t most = ledger->ceiling / LEDGER_RESERVE_SHARE;
    int err = 0;
    rate->ledger = ledger;
    rate->seed = random_seed();
    rate->bytes_max = most < RATE_BYTES_MAX ? most : RATE_BYTES_MAX;
    for (int i = 0; i < SHARDS; i++) {
        int entries_err = shard_init(&rate->entries[i]);
        int accounts_err = shard_init(&rate->accounts[i]);
        err = entries_err != 0 ? entries_err : accounts_err != 0 ? accounts_err : err;
    }
    if (err != 0) {
        rate_destroy(rate);
        return err;
    }
    *out = rate;
    return 0;
}

/* ---- keys ---- */

struct rate_key {
    uint64_t hash;
    size_t len;
    char at[KEY_BYTES_MAX];
};

static void put_address(char *to, const struct rate_address *address)
{
    put_le64(to, address->high);
    put_le64(to + 8, address->low);
}

static void make_key(const struct rate *rate, const struct rate_ask *ask, struct rate_key *key)
{
    put_le64(key->at, ask->poll);
    key->at[KEY_HEAD_BYTES - 1] = (char)ask->kind;
    key->len = KEY_HEAD_BYTES;
    if (ask->kind == RATE_BY_ADDRESS) {
        put_address(key->at + KEY_HEAD_BYTES, &ask->from);
        key->len += ADDRESS_BYTES;
    } else {
        /* cmd_vote refuses longer words */
        CHECK(ask->name.len > 0 && ask->name.len <= RATE_NAME_MAX);
        memcpy(key->at + KEY_HEAD_BYTES, ask->name.at, ask->name.len);
        key->len += ask->name.len;
    }
    key->hash = index_hash((struct span){key->at, key->len}, rate->seed);
}

/* The shard is chosen by other bits of a hash than the chain. */
static size_t shard_of(uint64_t hash)
{
    return hash >> 32 & (SHARDS - 1);
}

/* ---- accounts ---- */

/* Whether an address that has has_bytes may have so many bytes more. */
static bool may_have(const struct rate *rate, uint64_t has_bytes, uint64_t bytes)
{
    uint64_t all = ledger_of(rate->ledger, LEDGER_RATES);
    uint64_t half = rate->bytes_max / 2;
    uint64_t free_bytes = all < half ? half - all : 0;
    return all + bytes <= rate->bytes_max && (has_bytes + bytes <= RATE_LITTLE_BYTES ||
                                              has_bytes + bytes <= free_bytes / RATE_FREE_SHARE);
}

static struct rate_shard *account_shard(struct rate *rate, const struct rate_address *from,
                                        uint64_t *hash)
{
    char bytes[ADDRESS_BYTES];
    put_address(bytes, from);
    *hash = index_hash((struct span){bytes, sizeof(bytes)}, rate->seed);
    return &rate->accounts[shard_of(*hash)];
}

/* Returns the link to the account, or the end of its chain. */
static struct bucket_link **account_find(const struct rate_shard *shard, uint64_t hash,
                                         const struct rate_address *from)
{
    struct bucket_link **at = buckets_chain(&shard->buckets, hash);
    while (*at != NULL) {
        const struct rate_account *account = (struct rate_account *)*at;
        if (account->from.high == from->high && account->from.low == from->low) {
            break;
        }
        at = &(*at)->next;
    }
    return at;
}

/* Adds bytes to the account of an address, which is made if it is new. Returns the account; NULL:
 * the address may not have so many, or there is no memory. */
static struct rate_account *account_charge(struct rate *rate, const struct rate_address *from,
                                           uint64_t bytes)
{
    uint64_t hash = 0;
    struct rate_shard *shard = account_shard(rate, from, &hash);
    pthread_mutex_lock(&shard->lock);
    struct rate_account *account = (struct rate_account *)*account_find(shard, hash, from);
    if (MUTANT(MUTANT_ACCOUNT_APART)) {
        bool has_one = account != NULL && account->bytes < ACCOUNT_BYTES + 2 * bytes;
        pthread_mutex_unlock(&shard->lock);
        mutant_pause(has_one);
        pthread_mutex_lock(&shard->lock);
    }
    uint64_t more = account != NULL ? bytes : bytes + ACCOUNT_BYTES;
    if (!may_have(rate, account != NULL ? account->bytes : 0, more)) {
        account = NULL;
    } else {
        if (account == NULL && (account = malloc(sizeof(*account))) != NULL) {
            *account = (struct rate_account){.from = *from};
            buckets_put(&shard->buckets, &account->link, hash);
        }
        if (account != NULL) {
            account->bytes += more;
            ledger_add(rate->ledger, LEDGER_RATES, more);
        }
    }
    pthread_mutex_unlock(&shard->lock);
    return account;
}

/* Takes bytes off an account, and frees it with the last of its entries. */
static void account_credit(struct rate *rate, struct rate_account *account, uint64_t bytes)
{
    uint64_t hash = 0;
    struct rate_shard *shard = account_shard(rate, &account->from, &hash);
    pthread_mutex_lock(&shard->lock);
    /* all that is taken off was added by account_charge */
    CHECK(account->bytes >= bytes + ACCOUNT_BYTES);
    account->bytes -= bytes;
    ledger_sub(rate->ledger, LEDGER_RATES, bytes);
    if (account->bytes == ACCOUNT_BYTES) {
        ledger_sub(rate->ledger, LEDGER_RATES, ACCOUNT_BYTES);
        free(buckets_take(&shard->buckets, account_find(shard, hash, &account->from)));
    }
    pthread_mutex_unlock(&shard->lock);
}

/* ---- the entries of a shard ---- */

/* Without its times; rounded as malloc does it. */
static uint64_t entry_bytes(size_t key_len)
{
    return (offsetof(struct rate_entry, key) + key_len + 8 + 15) / 16 * 16 + BUCKETS_ENTRY_BYTES;
}

static uint64_t times_bytes(const struct rate_entry *entry)
{
    return entry->times != entry->few ? entry->capacity * sizeof(uint64_t) : 0;
}

/* Returns the link to the entry, or the end of its chain. */
static struct bucket_link **entry_find(const struct rate_shard *shard, const struct rate_key *key)
{
    struct bucket_link **at = buckets_chain(&shard->buckets, key->hash);
    while (*at != NULL) {
        const struct rate_entry *entry = (struct rate_entry *)*at;
        if (entry->link.hash == key->hash && entry->key_len == key->len &&
            memcmp(entry->key, key->at, key->len) == 0) {
            break;
        }
        at = &(*at)->next;
    }
    return at;
}

static void forget(struct rate *rate, struct rate_shard *shard, struct bucket_link **at)
{
    struct rate_entry *entry = (struct rate_entry *)buckets_take(&shard->buckets, at);
    account_credit(rate, entry->account, entry_bytes(entry->key_len) + times_bytes(entry));
    if (entry->times != entry->few) {
        free(entry->times);
    }
    free(entry);
}

void rate_destroy(struct rate *rate)
{
    for (int i = 0; i < SHARDS; i++) {
        struct rate_shard *shard = &rate->entries[i];
        for (uint64_t k = 0; k < shard->buckets.chain_count; k++) {
            while (shard->buckets.chains[k] != NULL) {
                forget(rate, shard, &shard->buckets.chains[k]);
            }
        }
        shard_fini(shard);
    }
    for (int i = 0; i < SHARDS; i++) {
        shard_fini(&rate->accounts[i]); /* the last entries have taken the accounts with them */
    }
    free(rate);
}

/* Forgets entries whose votes have left the window, in the next few chains. */
static void sweep(struct rate *rate, struct rate_shard *shard, uint64_t now_ms, unsigned chains)
{
    while (chains-- > 0) {
        struct bucket_link **at = buckets_chain(&shard->buckets, shard->swept++);
        while (*at != NULL) {
            if (((struct rate_entry *)*at)->end_ms <= now_ms) {
                forget(rate, shard, at);
            } else {
                at = &(*at)->next;
            }
        }
    }
}

bool rate_sweep(struct rate *rate, uint64_t now_ms)
{
    bool more = false;
    for (int i = 0; i < SHARDS; i++) {
        struct rate_shard *shard = &rate->entries[i];
        pthread_mutex_lock(&shard->lock);
        if (shard->buckets.entry_count > 0) {
            sweep(rate, shard, now_ms, SWEEP_TURN);
            if (shard->buckets.entry_count == 0) {
                buckets_shrink(&shard->buckets);
            }
        }
        more = more || shard->buckets.entry_count > 0;
        pthread_mutex_unlock(&shard->lock);
    }
    return more;
}

/* Returns the entry of the key, made if it is new; NULL: no memory for it. */
static struct rate_entry *entry_for(struct rate *rate, struct rate_shard *shard,
                                    const struct rate_ask *ask, const struct rate_key *key)
{
    struct rate_entry *entry = (struct rate_entry *)*entry_find(shard, key);
    if (entry != NULL) {
        return entry;
    }
    uint64_t bytes = entry_bytes(key->len);
    struct rate_account *account = account_charge(rate, &ask->from, bytes);
    if (account == NULL) {
        sweep(rate, shard, ask->now_ms, SWEEP_BUSY);
        account = account_charge(rate, &ask->from, bytes);
    }
    if (account == NULL) {
        return NULL;
    }
    entry = malloc(offsetof(struct rate_entry, key) + key->len);
    if (entry == NULL) {
        account_credit(rate, account, bytes);
        return NULL;
    }
    *entry = (struct rate_entry){
        .account = account, .capacity = TIMES_FEW, .key_len = (uint8_t)key->len};
    entry->times = entry->few;
    memcpy(entry->key, key->at, key->len);
    buckets_put(&shard->buckets, &entry->link, key->hash);
    return entry;
}

/* Makes room for one more time. False: the address may not have more memory, or there is none. */
static bool reserve(struct rate *rate, struct rate_entry *entry)
{
    DCHECK(entry->count <= entry->capacity);
    if (entry->count < entry->capacity) {
        return true;
    }
    uint64_t bytes = 2 * (uint64_t)entry->capacity * sizeof(uint64_t);
    uint64_t before = times_bytes(entry);
    if (account_charge(rate, &entry->account->from, bytes - before) == NULL) {
        return false;
    }
    uint64_t *times = malloc(bytes);
    if (times == NULL) {
        account_credit(rate, entry->account, bytes - before);
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

static bool count_votes(struct rate *rate, struct rate_entry *entry, const struct rate_ask *ask)
{
    uint64_t ms = vote_ms(entry, ask);
    bool is_same = entry->count > 0 && ms_of(*time_at(entry, entry->count - 1)) == ms;
    if (!is_same) {
        if (!reserve(rate, entry)) {
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

int rate_take(struct rate *rate, const struct rate_ask *ask, uint64_t *retry_ms)
{
    struct rate_key key;
    int err = 0;
    CHECK(ask->per_ms > 0); /* callers ask only about polls with a limit: edge_vote_rate */
    if (ask->votes > ask->n) {
        return TALLY_RANGE;
    }
    make_key(rate, ask, &key);
    struct rate_shard *shard = &rate->entries[shard_of(key.hash)];
    pthread_mutex_lock(&shard->lock);
    sweep(rate, shard, ask->now_ms, SWEEP);
    struct rate_entry *entry = entry_for(rate, shard, ask, &key);
    if (entry != NULL) {
        slide(entry, ask);
        *retry_ms = entry_wait_ms(entry, ask);
        err = *retry_ms > 0 ? TALLY_RATE : 0;
    }
    if (entry == NULL || (err == 0 && !count_votes(rate, entry, ask))) {
        *retry_ms = BUSY_RETRY_MS;
        err = TALLY_BUSY;
    }
    pthread_mutex_unlock(&shard->lock);
    return err;
}

void rate_give_back(struct rate *rate, const struct rate_ask *ask)
{
    struct rate_key key;
    make_key(rate, ask, &key);
    struct rate_shard *shard = &rate->entries[shard_of(key.hash)];
    pthread_mutex_lock(&shard->lock);
    struct rate_entry *entry = (struct rate_entry *)*entry_find(shard, &key);
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

/* ---- asks that are kept ---- */

struct rate_kept {
    struct rate_ask ask;
    char name[RATE_NAME_MAX];
};

struct rate_ask *rate_keep(struct rate *rate, const struct rate_ask *ask)
{
    struct rate_kept *kept = malloc(sizeof(*kept));
    if (kept == NULL) {
        return NULL;
    }
    kept->ask = *ask;
    kept->ask.name = (struct span){kept->name, ask->name.len};
    if (ask->name.len > 0) {
        /* make_key has checked it */
        CHECK(ask->name.len <= sizeof(kept->name));
        memcpy(kept->name, ask->name.at, ask->name.len);
    }
    ledger_add(rate->ledger, LEDGER_IN_FLIGHT, sizeof(*kept));
    return &kept->ask;
}

void rate_settle(struct rate *rate, struct rate_ask *kept, bool is_counted)
{
    if (kept == NULL) {
        return;
    }
    if (!is_counted) {
        rate_give_back(rate, kept);
    }
    ledger_sub(rate->ledger, LEDGER_IN_FLIGHT, sizeof(struct rate_kept));
    free(kept); /* the ask is its first member */
}
