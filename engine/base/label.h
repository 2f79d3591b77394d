/* Names, labels and tags: which are allowed, and which are equal without regard to case. */
#ifndef TALLY_ENGINE_BASE_LABEL_H
#define TALLY_ENGINE_BASE_LABEL_H

#include "engine/limits.h"
#include "wal/base/span.h"

#include <stdbool.h>
#include <stdint.h>

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
 * Makes a label of a text: cuts off blanks at its ends and leaves out invisible characters
 * (Unicode's default-ignorable characters and a few more). Kept are joiners between two pictures or
 * between letters of scripts that join, one variation selector behind a visible character, and the
 * tags of three flags. Cleaning a label again changes nothing. Returns 0; INVAL when nothing or
 * more than 50 characters are left, and for control characters, invalid UTF-8 and characters that
 * Unicode has not assigned.
 */
int label_clean(struct span text, struct label *label);

/*
 * Folds a label for comparison: leaves out characters that only change how their neighbours look
 * (but not the tags of flags), makes blanks in a row one, then composes and case folds with
 * compatibility (NFKC_Casefold). The folded label goes into the log beside the label, so a later
 * version of those rules changes no decision of the past.
 * Owned by the caller: free(). Errors: INVAL, NOMEM.
 */
int label_fold(struct span label, char **folded, size_t *len);

/* Whether a character of a folded label belongs to a word with its neighbours: a letter, mark or
 * digit. */
bool label_is_of_word(uint32_t c);

/*
 * Sorts tags, which are names with commas between, and drops repeats, so that equal sets are equal
 * bytes. into has room for TAGS_BYTES_MAX. Returns 0, INVAL or FULL.
 */
int tags_sort(struct span tags, char *into, size_t *len);

/* Returns true when every tag of `need` is among `have`; both sorted by tags_sort. */
bool tags_cover(struct span have, struct span need);

#endif
