/* Reading UTF-8, and finding characters that a terminal would obey. */
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

/* Writes one byte as its escape; returns the number of bytes written. */
static size_t escape(char *to, char c)
{
    static const char hex[] = "0123456789ABCDEF";
    unsigned char byte = (unsigned char)c;
    to[0] = '\\';
    switch (c) {
    case '"':
    case '\\':
        to[1] = c;
        return 2;
    case '\n':
        to[1] = 'n';
        return 2;
    case '\r':
        to[1] = 'r';
        return 2;
    case '\t':
        to[1] = 't';
        return 2;
    default:
        break;
    }
    to[1] = 'x';
    to[2] = hex[byte >> 4];
    to[3] = hex[byte & 15];
    return 4;
}

size_t glyph_quote(char to[GLYPH_QUOTED_BYTES_MAX], struct span *text)
{
    bool is_special = text->at[0] == '"' || text->at[0] == '\\';
    size_t len = is_special ? 0 : glyph_shown(*text);
    size_t written = len;
    if (len > 0) {
        memcpy(to, text->at, len);
    } else {
        written = escape(to, text->at[0]);
        len = 1;
    }
    *text = (struct span){text->at + len, text->len - len};
    return written;
}
