/* Reading UTF-8, and telling what a terminal would obey. */
#include "wal/base/glyph.h"

#include <stdbool.h>

static size_t bytes_of(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first < 0xE0) {
        return 2;
    }
    if (first >= 0xE0 && first < 0xF0) {
        return 3;
    }
    return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

size_t glyph_read(struct span text, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = (const unsigned char *)text.at;
    size_t len = text.len > 0 ? bytes_of(at[0]) : 0;
    if (len == 0 || len > text.len) {
        return 0;
    }
    uint32_t c = len == 1 ? at[0] : at[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
        c = c << 6 | (at[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) {
        return 0;
    }
    *code = c;
    return len;
}

static bool is_obeyed(uint32_t c)
{
    bool is_control = c < 0x20 || (c >= 0x7f && c < 0xA0);
    bool is_line_end = c == 0x2028 || c == 0x2029;
    bool turns = c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
                 (c >= 0x2066 && c <= 0x206F);
    bool is_note = c >= 0xFFF9 && c <= 0xFFFB;
    return is_control || is_line_end || turns || is_note;
}

size_t glyph_shown(struct span text)
{
    uint32_t code = 0;
    size_t len = glyph_read(text, &code);
    return len > 0 && !is_obeyed(code) ? len : 0;
}
