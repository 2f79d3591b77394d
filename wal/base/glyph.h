/* Glyphs: which bytes of a text may be shown to a terminal as they are. */
#ifndef TALLY_WAL_BASE_GLYPH_H
#define TALLY_WAL_BASE_GLYPH_H

#include "wal/base/span.h"

#include <stdint.h>

/* The first character of a text, as a code point. Returns its bytes, 1 to 4; 0 when there is none,
 * or what is there is no UTF-8 (overlong, a surrogate, beyond U+10FFFF, cut off). */
size_t glyph_read(struct span text, uint32_t *code);

/*
 * The bytes of the first character of a text when it may be shown as it is. Returns 0 when its
 * first byte has to be escaped: what is no UTF-8, and what a terminal obeys instead of showing it:
 * control characters (C0, DEL, C1), line and paragraph separators, marks that turn the direction of
 * a line. Whoever prints a text from outside goes through it by this, an escaped byte at a time.
 */
size_t glyph_shown(struct span text);

enum { GLYPH_QUOTED_BYTES_MAX = 4 }; /* what glyph_quote makes of a byte */

/*
 * Writes the first character of a text, which is not empty, as it stands between quotes: itself, or
 * \" \\ \n \r \t and \xHH for a byte that has to be escaped; and moves *text behind it. Returns the
 * bytes written.
 */
size_t glyph_quote(char to[GLYPH_QUOTED_BYTES_MAX], struct span *text);

#endif
