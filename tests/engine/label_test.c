/* Labels, names and tags: which are allowed, how they are trimmed, and which are equal. */
#include "engine/base/label.h"
#include "tests/lib/count.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

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
    struct label label;
    struct label again;
    int err = label_clean(span_of(text), &label);
    if (err == 0) {
        cr_assert(span_equal(label_span(&label), span_of(wanted)), "'%s' became '%.*s'", text,
                  (int)label.len, label.at);
        cr_assert_eq(label_clean(label_span(&label), &again), 0);
        cr_assert(span_equal(label_span(&again), label_span(&label)), "a label is its own label");
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
    struct label label;
    cr_assert_eq(label_clean((struct span){"a\0b", 3}, &label), TALLY_INVAL);
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
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
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

/* The Greek iota below is a mark that folds to a letter: the order of the marks must not matter. */
Test(label, the_order_of_marks_makes_no_difference)
{
    static const char *const same[][2] = {
        {"\u1fb4", "\u1fb3\u0301"},
        {"\u1fb4", "\u03b1\u0345\u0301"},
        {"\u1f82", "\u03b1\u0345\u0313\u0300"},
        {"\u1f8a", "\u1f82"},
        {"e\u0323\u0301", "e\u0301\u0323"},
    };
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        cr_expect(folds_alike(same[i][0], same[i][1]), "pair %zu", i);
    }
}

Test(label, what_cannot_be_seen_is_left_out)
{
    static const char *const unseen[] = {
        "\u200b", "\u200c",     "\u200d",     "\u2060",     "\ufeff", /* of no width */
        "\u00ad", "\u034f",               /* soft hyphen, grapheme joiner */
        "\u200e", "\u200f",     "\u061c", /* direction marks */
        "\u202a", "\u202b",     "\u202c",     "\u202d",     "\u202e", /* embeddings and overrides */
        "\u2066", "\u2067",     "\u2068",     "\u2069",               /* isolates */
        "\u115f", "\u1160",     "\u3164",     "\uffa0",               /* fillers */
        "\u17b4", "\u17b5",     "\u180e",     "\u2061",     "\u206f",
        "\ufff9", "\U0001d159", "\U0001d173", "\U000e0041", "\U000e007f"};
    for (size_t i = 0; i < sizeof unseen / sizeof unseen[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "%sE%slixir%s", unseen[i], unseen[i], unseen[i]);
        cr_assert_eq(trim(text, "Elixir"), 0, "number %zu", i);
        cr_assert(folds_alike(text, "ELIXIR"), "number %zu", i);
        cr_assert_eq(trim(unseen[i], ""), TALLY_INVAL, "number %zu shows nothing", i);
        snprintf(text, sizeof text, " %s%s ", unseen[i], unseen[i]);
        cr_assert_eq(trim(text, ""), TALLY_INVAL, "number %zu and blanks", i);
    }
    cr_assert_eq(trim("\u2800", ""), TALLY_INVAL, "a pattern of no dots");
    cr_assert_eq(trim("red\u200b \u200b", "red"), 0, "blanks behind it go, too");
    cr_assert(folds_alike("dark  \u3000red", "Dark Red"), "blanks are not counted");
}

/* By Unicode's own list, as far as utf8proc knows it. */
Test(label, no_character_that_shows_nothing_makes_a_second_label)
{
    for (uint32_t c = 0x80; c < 0x110000; c++) {
        const utf8proc_property_t *property = utf8proc_get_property((utf8proc_int32_t)c);
        char text[16] = "ab";
        struct label label;
        if (property->category == UTF8PROC_CATEGORY_CN || !property->ignorable) {
            continue;
        }
        size_t len =
            1 + (size_t)utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)text + 1);
        text[len] = 'b';
        if (label_clean((struct span){text, len + 1}, &label) == 0) {
            char folds[LABEL_BYTES_MAX + 1] = "";
            memcpy(folds, label.at, label.len);
            cr_assert(folds_alike(folds, "ab"), "U+%04X", (unsigned)c);
        }
        cr_assert_eq(label_clean((struct span){text + 1, len - 1}, &label), TALLY_INVAL, "U+%04X",
                     (unsigned)c);
    }
}

Test(label, what_was_folded_stays_as_it_is)
{
    for (uint32_t c = 0x20; c < 0x110000; c++) {
        utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
        char text[8] = "x"; /* since some characters fold to a text that begins with a blank */
        struct label label;
        char *once = NULL;
        char *twice = NULL;
        size_t len = 0;
        size_t len_twice = 0;
        if (category == UTF8PROC_CATEGORY_CN || category == UTF8PROC_CATEGORY_CS) {
            continue;
        }
        utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)text + 1);
        if (label_clean(span_of(text), &label) != 0) {
            continue;
        }
        cr_assert_eq(label_fold(label_span(&label), &once, &len), 0);
        cr_assert_eq(label_fold((struct span){once, len}, &twice, &len_twice), 0);
        cr_assert(span_equal((struct span){once, len}, (struct span){twice, len_twice}), "U+%04X",
                  (unsigned)c);
        free(once);
        free(twice);
    }
}

Test(label, emoji_stay_as_they_are)
{
    static const char *const emoji[] = {
        "\U0001F600",
        "\u2764\ufe0f",                                               /* red heart */
        "\U0001F44D\U0001F3FD",                                       /* thumb, skin colour */
        "\U0001F469\u200d\U0001F4BB",                                 /* woman at a computer */
        "\U0001F468\u200d\U0001F469\u200d\U0001F467\u200d\U0001F466", /* family */
        "\U0001F469\U0001F3FD\u200d\U0001F680",
        "\U0001F3F3\ufe0f\u200d\U0001F308", /* rainbow flag */
        "1\ufe0f\u20e3",                    /* key 1 */
        "\U0001F1E9\U0001F1EA",             /* flag of Germany */
        "\U0001F3F4\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F",
    };
    for (size_t i = 0; i < sizeof emoji / sizeof emoji[0]; i++) {
        cr_assert_eq(trim(emoji[i], emoji[i]), 0, "number %zu", i);
    }
    cr_assert(folds_alike("\u2764\ufe0f", "\u2764"), "the selector makes no second heart");
    cr_assert(!folds_alike("\U0001F44D\U0001F3FD", "\U0001F44D"));
    cr_assert(folds_alike("\U0001F34E\u200d\U0001F350", "\U0001F34E\U0001F350"),
              "nor does a joiner make a second apple and pear");
    const char *england = emoji[9];
    cr_assert(folds_alike(england, england));
    cr_assert(!folds_alike(england, "\U0001F3F4"), "England is not any black flag");
    cr_assert(!folds_alike(england, "\U0001F3F4\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074"
                                    "\U000E007F"),
              "nor Scotland");
    cr_assert_eq(trim("\U0001F3F4\U000E0078\U000E007F", "\U0001F3F4"), 0, "flags there are not");
    cr_assert_eq(trim("\u2764\ufe0f\ufe0f\u200d\u200d", "\u2764\ufe0f"), 0);
}

Test(label, joiners_of_scripts_that_join_are_shown_and_not_compared)
{
    const char *persian = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645";
    cr_assert_eq(trim(persian, persian), 0);
    cr_assert(folds_alike(persian, "\u0645\u06cc\u062e\u0648\u0627\u0647\u0645"));
    cr_assert_eq(trim("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"), 0);
    cr_assert_eq(trim("a\u200cb", "ab"), 0);
}

Test(label, ligatures_sharp_s_and_final_sigma_make_no_difference)
{
    cr_assert(folds_alike("\uFB01n", "FIN"));
    cr_assert(folds_alike("Stra\u00dfe", "STRA\u1E9EE"));
    cr_assert(folds_alike("\u03c3", "\u03c2"));
    cr_assert(folds_alike("\uff21", "a"));
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
        text[i] =
            i % (NAME_LEN_MAX + 1) == NAME_LEN_MAX ? ',' : (char)('a' + i / (NAME_LEN_MAX + 1));
    }
    cr_assert_eq(tags_sort((struct span){text, TAGS_BYTES_MAX - 1}, into, &len), 0);
    cr_assert_eq(tags_sort((struct span){text, TAGS_BYTES_MAX}, into, &len), TALLY_FULL);
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = i % 2 == 1 ? ',' : 'a';
    }
    cr_assert_eq(tags_sort((struct span){text, 2 * TAGS_MAX - 1}, into, &len), 0, "16 tags");
    cr_assert_eq(tags_sort((struct span){text, 2 * TAGS_MAX + 1}, into, &len), TALLY_FULL,
                 "17 tags");
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
