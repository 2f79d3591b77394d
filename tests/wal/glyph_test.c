/* Glyphs: UTF-8 is read, and characters that a terminal would obey are found. */
#include "wal/base/glyph.h"

#include <criterion/criterion.h>
#include <stdbool.h>

static size_t shown(const char *text)
{
    return glyph_shown(span_of(text));
}

/* Encodes a number as UTF-8, even if it is no code point. */
static size_t write(char *to, uint32_t c, size_t len)
{
    static const unsigned char first[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len; i > 1; i--) {
        to[i - 1] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    to[0] = (char)(first[len] | c);
    return len;
}

static size_t bytes_of(uint32_t c)
{
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

Test(glyph, each_code_point_is_read_as_it_is_written)
{
    for (uint32_t c = 0; c < 0x110400; c++) {
        char text[4];
        uint32_t read = 0;
        size_t len = write(text, c, bytes_of(c));
        bool good = c < 0x110000 && (c < 0xD800 || c >= 0xE000);
        cr_assert_eq(glyph_read((struct span){text, len}, &read), good ? len : 0, "U+%04X",
                     (unsigned)c);
        cr_assert(!good || read == c);
        for (size_t cut = 0; cut < len; cut++) {
            cr_assert_eq(glyph_read((struct span){text, cut}, &read), 0, "cut off");
        }
        for (size_t longer = len + 1; longer <= 4; longer++) {
            write(text, c, longer);
            cr_assert_eq(glyph_read((struct span){text, longer}, &read), 0, "overlong");
        }
    }
}

Test(glyph, what_a_terminal_obeys_is_not_shown)
{
    static const uint32_t obeyed[][2] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0x061C, 0x061C},
                                         {0x200E, 0x200F}, {0x2028, 0x202E}, {0x2066, 0x206F},
                                         {0xFFF9, 0xFFFB}};
    for (uint32_t c = 0; c < 0x110000; c++) {
        char text[4];
        size_t len = write(text, c, bytes_of(c));
        bool wanted = c < 0xD800 || c >= 0xE000;
        for (size_t i = 0; i < sizeof obeyed / sizeof obeyed[0]; i++) {
            wanted = wanted && (c < obeyed[i][0] || c > obeyed[i][1]);
        }
        cr_assert_eq(glyph_shown((struct span){text, len}), wanted ? len : 0, "U+%04X",
                     (unsigned)c);
    }
    cr_assert_eq(shown(""), 0);
    cr_assert_eq(shown("\xC3\xA9x"), 2);
    cr_assert_eq(shown("\x80"), 0);
    cr_assert_eq(shown("\xFF"), 0);
}
