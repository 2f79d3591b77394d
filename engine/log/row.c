/* Encodes and decodes rows. */
#include "engine/log/row.h"

#include "wal/base/check.h"

#include <stdlib.h>
#include <string.h>

size_t row_bytes_max(unsigned nums, const struct span *text, unsigned texts)
{
    size_t bytes = (size_t)(2 + nums + texts) * VARINT_BYTES_MAX;
    for (unsigned i = 0; i < texts; i++) {
        bytes += text[i].len;
    }
    return bytes;
}

size_t row_put(unsigned char *to, const uint64_t *num, unsigned nums, const struct span *text,
               unsigned texts)
{
    unsigned char *at = to;
    while (nums > 0 && num[nums - 1] == 0) {
        nums--;
    }
    texts = row_texts(text, texts);
    at += put_varint(at, nums);
    for (unsigned i = 0; i < nums; i++) {
        at += put_varint(at, num[i]);
    }
    at += put_varint(at, texts);
    for (unsigned i = 0; i < texts; i++) {
        at += put_varint(at, text[i].len);
        if (text[i].len > 0) {
            memcpy(at, text[i].at, text[i].len);
            at += text[i].len;
        }
    }
    DCHECK((size_t)(at - to) <= row_bytes_max(nums, text, texts)); /* callers reserve as much */
    return (size_t)(at - to);
}

int row_cursor_bytes(struct cursor *cursor, struct span *bytes)
{
    DCHECK(cursor->at <= cursor->end);
    uint64_t len = 0;
    if (row_cursor_num(cursor, &len) != 0 || len > (uint64_t)(cursor->end - cursor->at)) {
        return TALLY_CORRUPT;
    }
    *bytes = (struct span){(const char *)cursor->at, (size_t)len};
    cursor->at += len;
    return 0;
}

int row_cursor_row(struct cursor *cursor, uint64_t *num, unsigned nums, struct span *text,
                   unsigned texts)
{
    uint64_t stored = 0;
    memset(num, 0, nums * sizeof *num);
    memset(text, 0, texts * sizeof *text);
    if (row_cursor_num(cursor, &stored) != 0 || stored > nums) {
        return TALLY_CORRUPT;
    }
    for (uint64_t i = 0; i < stored; i++) {
        if (row_cursor_num(cursor, &num[i]) != 0) {
            return TALLY_CORRUPT;
        }
    }
    if (row_cursor_num(cursor, &stored) != 0 || stored > texts) {
        return TALLY_CORRUPT;
    }
    for (uint64_t i = 0; i < stored; i++) {
        if (row_cursor_bytes(cursor, &text[i]) != 0) {
            return TALLY_CORRUPT;
        }
    }
    return 0;
}

int row_bytes_grow(unsigned char **at, size_t *capacity, size_t len, size_t more)
{
    size_t wanted = (len + more) * 2 + 4096;
    unsigned char *grown = realloc(*at, wanted);
    if (grown == NULL) {
        return TALLY_NOMEM;
    }
    *at = grown;
    *capacity = wanted;
    return 0;
}
