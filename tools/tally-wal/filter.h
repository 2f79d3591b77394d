/* Which records a dump shows. */
#ifndef TALLY_TOOLS_TALLY_WAL_FILTER_H
#define TALLY_TOOLS_TALLY_WAL_FILTER_H

#include "engine/log/record.h"

#include <stdbool.h>
#include <stdint.h>

/* engine/state/state.h, which a file that reads the command line cannot see: both know a struct
 * option. */
struct state;
struct apply_result;
struct blob;

/*
 * A record is shown when its lsn, its time and its type are wanted, and, where an option or a build
 * is named, when it is about that option or that build.
 */
struct filter {
    uint64_t from_lsn;
    uint64_t to_lsn;
    uint64_t since_ms;
    uint64_t until_ms;
    uint64_t types;          /* 1 << record type; 0: all */
    uint64_t option;         /* 0: not by id */
    struct blob *option_key; /* "poll/folded label"; NULL: not by name */
    uint64_t build;          /* 0: not by build */
};

void filter_init(struct filter *filter);
void filter_fini(struct filter *filter);

/* "VOTE,CLAIM", in any case. Returns NULL, or the word that is no type. */
const char *filter_types(struct filter *filter, const char *list);

/* An id or poll/label. Returns whether it can be one; false without memory, too. */
bool filter_option(struct filter *filter, const char *word);

/* Whether no later record can be wanted. */
bool filter_is_past(const struct filter *filter, const struct record *record);

/* REQUIRES: the record has been applied, and that is its result. */
bool filter_takes(const struct filter *filter, const struct state *state,
                  const struct record *record, const struct apply_result *result);

#endif
