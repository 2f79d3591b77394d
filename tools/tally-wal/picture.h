/* Pictures of characters: horizontal bars and vertical columns. */
#ifndef TALLY_TOOLS_TALLY_WAL_PICTURE_H
#define TALLY_TOOLS_TALLY_WAL_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PICTURE_COLUMNS_MAX = 240 };

struct picture {
    FILE *out;
    bool is_unicode;  /* block characters, eight steps to a character; else # and . */
    unsigned columns; /* width of a line, at most PICTURE_COLUMNS_MAX */
};

/* Sets the width to the terminal's, or to COLUMNS, or to 80; block characters are used when the
 * locale's characters are UTF-8. */
void picture_init(struct picture *picture, FILE *out);

/* Draws one bar of up to `width` characters, value / max of them filled, padded with blanks. A
 * value above 0 is always visible. */
void picture_bar(const struct picture *picture, unsigned width, uint64_t value, uint64_t max);

/* Draws `count` columns side by side, `rows` lines high; the highest value reaches the top. Each
 * line begins with `indent` blanks. */
void picture_columns(const struct picture *picture, const uint64_t *values, size_t count,
                     unsigned rows, unsigned indent);

#endif
