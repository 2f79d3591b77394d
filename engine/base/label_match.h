/* Label match: how well a label fits a text that somebody types. */
#ifndef TALLY_ENGINE_BASE_LABEL_MATCH_H
#define TALLY_ENGINE_BASE_LABEL_MATCH_H

#include "wal/base/span.h"

#include <stdint.h>

/*
 * Text and label are folded (label_fold). A word is a run of letters, marks and digits; any other
 * character that is no blank is a word by itself. A label fits in one of these ways, the best last;
 * of two labels that fit in the same way the shorter one fits better. A label folds to more bytes
 * than it has only if its characters stand for several (U+3316): beyond LABEL_BYTES_MAX it is only
 * told whether two are the same.
 */
enum label_match_way {
    LABEL_MATCH_NONE,
    LABEL_MATCH_ALIKE,     /* two words begin with the same three bytes; longer is better */
    LABEL_MATCH_CLOSE,     /* a word begins with nearly the text; fewer errors are better */
    LABEL_MATCH_CONTAINS,  /* the text is within the label, or the label is words of the text */
    LABEL_MATCH_WORDS,     /* each word of the text begins a word */
    LABEL_MATCH_WORD,      /* a word, with what follows it, begins with the text */
    LABEL_MATCH_BEGINNING, /* the label begins with the text */
    LABEL_MATCH_SAME,
};

/* An error is a character too many, missing, wrong, or exchanged with its neighbour. Of a text of
 * three characters one may be wrong, of six or more two; long texts have to be right. */
enum { LABEL_MATCH_WORDS_MAX = 8, LABEL_MATCH_CLOSE_MAX = 24, LABEL_MATCH_ERRORS_MAX = 2 };

/* The words at the beginning of a folded text; further ones are left out. Returns how many. */
size_t label_match_words(struct span fold, struct span words[LABEL_MATCH_WORDS_MAX]);

/* A text that labels are compared with; borrows it. */
enum { LABEL_MATCH_PLACES = 64 };
struct label_match {
    struct span whole;
    struct span text; /* its first LABEL_BYTES_MAX bytes; so are the words and characters */
    struct span words[LABEL_MATCH_WORDS_MAX];
    size_t word_count;
    /* for LABEL_MATCH_CLOSE: where each character stands in the text, by its hash */
    struct label_match_place {
        uint32_t c;
        uint32_t at; /* a bit for each place; 0: the slot is empty */
    } places[LABEL_MATCH_PLACES];
    int char_count;
    int errors_max; /* 0: none is looked for */
};

void label_match_init(struct label_match *match, struct span whole);

/* Returns a number that is the larger the better the label fits, whose way is label_match_way_of;
 * 0 when that way would be below `least`. Takes about 1 us at most. */
uint64_t label_match_score(const struct label_match *match, struct span whole,
                           enum label_match_way least);

static inline enum label_match_way label_match_way_of(uint64_t score)
{
    return (enum label_match_way)(score >> 32);
}

#endif
