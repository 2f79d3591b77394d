/* The voters of a poll: linear hashing over the entries of an arena. */
#include "engine/state/voters.h"

#include "wal/base/check.h"
#include "wal/base/err.h"
#include "wal/format/codec.h"

#include <stdlib.h>
#include <string.h>

enum {
    PAGE_BITS = 14,
    PAGE_BUCKETS = 1 << PAGE_BITS,
    BUCKETS_FIRST = 16,
    BUCKETS_A_VOTER = 2,     /* at least, but for what a failed allocation has put off */
    BUCKETS_A_VOTER_MAX = 4, /* when more voters have left, buckets are taken away */
    SPLITS_A_PUT = 3,
    SPLITS_AHEAD = 16,
    MERGES_A_REMOVE = 16,
    MOVES = 12,         /* blocks that a change passes in the chunk that is being emptied */
    CHUNKS_AT_ONCE = 8, /* the rest of an empty set is freed with its last voter */
    ALLOCATION = 16,    /* bytes that the allocator takes itself */
};

/* The units of an entry. */
enum { HEAD, NEXT, PLACES, ENTRY_END = 11 };

static struct span entry_voter(const uint32_t *entry)
{
    return (struct span){(const char *)&entry[PLACES + voters_head_count(entry[HEAD])],
                         voters_head_len(entry[HEAD])};
}

static uint32_t *entry_at(const struct voters *voters, uint32_t offset)
{
    return voters_arena_at(&voters->arena, offset);
}

static uint64_t hash_of(const struct voters *voters, struct span voter)
{
    return wal_codec_checksum(voter.at, voter.len, voters->seed);
}

/* ---- buckets ---- */

static uint32_t *bucket_at(const struct voters *voters, uint64_t bucket)
{
    DCHECK(bucket < voters->buckets);
    return &voters->pages[bucket >> PAGE_BITS][bucket & (PAGE_BUCKETS - 1)];
}

/* The least power of two that is not below count, less 1. REQUIRES: count is 2 or more. */
static uint64_t mask_of(uint64_t count)
{
    return ((uint64_t)1 << (64 - __builtin_clzll(count - 1))) - 1;
}

/* While there are between 2^k and 2^(k+1) buckets, a hash has its bucket by k+1 bits, or by k when
 * that bucket is not there yet. */
static uint64_t bucket_of(const struct voters *voters, uint64_t hash)
{
    uint64_t mask = mask_of(voters->buckets);
    return (hash & mask) < voters->buckets ? hash & mask : hash & (mask >> 1);
}

/* The bucket that has the entries of the last of `count` buckets while that is not there. */
static uint64_t buddy_of_last(uint64_t count)
{
    return (count - 1) & (mask_of(count) >> 1);
}

/* The first page grows with the set, until it is as large as the others. */
static bool grow_first_page(struct voters *voters)
{
    uint32_t room = voters->first_room > 0 ? voters->first_room * 2 : BUCKETS_FIRST;
    uint32_t *page = realloc(voters->page_count > 0 ? voters->pages[0] : NULL, room * sizeof *page);
    if (page == NULL) {
        return false;
    }
    voters->pages[0] = page;
    voters->page_count = 1;
    voters->bytes += (room - voters->first_room) * sizeof *page;
    voters->first_room = room;
    return true;
}

static bool grow_list_of_pages(struct voters *voters)
{
    uint32_t room = voters->page_room * 2 + (voters->page_room == 0);
    uint32_t **pages = realloc(voters->pages, room * sizeof *pages);
    if (pages == NULL) {
        return false;
    }
    voters->bytes += (room - voters->page_room) * sizeof *pages;
    voters->pages = pages;
    voters->page_room = room;
    return true;
}

/* Makes room for one bucket more, or many. Returns whether there is memory. */
static bool grow_pages(struct voters *voters)
{
    if (voters->page_count == voters->page_room && !grow_list_of_pages(voters)) {
        return false;
    }
    if (voters->first_room < PAGE_BUCKETS) {
        return grow_first_page(voters);
    }
    uint32_t *page = malloc(PAGE_BUCKETS * sizeof *page);
    if (page == NULL) {
        return false;
    }
    voters->pages[voters->page_count++] = page;
    voters->bytes += PAGE_BUCKETS * sizeof *page + ALLOCATION;
    return true;
}

static uint64_t bucket_room(const struct voters *voters)
{
    return voters->page_count <= 1 ? voters->first_room
                                   : (uint64_t)voters->page_count * PAGE_BUCKETS;
}

/* Adds an empty bucket at the end. Returns whether there is memory. */
static bool add_bucket(struct voters *voters)
{
    if (voters->buckets == bucket_room(voters) && !grow_pages(voters)) {
        return false;
    }
    voters->buckets++;
    *bucket_at(voters, voters->buckets - 1) = 0;
    return true;
}

/* Adds a bucket, and gives it its entries. */
static bool split(struct voters *voters)
{
    if (!add_bucket(voters)) {
        return false;
    }
    uint64_t last = voters->buckets - 1;
    uint64_t mask = mask_of(voters->buckets);
    uint32_t *from = bucket_at(voters, buddy_of_last(voters->buckets));
    uint32_t *to = bucket_at(voters, last);
    while (*from != 0) {
        uint32_t *entry = entry_at(voters, *from);
        if ((hash_of(voters, entry_voter(entry)) & mask) == last) {
            *to = *from;
            *from = entry[NEXT];
            to = &entry[NEXT];
        } else {
            from = &entry[NEXT];
        }
    }
    *to = 0;
    return true;
}

/* The first entry of the bucket that a later split will read; 0: none. */
static uint32_t split_entry(const struct voters *voters, uint64_t ahead)
{
    uint64_t buddy = buddy_of_last(voters->buckets + ahead);
    return *bucket_at(voters, buddy < voters->buckets ? buddy : 0);
}

/* Brings near what later splits will read: the first entry of a bucket, then the second. */
static void prefetch_split(const struct voters *voters)
{
    uint32_t offset = split_entry(voters, SPLITS_AHEAD);
    if (offset != 0) {
        __builtin_prefetch(entry_at(voters, offset));
    }
    offset = split_entry(voters, SPLITS_AHEAD / 2);
    offset = offset != 0 ? entry_at(voters, offset)[NEXT] : 0;
    if (offset != 0) {
        __builtin_prefetch(entry_at(voters, offset));
    }
}

static void grow(struct voters *voters)
{
    for (int i = 0; i < SPLITS_A_PUT && voters->buckets < voters->count * BUCKETS_A_VOTER; i++) {
        if (!split(voters)) {
            return; /* chains are longer meanwhile */
        }
        prefetch_split(voters);
    }
}

/* Takes the last bucket away: its entries go to the bucket that they came from. */
static void merge(struct voters *voters)
{
    uint32_t *into = bucket_at(voters, buddy_of_last(voters->buckets));
    uint32_t first = *bucket_at(voters, voters->buckets - 1);
    while (first != 0 && *into != 0) {
        into = &entry_at(voters, *into)[NEXT];
    }
    if (first != 0) {
        *into = first;
    }
    voters->buckets--;
    if (voters->page_count > 1 && (voters->buckets & (PAGE_BUCKETS - 1)) == 0) {
        free(voters->pages[--voters->page_count]);
        voters->bytes -= PAGE_BUCKETS * sizeof(uint32_t) + ALLOCATION;
    } else if (voters->page_count == 1 && voters->buckets <= voters->first_room / 4) {
        uint32_t *page = realloc(voters->pages[0], voters->first_room / 2 * sizeof *page);
        if (page != NULL) {
            voters->pages[0] = page;
            voters->first_room /= 2;
            voters->bytes -= voters->first_room * sizeof *page;
        }
    }
}

static void shrink(struct voters *voters)
{
    for (int i = 0; i < MERGES_A_REMOVE && voters->buckets > BUCKETS_FIRST &&
                    voters->buckets > voters->count * BUCKETS_A_VOTER_MAX;
         i++) {
        merge(voters);
    }
}

/* Returns the link that leads to an entry, or the one at the end of the bucket. */
static uint32_t *find(const struct voters *voters, struct span voter)
{
    uint32_t *link = bucket_at(voters, bucket_of(voters, hash_of(voters, voter)));
    while (*link != 0) {
        uint32_t *entry = entry_at(voters, *link);
        __builtin_prefetch(&entry[ENTRY_END]); /* its end is often in the next line */
        if (span_equal(entry_voter(entry), voter)) {
            break;
        }
        link = &entry[NEXT];
    }
    return link;
}

/* Moves blocks together, a few with each change. */
static void compact(struct voters *voters)
{
    for (int i = 0; i < MOVES && voters_arena_is_loose(&voters->arena); i++) {
        uint32_t from = voters_arena_step(&voters->arena);
        if (from == 0) {
            continue;
        }
        uint32_t *link = bucket_at(
            voters, bucket_of(voters, hash_of(voters, entry_voter(entry_at(voters, from)))));
        while (*link != from) {
            link = &entry_at(voters, *link)[NEXT];
        }
        uint32_t to = voters_arena_move(&voters->arena, from);
        if (to == 0) {
            return;
        }
        *link = to;
    }
}

/* ---- the set ---- */

void voters_init(struct voters *voters, uint64_t seed)
{
    *voters = (struct voters){.seed = seed};
}

void voters_fini(struct voters *voters)
{
    voters_free_some(voters, UINT64_MAX);
}

bool voters_free_some(struct voters *voters, uint64_t pieces)
{
    for (; voters->page_count > 0 && pieces > 0; pieces--) {
        uint64_t room = voters->page_count > 1 ? PAGE_BUCKETS : voters->first_room;
        voters->bytes -= room * sizeof(uint32_t);
        free(voters->pages[--voters->page_count]);
    }
    if (voters->page_count > 0 || !voters_arena_free_some(&voters->arena, &pieces)) {
        return false;
    }
    free(voters->pages);
    voters_init(voters, voters->seed);
    return true;
}

void voters_reserve(struct voters *voters, uint64_t count)
{
    CHECK(voters->count == 0); /* a load reserves before it puts */
    while (voters->buckets < count * BUCKETS_A_VOTER && add_bucket(voters)) {
    }
}

void voters_prefetch(const struct voters *voters, struct span voter)
{
    if (voters->count > 0) {
        __builtin_prefetch(bucket_at(voters, bucket_of(voters, hash_of(voters, voter))));
    }
}

void voters_prefetch_entry(const struct voters *voters, struct span voter)
{
    uint32_t offset =
        voters->count > 0 ? *bucket_at(voters, bucket_of(voters, hash_of(voters, voter))) : 0;
    if (offset != 0) {
        __builtin_prefetch(entry_at(voters, offset));
    }
}

static struct voters_view view_of(const struct voters *voters, uint32_t offset)
{
    const uint32_t *entry = entry_at(voters, offset);
    return (struct voters_view){.voter = entry_voter(entry),
                                .places = &entry[PLACES],
                                .count = voters_head_count(entry[HEAD]),
                                .mark = entry[HEAD] & VOTERS_MARK_MASK,
                                .offset = offset};
}

bool voters_find(const struct voters *voters, struct span voter, struct voters_view *view)
{
    uint32_t offset = voters->count > 0 ? *find(voters, voter) : 0;
    if (offset != 0) {
        *view = view_of(voters, offset);
    }
    return offset != 0;
}

static void fill(uint32_t *at, const struct voters_entry *entry, uint32_t next)
{
    uint32_t len = (uint32_t)entry->voter.len;
    at[HEAD] =
        (entry->count - 1) << 26 | (len - 1) << VOTERS_MARK_BITS | (entry->mark & VOTERS_MARK_MASK);
    at[NEXT] = next;
    memcpy(&at[PLACES], entry->places, entry->count * sizeof *at);
    at[PLACES + entry->count + (len - 1) / 4] = 0; /* no byte of an entry is left undefined */
    memcpy(&at[PLACES + entry->count], entry->voter.at, len);
}

int voters_put(struct voters *voters, const struct voters_entry *entry)
{
    /* bounds.c refuses other lengths and counts, of a request, a record and an image */
    CHECK(entry->voter.len >= 1 && entry->voter.len <= VOTERS_LEN_MAX);
    CHECK(entry->count >= 1 && entry->count <= VOTERS_OPTIONS_MAX); /* as above */
    while (voters->buckets < BUCKETS_FIRST) {
        if (!add_bucket(voters)) {
            return TALLY_NOMEM;
        }
    }
    uint32_t *link = find(voters, entry->voter);
    uint32_t old = *link;
    if (old != 0 && voters_head_count(*entry_at(voters, old)) == entry->count) {
        fill(entry_at(voters, old), entry, entry_at(voters, old)[NEXT]);
        return 0;
    }
    uint32_t units = voters_entry_units(entry->count, (uint32_t)entry->voter.len);
    uint32_t offset = voters_arena_take(&voters->arena, units);
    if (offset == 0) {
        return TALLY_NOMEM;
    }
    fill(entry_at(voters, offset), entry, old != 0 ? entry_at(voters, old)[NEXT] : 0);
    *link = offset;
    if (old != 0) {
        voters_arena_give(&voters->arena, old);
    } else {
        voters->count++;
        grow(voters);
    }
    compact(voters);
    return 0;
}

bool voters_remove(struct voters *voters, struct span voter)
{
    uint32_t *link = voters->count > 0 ? find(voters, voter) : NULL;
    if (link == NULL || *link == 0) {
        return false;
    }
    uint32_t offset = *link;
    *link = entry_at(voters, offset)[NEXT];
    voters_arena_give(&voters->arena, offset);
    voters->count--;
    shrink(voters);
    compact(voters);
    if (voters->count == 0 && voters->page_count <= CHUNKS_AT_ONCE &&
        voters->arena.used <= CHUNKS_AT_ONCE * VOTERS_CHUNK_UNITS) {
        voters_fini(voters);
    }
    return true;
}

void voters_mark(struct voters *voters, const struct voters_view *view, uint32_t mark)
{
    uint32_t *head = entry_at(voters, view->offset);
    *head = (*head & ~VOTERS_MARK_MASK) | (mark & VOTERS_MARK_MASK);
}

uint64_t voters_bytes(const struct voters *voters)
{
    return voters->bytes + voters->arena.bytes;
}

void voters_walk(struct voters *voters)
{
    voters->walk = (struct voters_cursor){0, 0};
    voters->arena.walking = true;
}

bool voters_next(struct voters *voters, uint64_t *blocks, struct voters_view *view)
{
    uint32_t offset = 0;
    if (voters->arena.walking && *blocks > 0) {
        offset = voters_arena_next(&voters->arena, &voters->walk, blocks);
        voters->arena.walking = offset != 0 || voters->walk.chunk < voters->arena.chunk_count;
    }
    if (offset != 0) {
        *view = view_of(voters, offset);
    }
    return offset != 0;
}

bool voters_is_walked(const struct voters *voters)
{
    return !voters->arena.walking;
}

bool voters_each(const struct voters *voters, struct voters_cursor *cursor,
                 struct voters_view *view)
{
    uint64_t blocks = UINT64_MAX;
    uint32_t offset = voters_arena_next(&voters->arena, cursor, &blocks);
    if (offset != 0) {
        *view = view_of(voters, offset);
    }
    return offset != 0;
}
