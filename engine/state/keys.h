/* The keys of requests: each with the first reply, so that a repeated request gets it again. */
#ifndef TALLY_ENGINE_STATE_KEYS_H
#define TALLY_ENGINE_STATE_KEYS_H

#include "engine/base/index.h"
#include "engine/base/ledger.h"
#include "engine/edge.h"
#include "engine/limits.h"
#include "engine/log/record.h"

#include <sys/queue.h>

/*
 *     index: verb and key ──┐
 *                           ▼
 *     order:  oldest ── key ── key ── key ── newest        lsns rise, times never fall
 *             keys_drop ▲                       ▲ keys_put
 *
 * A key is remembered for KEYS_WINDOW_MS of record time, while it is among the newest KEYS_MAX, and
 * until a FORGET drops it because keys take more than their share of the memory
 * (engine/commit/forget.h). A
 * key whose time is over counts as absent at once, though its entry goes only when it is the
 * oldest: an entry is never taken out of the middle. A request with such a key gets a new entry,
 * and the old one, which nobody can find any more, stays until its turn. So the order is that of
 * the lsns at all times, and a capture walks along it while apply drops entries in front.
 *
 * An entry never changes. All of it is a function of the log: what apply puts and drops, by the
 * times of records.
 *
 * Synchronization: the thread that applies, alone; nobody else reads. Reclamation: keys_drop frees.
 */
struct keyed_reply {
    TAILQ_ENTRY(keyed_reply) order;
    uint64_t lsn; /* of the record that was decided first */
    uint64_t time_ms;
    uint64_t fingerprint; /* keys_fingerprint */
    uint64_t value;       /* this and the following fields: struct edge_result */
    bool nil;
    uint8_t value_count;
    uint8_t prev_count;
    uint8_t name_len;   /* of the verb, one byte, and the key */
    uint64_t numbers[]; /* the values, then those of prev, then the name's bytes */
};

TAILQ_HEAD(keyed_reply_list, keyed_reply);

struct keys {
    struct index by_name;
    struct keyed_reply_list order;
    uint64_t count;
    uint64_t count_max;
    uint64_t bytes;        /* the weight of all */
    struct ledger *ledger; /* borrowed */
};

/* What is to be remembered of a request that was decided. */
struct key_entry {
    unsigned verb;    /* the type of its record, below RECORD_TYPES */
    struct span text; /* the key, 1 to KEY_LEN_MAX bytes */
    uint64_t fingerprint;
    uint64_t lsn;
    uint64_t time_ms;
    struct edge_result reply; /* `dup` is not stored */
};

/* Makes it empty; it remembers at most count_max keys. Errors: NOMEM. */
int keys_init(struct keys *keys, uint64_t count_max, struct ledger *ledger);

/* Frees all keys; the ledger is not touched any more. */
void keys_fini(struct keys *keys);

/* Returns the key of a verb as it is known at a time; NULL: it is not, or its time is over. */
const struct keyed_reply *keys_find(const struct keys *keys, unsigned verb, struct span text,
                                    uint64_t now_ms);

/*
 * Remembers a request as the newest. REQUIRES: keys_find does not find its key at entry->time_ms;
 * there is room (keys_due); lsn is above that of the newest key, time_ms not below its time.
 * Errors: NOMEM; then nothing has changed.
 */
int keys_put(struct keys *keys, const struct key_entry *entry);

/* Returns the oldest key if it has to be dropped before another one is put: its time is over, or
 * there is no room. NULL: none has to be. */
const struct keyed_reply *keys_due(const struct keys *keys, uint64_t now_ms);

/* Returns the lsn up to which keys are to be dropped, oldest first, so that no more than bytes_max
 * are left, and none whose time was over an hour ago; at most a slice of them. 0: none. For the
 * committer; apply drops what stands in the record. */
uint64_t keys_surplus(const struct keys *keys, uint64_t now_ms, uint64_t bytes_max);

/* Drops the oldest key. REQUIRES: there is one. */
void keys_drop(struct keys *keys);

/* Returns the next key, or the oldest one for NULL; NULL at the end. The lsns rise. */
const struct keyed_reply *keys_next(const struct keys *keys, const struct keyed_reply *key);

/* Fills in what was put. Owns: its text and numbers are the key's. */
void keys_entry(const struct keyed_reply *key, struct key_entry *entry);

/* The memory of a key, about; and that of a new one with this text and so many numbers beside its
 * value: 0 without a text. */
uint64_t keys_weight(const struct keyed_reply *key);
uint64_t keys_growth(struct span text, unsigned numbers);

/*
 * Returns the hash of what a request asks for: of all fields of its record but the key, and but
 * those that the server adds (the votes before a step). Two requests with one key and different
 * hashes are different requests. It stands in snapshots, so it never changes.
 */
uint64_t keys_fingerprint(const struct record *record);

#endif
