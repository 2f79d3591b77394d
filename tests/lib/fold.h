/* The log of polls, folded by a few rules of its own: what every option has behind each record. */
#ifndef TALLY_TESTS_LIB_FOLD_H
#define TALLY_TESTS_LIB_FOLD_H

#include "tests/lib/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The rules, written anew and from the protocol, so that they agree with the server's only if both
 * are right:
 *   VOTE     option += n; its `votes` is what the option has then; the poll is open, and free
 *   BALLOT   counts when the poll is not free and open at the record's time, it has a voter, its
 *            key is new, and, with mode once, its voter has not voted: the voter's options lose a
 *            vote each, the named ones get one
 *   UNVOTE   the voter's options lose a vote each, when the poll is not free and open
 *   SEED     as VOTE
 *   RESET    the poll's options and voters have nothing
 *   POLLDEL  the poll and its options are there no more; another one may get the name
 * What tally-wal says of a record (`refused=`) has to be what these rules say.
 */
enum { FOLD_OPTIONS_MAX = 64, FOLD_WORD_MAX = 160, FOLD_TYPE_MAX = 24 };

struct fold_poll {
    char name[FOLD_WORD_MAX];
    uint64_t mode, open_ms, close_ms;
    bool is_open;
    uint64_t total;  /* votes of its options */
    uint64_t voters; /* that have a vote now */
};

struct fold_option {
    size_t poll;
    uint64_t votes;
};

/* The record that was taken last. */
struct fold_record {
    uint64_t lsn, ms;
    char type[FOLD_TYPE_MAX];
    bool has_counted; /* a vote that counted, or an UNVOTE that took one */
    size_t poll;      /* of a vote, as those below */
    uint64_t options[FOLD_OPTIONS_MAX];
    uint64_t votes[FOLD_OPTIONS_MAX]; /* that these have behind it */
    size_t option_count;
    uint64_t prev; /* the first option that the voter had; 0: none */
    char voter[FOLD_WORD_MAX], key[FOLD_WORD_MAX];
};

struct fold {
    struct fold_poll *polls;     /* from 1 on, as POLL records make them */
    struct fold_option *options; /* by id */
    size_t poll_count, option_count, poll_room, option_room;
    void *voters, *keys; /* trees */
    char *text, *rest;
    struct fold_record record;
};

/* Dumps the log of the server, running or not. */
void fold_begin(struct fold *fold, const struct server *server);
void fold_fini(struct fold *fold);

/* Takes the next record, expects that it follows from those before. Returns false at the end. */
bool fold_next(struct fold *fold);

/* Takes all records up to this one, which must be there; or all. */
void fold_to(struct fold *fold, uint64_t lsn);
void fold_all(struct fold *fold);

/* Returns the votes of an option, 0 of one that is not there. */
uint64_t fold_votes(const struct fold *fold, uint64_t option);

/* Returns the poll; expects that it is there. */
const struct fold_poll *fold_poll(const struct fold *fold, const char *name);

/* Expects that the option has so many votes. */
void fold_expect_votes(const struct fold *fold, uint64_t option, uint64_t votes);

#endif
