/* Names, labels and tags: what is allowed, and what is the same without regard to case. */
#ifndef TALLY_ENGINE_LABEL_H
#define TALLY_ENGINE_LABEL_H

#include "wal/base/span.h"

#include <stdbool.h>

enum { NAME_LEN_MAX = 64, LABEL_CHARACTERS_MAX = 50, TAGS_BYTES_MAX = 1024 };

/* 1 to 64 of A-Z a-z 0-9 _ . - */
bool name_is_valid(struct span name);

/*
 * Trims a label in place (the span shrinks) and checks it: 1 to 50 characters of UTF-8, no control
 * characters. Returns 0 or INVAL.
 */
int label_trim(struct span *label);

/*
 * The label as it is compared: case folded and composed by Unicode's rules. It goes into the log
 * beside the label, so a later version of those rules changes no verdict of the past. Owned by the
 * caller: free(). Errors: INVAL, NOMEM.
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
