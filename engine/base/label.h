/* Names, labels and tags: what is allowed, and what is the same without regard to case. */
#ifndef TALLY_ENGINE_BASE_LABEL_H
#define TALLY_ENGINE_BASE_LABEL_H

#include "engine/limits.h"
#include "wal/base/span.h"

#include <stdbool.h>

/* 1 to 64 of A-Z a-z 0-9 _ . - */
bool name_is_valid(struct span name);

/* A label as it is stored and shown. */
struct label {
    size_t len;
    char at[LABEL_BYTES_MAX];
};

static inline struct span label_span(const struct label *label)
{
    return (struct span){label->at, label->len};
}

/*
 * Makes a label of a text: without blanks at its ends, and without what cannot be seen (Unicode's
 * default-ignorable characters and a few more). Kept are joiners between two pictures or between
 * letters of scripts that join, one variation selector behind what is seen, the tags of three
 * flags. A label is its own label. Returns 0; INVAL when that leaves nothing or more than 50
 * characters, and for control characters, what is no UTF-8 and what Unicode has not assigned.
 */
int label_clean(struct span text, struct label *label);

/*
 * A label as it is compared: what is kept only for its neighbours left out (but for the flags),
 * blanks in a row as one, then composed and case folded with compatibility (NFKC_Casefold). It goes
 * into the log beside the label, so a later version of those rules changes no decision of the past.
 * Owned by the caller: free(). Errors: INVAL, NOMEM.
 */
int label_fold(struct span label, char **folded, size_t *len);

/*
 * Tags with commas between, each a name: sorts them and drops repeats, so that equal sets are equal
 * bytes. into has room for TAGS_BYTES_MAX. Returns 0, INVAL or FULL.
 */
int tags_sort(struct span tags, char *into, size_t *len);

/* True when every tag of `need` is among `have`; both sorted by tags_sort. */
bool tags_cover(struct span have, struct span need);

#endif
