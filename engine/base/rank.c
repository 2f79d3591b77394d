/* The rank: options sorted by votes, in chunks under a directory. */
#include "engine/base/rank.h"

#include "wal/base/check.h"
#include "wal/base/err.h"

#include <stdlib.h>
#include <string.h>

struct rank_chunk {
    uint32_t count;
    uint64_t key[RANK_CHUNK];
};

#define VOTES_MASK (((uint64_t)1 << RANK_VOTES_BITS) - 1)
#define PLACE_MASK (((uint64_t)1 << RANK_PLACE_BITS) - 1)

static uint64_t key_of(uint32_t place, uint64_t votes)
{
    DCHECK(place <= PLACE_MASK && votes <= VOTES_MASK); /* each fits its bits */
    return (VOTES_MASK - (votes & VOTES_MASK)) << RANK_PLACE_BITS | place;
}

/* Returns how many of the sorted keys are below `key`. */
static size_t count_below(const uint64_t *keys, size_t count, uint64_t key)
{
    size_t low = 0;
    while (count > 0) {
        size_t half = count / 2;
        bool is_right = keys[low + half] < key;
        low = is_right ? low + half + 1 : low;
        count = is_right ? count - half - 1 : half;
    }
    return low;
}

/* Returns the chunk into which a key belongs. */
static size_t chunk_of(const struct rank *rank, uint64_t key)
{
    size_t below = count_below(rank->first, rank->chunk_count, key);
    bool is_first = below < rank->chunk_count && rank->first[below] == key;
    return is_first || below == 0 ? below : below - 1;
}

/* ---- the directory ---- */

static struct rank_chunk *chunk_add(struct rank *rank, size_t at)
{
    DCHECK(at <= rank->chunk_count);
    struct rank_chunk *chunk = malloc(sizeof *chunk);
    if (rank->chunk_count == rank->chunk_capacity) {
        size_t capacity = rank->chunk_capacity * 2 + 16;
        struct rank_chunk **chunks = realloc((void *)rank->chunks, capacity * sizeof(void *));
        rank->chunks = chunks != NULL ? chunks : rank->chunks;
        uint64_t *first = realloc(rank->first, capacity * sizeof *first);
        rank->first = first != NULL ? first : rank->first;
        if (chunks == NULL || first == NULL) {
            free(chunk);
            return NULL;
        }
        rank->chunk_capacity = capacity;
    }
    if (chunk == NULL) {
        return NULL;
    }
    size_t behind = rank->chunk_count - at;
    memmove((void *)&rank->chunks[at + 1], (void *)&rank->chunks[at], behind * sizeof(void *));
    memmove(&rank->first[at + 1], &rank->first[at], behind * sizeof rank->first[0]);
    chunk->count = 0;
    rank->chunks[at] = chunk;
    rank->chunk_count++;
    return chunk;
}

static void chunk_remove(struct rank *rank, size_t at)
{
    DCHECK(at < rank->chunk_count);
    free(rank->chunks[at]);
    rank->chunk_count--;
    size_t behind = rank->chunk_count - at;
    memmove((void *)&rank->chunks[at], (void *)&rank->chunks[at + 1], behind * sizeof(void *));
    memmove(&rank->first[at], &rank->first[at + 1], behind * sizeof rank->first[0]);
}

/* Joins two neighbours if their keys fill at most half a chunk. */
static void chunks_join(struct rank *rank, size_t at)
{
    if (at + 1 >= rank->chunk_count) {
        return;
    }
    struct rank_chunk *chunk = rank->chunks[at];
    const struct rank_chunk *next = rank->chunks[at + 1];
    if (chunk->count + next->count <= RANK_CHUNK / 2) {
        DCHECK(chunk->key[chunk->count - 1] < next->key[0]); /* keys rise through all chunks */
        memcpy(&chunk->key[chunk->count], next->key, next->count * sizeof next->key[0]);
        chunk->count += next->count;
        rank->first[at] = chunk->key[0];
        chunk_remove(rank, at + 1);
    }
}

/* ---- keys ---- */

static int key_add(struct rank *rank, uint64_t key)
{
    size_t at = chunk_of(rank, key);
    struct rank_chunk *chunk = at < rank->chunk_count ? rank->chunks[at] : chunk_add(rank, at);
    if (chunk == NULL) {
        return TALLY_NOMEM;
    }
    if (chunk->count == RANK_CHUNK) {
        struct rank_chunk *half = chunk_add(rank, at + 1);
        if (half == NULL) {
            return TALLY_NOMEM;
        }
        chunk->count = RANK_CHUNK / 2;
        half->count = RANK_CHUNK - chunk->count;
        memcpy(half->key, &chunk->key[chunk->count], half->count * sizeof half->key[0]);
        rank->first[at + 1] = half->key[0];
        at += key > half->key[0];
        chunk = rank->chunks[at];
    }
    size_t i = count_below(chunk->key, chunk->count, key);
    DCHECK(chunk->count < RANK_CHUNK && (i == chunk->count || chunk->key[i] != key));
    memmove(&chunk->key[i + 1], &chunk->key[i], (chunk->count - i) * sizeof chunk->key[0]);
    chunk->key[i] = key;
    chunk->count++;
    rank->first[at] = chunk->key[0];
    return 0;
}

static void key_remove(struct rank *rank, uint64_t key)
{
    size_t at = chunk_of(rank, key);
    struct rank_chunk *chunk = rank->chunks[at];
    size_t i = count_below(chunk->key, chunk->count, key);
    /* the key of an option is made from votes[], and stays as long as the option */
    CHECK(i < chunk->count && chunk->key[i] == key);
    chunk->count--;
    memmove(&chunk->key[i], &chunk->key[i + 1], (chunk->count - i) * sizeof chunk->key[0]);
    if (chunk->count == 0) {
        chunk_remove(rank, at);
        return;
    }
    rank->first[at] = chunk->key[0];
    chunks_join(rank, at);
    if (at > 0) {
        chunks_join(rank, at - 1);
    }
}

/* ---- the rank ---- */

enum { DIGIT_BITS = 10, DIGITS = 1 << DIGIT_BITS };

static size_t digit_of(uint64_t key, unsigned shift)
{
    return key >> shift & (DIGITS - 1);
}

/* Copies the keys in the order of one digit, and of equal digits in the order they had. Returns
 * false, and copies nothing, when all have the same digit. */
static bool sort_by_digit(const uint64_t *keys, uint64_t *to, uint32_t count, unsigned shift)
{
    uint32_t place[DIGITS] = {0};
    for (uint32_t i = 0; i < count; i++) {
        place[digit_of(keys[i], shift)]++;
    }
    if (place[digit_of(keys[0], shift)] == count) {
        return false;
    }
    uint32_t before = 0;
    for (size_t digit = 0; digit < DIGITS; digit++) {
        uint32_t of_digit = place[digit];
        place[digit] = before;
        before += of_digit;
    }
    for (uint32_t i = 0; i < count; i++) {
        to[place[digit_of(keys[i], shift)]++] = keys[i];
    }
    return true;
}

/* Sorts keys whose places rise, so that only the votes have to be looked at: digit by digit, which
 * takes a fraction of the time of qsort. Returns where the sorted keys are: `keys` or `spare`. */
static uint64_t *sort_keys(uint64_t *keys, uint64_t *spare, uint32_t count)
{
    for (unsigned shift = RANK_PLACE_BITS; count > 0 && shift < 64; shift += DIGIT_BITS) {
        if (sort_by_digit(keys, spare, count, shift)) {
            uint64_t *sorted = spare;
            spare = keys;
            keys = sorted;
        }
    }
    return keys;
}

static int fill(struct rank *rank, const uint64_t *keys, uint32_t count)
{
    enum { FILL = RANK_CHUNK * 3 / 4 };
    for (uint32_t i = 0; i < count; i += FILL) {
        struct rank_chunk *chunk = chunk_add(rank, rank->chunk_count);
        if (chunk == NULL) {
            return TALLY_NOMEM;
        }
        chunk->count = count - i < FILL ? count - i : FILL;
        memcpy(chunk->key, &keys[i], chunk->count * sizeof keys[0]);
        rank->first[rank->chunk_count - 1] = keys[i];
    }
    return 0;
}

size_t rank_bytes(const struct rank *rank)
{
    return rank->chunk_count * sizeof(struct rank_chunk) + rank->capacity * sizeof rank->votes[0] +
           rank->chunk_capacity * (sizeof rank->chunks[0] + sizeof rank->first[0]);
}

int rank_build(struct rank *rank, uint64_t *votes, uint32_t count)
{
    DCHECK(rank->chunk_count == 0 && rank->total == 0);
    rank->votes = votes;
    rank->count = rank->capacity = count;
    uint64_t *keys = malloc((2 * (size_t)count + 1) * sizeof *keys);
    if (keys == NULL) {
        return TALLY_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = key_of(i, votes[i]);
        rank->total += votes[i];
    }
    int err = fill(rank, sort_keys(keys, keys + count, count), count);
    free(keys);
    return err;
}

void rank_fini(struct rank *rank)
{
    for (size_t i = 0; i < rank->chunk_count; i++) {
        free(rank->chunks[i]);
    }
    free((void *)rank->chunks);
    free(rank->first);
    free(rank->votes);
    *rank = (struct rank){0};
}

static int add_place(struct rank *rank, uint64_t votes)
{
    if (rank->count == rank->capacity) {
        uint32_t capacity = rank->capacity + rank->capacity / 2 + 16;
        uint64_t *grown = realloc(rank->votes, capacity * sizeof *grown);
        if (grown == NULL) {
            return TALLY_NOMEM;
        }
        rank->votes = grown;
        rank->capacity = capacity;
    }
    DCHECK(rank->count < rank->capacity);
    rank->votes[rank->count] = votes;
    rank->total += votes;
    return key_add(rank, key_of(rank->count++, votes));
}

int rank_set(struct rank *rank, uint32_t place, uint64_t votes)
{
    if (place >= rank->count) {
        return place == rank->count ? add_place(rank, votes) : TALLY_CORRUPT;
    }
    uint64_t before = rank->votes[place];
    if (before == votes) {
        return 0;
    }
    key_remove(rank, key_of(place, before));
    rank->votes[place] = votes;
    rank->total += votes - before;
    return key_add(rank, key_of(place, votes));
}

bool rank_next(const struct rank *rank, struct rank_at *at, uint32_t *place, uint64_t *votes)
{
    if (at->chunk == rank->chunk_count) {
        return false;
    }
    const struct rank_chunk *chunk = rank->chunks[at->chunk];
    DCHECK(at->i < chunk->count); /* no chunk is empty */
    uint64_t key = chunk->key[at->i];
    *place = (uint32_t)(key & PLACE_MASK);
    *votes = VOTES_MASK - (key >> RANK_PLACE_BITS);
    if (++at->i == chunk->count) {
        *at = (struct rank_at){at->chunk + 1, 0};
    }
    return true;
}
