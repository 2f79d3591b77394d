/* Labels, names and tags: what is allowed, what is trimmed, what is the same. */
#include "engine/label.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static bool folds_alike(const char *a, const char *b)
{
    char *x = NULL;
    char *y = NULL;
    size_t x_len = 0;
    size_t y_len = 0;
    cr_assert_eq(label_fold(span_of(a), &x, &x_len), 0);
    cr_assert_eq(label_fold(span_of(b), &y, &y_len), 0);
    bool alike = span_equal((struct span){x, x_len}, (struct span){y, y_len});
    free(x);
    free(y);
    return alike;
}

static int trim(const char *text, const char *wanted)
{
    struct span label = span_of(text);
    int err = label_trim(&label);
    if (err == 0) {
        cr_assert(span_equal(label, span_of(wanted)), "'%s' became '%.*s'", text, (int)label.len,
                  label.at);
    }
    return err;
}

Test(label, blanks_around_it_go)
{
    cr_assert_eq(trim("red", "red"), 0);
    cr_assert_eq(trim("  red ", "red"), 0);
    cr_assert_eq(trim("  dark  red ", "dark  red"), 0);
    cr_assert_eq(trim("\u00a0\u3000red\u2003", "red"), 0);
    cr_assert_eq(trim("", ""), TALLY_INVAL);
    cr_assert_eq(trim("   ", ""), TALLY_INVAL);
}

Test(label, fifty_characters_and_no_more)
{
    char text[2 * (LABEL_CHARACTERS_MAX + 1) + 1] = "";
    char padded[sizeof(text) + 6];
    for (size_t i = 0; i < LABEL_CHARACTERS_MAX; i++) {
        memcpy(text + 2 * i, "\u00e9", 3);
    }
    cr_assert_eq(trim(text, text), 0);
    snprintf(padded, sizeof(padded), "   %s   ", text);
    cr_assert_eq(trim(padded, text), 0, "blanks around it do not count");
    memcpy(text + sizeof(text) - 3, "x", 2);
    cr_assert_eq(trim(text, ""), TALLY_INVAL);
}

Test(label, control_characters_are_refused)
{
    for (int c = 1; c < 0xa0; c++) {
        bool is_control = c < 0x20 || c >= 0x7f;
        char text[8] = {'a', (char)c, 'b', '\0'};
        if (c >= 0x80) {
            snprintf(text, sizeof(text), "a\xc2%cb", c);
        }
        if (is_control) {
            cr_assert_eq(trim(text, ""), TALLY_INVAL, "U+%04X", (unsigned)c);
        } else {
            cr_assert_eq(trim(text, text), 0, "U+%04X", (unsigned)c);
        }
    }
    struct span nul = {"a\0b", 3};
    cr_assert_eq(label_trim(&nul), TALLY_INVAL);
    cr_assert_eq(trim("a\u2028b", ""), TALLY_INVAL);
}

Test(label, what_is_no_utf8_is_refused)
{
    static const char *const bad[] = {"\xff",
                                      "a\x80",
                                      "\xc3",
                                      "\xc3(",
                                      "\xe2\x82",
                                      "\xc0\xaf",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(trim(bad[i], ""), TALLY_INVAL, "number %zu", i);
    }
}

Test(label, case_and_composition_make_no_difference)
{
    cr_assert(folds_alike("Red", "rED"));
    cr_assert(folds_alike("Straße", "STRASSE"));
    cr_assert(folds_alike("É", "é"));
    cr_assert(folds_alike("\u00e9", "e\u0301"));
    cr_assert(folds_alike("ΣΊΣΥΦΟΣ", "σίσυφος"));
    cr_assert(!folds_alike("e", "é"));
    cr_assert(!folds_alike("red", "re d"));
}

Test(label, names_are_of_few_characters)
{
    char name[NAME_LEN_MAX + 2];
    memset(name, 'n', sizeof(name));
    cr_assert(name_is_valid((struct span){name, 1}));
    cr_assert(name_is_valid((struct span){name, NAME_LEN_MAX}));
    cr_assert(!name_is_valid((struct span){name, NAME_LEN_MAX + 1}));
    cr_assert(!name_is_valid((struct span){name, 0}));
    cr_assert(name_is_valid(SPAN("A-z_0.9")));
    static const char bad[] = " /,*\n\t\0\x7f\xc3";
    for (size_t i = 0; i < sizeof(bad) - 1; i++) {
        char text[3] = {'a', bad[i], 'b'};
        cr_assert(!name_is_valid((struct span){text, 3}), "character %zu", i);
    }
}

static void sorts_to(const char *tags, const char *wanted)
{
    char into[TAGS_BYTES_MAX];
    size_t len = 0;
    cr_assert_eq(tags_sort(span_of(tags), into, &len), 0);
    cr_assert(span_equal((struct span){into, len}, span_of(wanted)), "'%s' became '%.*s'", tags,
              (int)len, into);
}

Test(label, tags_are_sorted_and_stand_once)
{
    char into[TAGS_BYTES_MAX];
    size_t len = 0;
    sorts_to("", "");
    sorts_to("gpu", "gpu");
    sorts_to("linux,gpu,linux,arm", "arm,gpu,linux");
    sorts_to("b,a,ab,aa", "a,aa,ab,b");
    cr_assert_eq(tags_sort(SPAN("a,,b"), into, &len), TALLY_INVAL);
    cr_assert_eq(tags_sort(SPAN(",a"), into, &len), TALLY_INVAL);
    cr_assert_eq(tags_sort(SPAN("a,"), into, &len), TALLY_INVAL);
    cr_assert_eq(tags_sort(SPAN("a b"), into, &len), TALLY_INVAL);
}

Test(label, tags_have_a_limit)
{
    char text[TAGS_BYTES_MAX + 8];
    char into[TAGS_BYTES_MAX];
    size_t len = 0;
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = i % 16 == 15 ? ',' : (char)('a' + i / 16 % 26);
    }
    cr_assert_eq(tags_sort((struct span){text, TAGS_BYTES_MAX - 1}, into, &len), 0);
    cr_assert_eq(tags_sort((struct span){text, TAGS_BYTES_MAX}, into, &len), TALLY_FULL);
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = i % 2 == 1 ? ',' : 'a';
    }
    cr_assert_eq(tags_sort((struct span){text, 127}, into, &len), 0, "64 tags");
    cr_assert_eq(tags_sort((struct span){text, 129}, into, &len), TALLY_FULL, "65 tags");
}

Test(label, a_worker_covers_what_is_among_its_tags)
{
    cr_assert(tags_cover(SPAN("arm,gpu,linux"), SPAN("arm,linux")));
    cr_assert(tags_cover(SPAN("arm,gpu,linux"), SPAN("arm,gpu,linux")));
    cr_assert(tags_cover(SPAN("arm"), SPAN("")));
    cr_assert(tags_cover(SPAN(""), SPAN("")));
    cr_assert(!tags_cover(SPAN(""), SPAN("arm")));
    cr_assert(!tags_cover(SPAN("arm,linux"), SPAN("arm,gpu")));
    cr_assert(!tags_cover(SPAN("arm6"), SPAN("arm")));
    cr_assert(!tags_cover(SPAN("arm"), SPAN("arm6")));
    cr_assert(!tags_cover(SPAN("a,c"), SPAN("b")));
    cr_assert(!tags_cover(SPAN("a,b"), SPAN("a,b,c")));
}
