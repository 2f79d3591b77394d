/* Records to bytes and back: one block's records, stored by column so that they compress. */
#ifndef TALLY_ENGINE_LOG_COLUMNS_H
#define TALLY_ENGINE_LOG_COLUMNS_H

#include "engine/log/record.h"

#include <stddef.h>
#include <stdint.h>

/*
 *     block  = varint time_ms , column kinds , column option , column before , column n ,
 *              column rest
 *     column = varint bytes , bytes
 *
 * kinds: one byte a record, its type. option, before, n: one varint for each VOTE without texts.
 * rest: a row (engine/log/row.h) for each other record.
 *
 * `before` is stored less what the block itself tells: after a vote of the same option (the last
 * one that had its place of VOTE_GUESSES) it is what that vote left, so nothing remains but zeros.
 * The first one of an option says it whole: blocks do not depend on each other.
 *
 * A VOTE with texts (a voter, a key) stands in `rest` under type VOTE | 0x40. Numbers and lengths
 * are varints of wal/base/bytes.h.
 */
enum { COLUMNS = 5 };

enum { VOTE_GUESSES = 256 };

/* What the votes of a block left, for the next `before` of the same option. */
struct vote_guess {
    uint64_t option;
    uint64_t after;
};

struct column {
    unsigned char *at;
    size_t len;
    size_t capacity;
};

/* The encoder keeps its memory from block to block. Zero is its empty state. */
struct columns {
    struct column column[COLUMNS];
    struct vote_guess guess[VOTE_GUESSES];
    unsigned char guessed[VOTE_GUESSES]; /* places that this block uses; no option is 0 */
    uint32_t guessed_count;
    uint64_t time_ms;
    uint32_t count;
    unsigned char *block;
    size_t block_capacity;
};

void columns_fini(struct columns *columns);
void columns_begin(struct columns *columns, uint64_t time_ms);

/* Bytes the block would have now, give or take the heads. */
size_t columns_bytes(const struct columns *columns);

/* Appends a record (lsn and time are those of the block). Errors: NOMEM. */
int columns_vote(struct columns *columns, uint64_t option, uint64_t before, uint32_t n);
int columns_add(struct columns *columns, const struct record *record);

/* The block's bytes, good until the next begin. Errors: NOMEM. */
int columns_end(struct columns *columns, const unsigned char **block, size_t *len);

/* What stands before the records: the block's time, and the type of each record, one byte each.
 * They point into the block. Errors: CORRUPT. */
int columns_head(const void *block, size_t len, uint32_t count, uint64_t *time_ms,
                 const unsigned char **types);

struct columns_visitor {
    int (*record)(void *arg, const struct record *record); /* texts point into the block */
    int (*votes)(void *arg, const struct vote_run *run);   /* NULL: they come as records, too */
    void *arg;
};

/*
 * Decodes a block of count records and hands them over in order. Returns 0, CORRUPT when the bytes
 * are not exactly such a block, NEWER for a type it must know and does not, or what the visitor
 * returned.
 */
int columns_visit(const void *block, size_t len, uint64_t first_lsn, uint32_t count,
                  const struct columns_visitor *visitor);

/* The same, every record by itself. */
int columns_decode(const void *block, size_t len, uint64_t first_lsn, uint32_t count,
                   int (*fn)(void *arg, const struct record *record), void *arg);

#endif
