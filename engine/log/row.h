/* A row: numbers and texts as bytes; records and images are stored as rows. */
#ifndef TALLY_ENGINE_LOG_ROW_H
#define TALLY_ENGINE_LOG_ROW_H

#include "wal/base/bytes.h"
#include "wal/base/err.h"
#include "wal/base/span.h"

#include <stddef.h>
#include <stdint.h>

/*
 *     row = varint count of numbers, the numbers as varints, varint count of texts, each as varint
 *           length and bytes
 *
 * Trailing zeros and empty texts are not stored, so fields that a type does not use take no bytes.
 */

/* Returns how many texts are stored. */
static inline unsigned row_texts(const struct span *text, unsigned texts)
{
    while (texts > 0 && text[texts - 1].len == 0) {
        texts--;
    }
    return texts;
}

/* Returns a number of bytes that is enough for the row. */
size_t row_bytes_max(unsigned nums, const struct span *text, unsigned texts);

/* Writes a row. Returns the number of bytes written. */
size_t row_put(unsigned char *to, const uint64_t *num, unsigned nums, const struct span *text,
               unsigned texts);

/* Bytes that are being read, up to end. */
struct cursor {
    const unsigned char *at;
    const unsigned char *end;
};

/* Reads the next number, or the next length and so many bytes, which are not copied. Errors:
 * CORRUPT beyond the end. */
static inline int row_cursor_num(struct cursor *cursor, uint64_t *v)
{
    return get_varint(&cursor->at, cursor->end, v) == 0 ? 0 : TALLY_CORRUPT;
}
int row_cursor_bytes(struct cursor *cursor, struct span *bytes);

/* Reads the next row, of at most nums numbers and texts texts; fields that are not stored are 0 or
 * empty. Errors: CORRUPT. */
int row_cursor_row(struct cursor *cursor, uint64_t *num, unsigned nums, struct span *text,
                   unsigned texts);

/* Makes the capacity enough for `more` bytes behind the first len; when it must grow, it grows by
 * more than needed. Errors: NOMEM; then nothing has changed. */
int row_bytes_grow(unsigned char **at, size_t *capacity, size_t len, size_t more);
static inline int row_bytes_reserve(unsigned char **at, size_t *capacity, size_t len, size_t more)
{
    return *capacity - len >= more ? 0 : row_bytes_grow(at, capacity, len, more);
}

#endif
