/* Encodes and decodes the records of a block, stored by column so that they compress. */
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
 * `before` is stored as its difference from a guess: the votes that the last vote of the same
 * option in this block has left (VOTE_GUESSES options are remembered), so mostly zeros are stored.
 * The first vote of an option stores it whole: blocks do not depend on each other.
 *
 * A VOTE with texts (a voter, a key) stands in `rest` under type VOTE | 0x40. Numbers and lengths
 * are varints of wal/base/bytes.h.
 */
enum { COLUMNS = 5 };

enum { VOTE_GUESSES = 256 };

/* The votes that the last vote of an option left in this block: a guess of its next `before`. */
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
    size_t votes_len; /* of the block: columns_visit_votes */
};

void columns_fini(struct columns *columns);
void columns_begin(struct columns *columns, uint64_t time_ms);

/* Returns about how many bytes the block has now. */
size_t columns_bytes(const struct columns *columns);

/* Appends a record (lsn and time are those of the block). Errors: NOMEM. */
int columns_vote(struct columns *columns, uint64_t option, uint64_t before, uint32_t n);
int columns_add(struct columns *columns, const struct record *record);

/* Encodes the block; its bytes live until the next begin. Errors: NOMEM. */
int columns_end(struct columns *columns, const unsigned char **block, size_t *len);

/* Decodes the head of a block: its time, and the types of the records, one byte each, which point
 * into the block. Errors: CORRUPT. */
int columns_head(const void *block, size_t len, uint32_t count, uint64_t *time_ms,
                 const unsigned char **types);

struct columns_visitor {
    int (*record)(void *arg, const struct record *record); /* texts point into the block */
    int (*votes)(void *arg, const struct vote_run *run);   /* NULL: votes come as records, too */
    void *arg;
};

/*
 * Decodes a block of count records and hands them to the visitor in order. Returns 0; CORRUPT when
 * the bytes are not exactly such a block; NEWER for an unknown type that must not be skipped; or
 * the error of the visitor.
 */
int columns_visit(const void *block, size_t len, uint64_t first_lsn, uint32_t count,
                  const struct columns_visitor *visitor);

/* As columns_visit, but votes come one by one as records, too. */
int columns_decode(const void *block, size_t len, uint64_t first_lsn, uint32_t count,
                   int (*fn)(void *arg, const struct record *record), void *arg);

/* Returns how many of a block's first bytes columns_visit_votes needs. Errors: CORRUPT. */
int columns_votes_len(const void *block, size_t len, size_t *votes_len);

/*
 * Decodes the VOTEs without texts of a block from its first votes_len bytes, which are all of it
 * but `rest`, and hands them over in order. Errors: as columns_visit.
 */
int columns_visit_votes(const void *block, size_t votes_len, uint64_t first_lsn, uint32_t count,
                        const struct columns_visitor *visitor);

#endif
