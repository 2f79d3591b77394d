/* Glyphs: which bytes of a text may be shown to a terminal as they are. */
#ifndef TALLY_WAL_BASE_GLYPH_H
#define TALLY_WAL_BASE_GLYPH_H

#include "wal/base/span.h"

#include <stdint.h>

/* Reads the first character of a text as a code point. Returns its bytes, 1 to 4; 0 when the text
 * is empty or does not begin with UTF-8 (overlong, a surrogate, beyond U+10FFFF, cut off). */
size_t glyph_read(struct span text, uint32_t *code);

/*
 * Returns the bytes of the first character of a text if it may be shown as it is, 0 if its first
 * byte has to be escaped: bytes that are no UTF-8, and characters that a terminal obeys instead of
 * showing them: control characters (C0, DEL, C1), line and paragraph separators, direction marks.
 * Every text from outside is printed with this, character by character.
 */
size_t glyph_shown(struct span text);

enum { GLYPH_QUOTED_BYTES_MAX = 4 }; /* most bytes that glyph_quote makes of one */

/*
 * Writes the first character of a text for a place between quotes: itself, or \" \\ \n \r \t and
 * \xHH for a byte that has to be escaped; and moves *text behind it. Returns the bytes written.
 * REQUIRES: the text is not empty.
 */
size_t glyph_quote(char to[GLYPH_QUOTED_BYTES_MAX], struct span *text);

#endif
