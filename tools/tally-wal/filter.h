/* The filter of a dump: which records it shows. */
#ifndef TALLY_TOOLS_TALLY_WAL_FILTER_H
#define TALLY_TOOLS_TALLY_WAL_FILTER_H

#include "engine/log/record.h"

#include <stdbool.h>
#include <stdint.h>

/* From engine/state/state.h, which cannot be included beside <argp.h>: both define a struct option.
 */
struct state;
struct apply_result;
struct blob;

/*
 * A record is shown when its lsn, its time and its type are wanted and, if the filter names an
 * option or a build, when it concerns that option or build.
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

/* Reads types: "VOTE,CLAIM", in any case. Returns NULL, or the word that is no type. */
const char *filter_types(struct filter *filter, const char *list);

/* Reads an id or poll/label. Returns whether the word is one; false without memory, too. */
bool filter_option(struct filter *filter, const char *word);

/* Whether the record, and so every later one, is past the filter's end. */
bool filter_is_past(const struct filter *filter, const struct record *record);

/* REQUIRES: the record has been applied, and that is its result. */
bool filter_takes(const struct filter *filter, const struct state *state,
                  const struct record *record, const struct apply_result *result);

#endif
