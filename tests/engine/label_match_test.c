/* How well labels fit a text: words, ways, and typing errors, against the plain table of them. */
#include "engine/base/label_match.h"

#include "tests/lib/seed.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static void expect_words(const char *text, const char *wanted)
{
    struct span words[LABEL_MATCH_WORDS_MAX];
    char told[256] = "";
    size_t used = 0;
    size_t count = label_match_words(span_of(text), words);
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(told + used, sizeof told - used, "%s%.*s", i > 0 ? "|" : "",
                                 (int)words[i].len, words[i].at);
    }
    cr_expect_str_eq(told, wanted, "for %s: %s", text, told);
}

Test(label_match, words_are_letters_and_digits)
{
    expect_words("visual basic 6", "visual|basic|6");
    expect_words("objective-c", "objective|-|c");
    expect_words("c++", "c|+|+");
    expect_words("\u00e9cole d'\u00e9t\u00e9", "\u00e9cole|d|'|\u00e9t\u00e9");
    expect_words("\u03b1\u03b2\u03b3 \u0434\u0430", "\u03b1\u03b2\u03b3|\u0434\u0430");
    expect_words("\U0001F680rocket", "\U0001F680|rocket");
    expect_words("a b c d e f g h i", "a|b|c|d|e|f|g|h");
    expect_words("", "");
    expect_words("\xff", "\xff");
}

static enum label_match_way way(const char *text, const char *label, enum label_match_way least)
{
    struct label_match match;
    label_match_init(&match, span_of(text));
    return label_match_way_of(label_match_score(&match, span_of(label), least));
}

Test(label_match, each_way)
{
    cr_expect_eq(way("elm", "elm", LABEL_MATCH_SAME), LABEL_MATCH_SAME);
    cr_expect_eq(way("el", "elm", LABEL_MATCH_ALIKE), LABEL_MATCH_BEGINNING);
    cr_expect_eq(way("el", "elm", LABEL_MATCH_SAME), LABEL_MATCH_NONE);
    cr_expect_eq(way("basic 6", "visual basic 6.0", LABEL_MATCH_ALIKE), LABEL_MATCH_WORD);
    cr_expect_eq(way("6 vis", "visual basic 6.0", LABEL_MATCH_ALIKE), LABEL_MATCH_WORDS);
    cr_expect_eq(way("script", "javascript", LABEL_MATCH_ALIKE), LABEL_MATCH_CONTAINS);
    cr_expect_eq(way("java 8", "java", LABEL_MATCH_ALIKE), LABEL_MATCH_CONTAINS);
    cr_expect_eq(way("a", "java", LABEL_MATCH_ALIKE), LABEL_MATCH_NONE);
    cr_expect_eq(way("elxir", "elixir", LABEL_MATCH_ALIKE), LABEL_MATCH_CLOSE);
    cr_expect_eq(way("elxir", "elixir", LABEL_MATCH_CONTAINS), LABEL_MATCH_NONE);
    cr_expect_eq(way("cafe", "caf\u00e9 noir", LABEL_MATCH_ALIKE), LABEL_MATCH_CLOSE);
    cr_expect_eq(way("elixir", "eliza", LABEL_MATCH_ALIKE), LABEL_MATCH_ALIKE);
    cr_expect_eq(way("elixir", "eliza", LABEL_MATCH_CLOSE), LABEL_MATCH_NONE);
    cr_expect_eq(way("elixir", "elm", LABEL_MATCH_ALIKE), LABEL_MATCH_NONE);
    cr_expect_eq(way("go", "rust", LABEL_MATCH_ALIKE), LABEL_MATCH_NONE);
}

Test(label_match, the_shorter_label_fits_better)
{
    struct label_match match;
    label_match_init(&match, SPAN("ja"));
    uint64_t shorter = label_match_score(&match, SPAN("java"), LABEL_MATCH_ALIKE);
    cr_expect_gt(shorter, label_match_score(&match, SPAN("javascript"), LABEL_MATCH_ALIKE));
    cr_expect_lt(shorter, label_match_score(&match, SPAN("ja"), LABEL_MATCH_ALIKE));
}

/* Labels may fold to thousands of bytes, of which the first are compared; only one is the same. */
Test(label_match, long_labels_that_begin_alike_are_not_the_same)
{
    char text[1000];
    char label[1000];
    struct label_match match;
    memset(text, 'x', sizeof text);
    memset(label, 'x', sizeof label);
    label_match_init(&match, (struct span){text, sizeof text});
    for (size_t at = 198; at < sizeof label; at += 401) {
        uint64_t same =
            label_match_score(&match, (struct span){label, sizeof label}, LABEL_MATCH_SAME);
        cr_expect_eq(label_match_way_of(same), LABEL_MATCH_SAME);
        label[at] = 'y';
        uint64_t other =
            label_match_score(&match, (struct span){label, sizeof label}, LABEL_MATCH_ALIKE);
        cr_expect_gt(other, 0);
        cr_expect_lt(label_match_way_of(other), LABEL_MATCH_SAME);
        label[at] = 'x';
    }
    uint64_t shorter = label_match_score(&match, (struct span){label, 999}, LABEL_MATCH_ALIKE);
    cr_expect_lt(label_match_way_of(shorter), LABEL_MATCH_SAME);
}

/* ---- errors ---- */

enum { LEN_MAX = 30 };

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

/* The least errors between a text and any beginning of a label, by the plain table. */
static int plain_errors(const char *text, int text_len, const char *label, int label_len)
{
    static int cells[LEN_MAX + 1][LEN_MAX + 1];
    int best = text_len;
    for (int i = 0; i <= text_len; i++) {
        for (int j = 0; j <= label_len; j++) {
            int errors = i == 0 ? j : i;
            if (i > 0 && j > 0) {
                errors = cells[i - 1][j - 1] + (text[i - 1] != label[j - 1]);
                errors = least_of(errors, least_of(cells[i - 1][j], cells[i][j - 1]) + 1);
            }
            if (i > 1 && j > 1 && text[i - 1] == label[j - 2] && text[i - 2] == label[j - 1]) {
                errors = least_of(errors, cells[i - 2][j - 2] + 1);
            }
            cells[i][j] = errors;
            best = i == text_len ? least_of(best, errors) : best;
        }
    }
    return best;
}

static size_t random_word(struct seed *seed, char *to, size_t max)
{
    size_t len = 1 + seed_below(seed, max);
    for (size_t i = 0; i < len; i++) {
        to[i] = (char)('a' + seed_below(seed, 3));
    }
    return len;
}

/* A label is close exactly if the table says so and it fits in no better way. */
Test(label_match, errors_are_those_of_the_plain_table)
{
    struct seed seed = {1};
    size_t close = 0;
    for (int i = 0; i < 200000; i++) {
        char text[LEN_MAX];
        char label[LEN_MAX];
        size_t text_len = random_word(&seed, text, LABEL_MATCH_CLOSE_MAX + 2);
        size_t label_len = random_word(&seed, label, LEN_MAX);
        if (i % 2 == 0) { /* mostly the text, with some changes */
            label_len = text_len;
            memcpy(label, text, text_len);
            for (uint64_t changes = seed_below(&seed, 4); changes > 0; changes--) {
                label[seed_below(&seed, label_len)] = (char)('a' + seed_below(&seed, 3));
            }
        }
        struct label_match match;
        label_match_init(&match, (struct span){text, text_len});
        enum label_match_way is = label_match_way_of(
            label_match_score(&match, (struct span){label, label_len}, LABEL_MATCH_CLOSE));
        int errors = plain_errors(text, (int)text_len, label, (int)label_len);
        int most = text_len < 3 || text_len > LABEL_MATCH_CLOSE_MAX ? 0 : text_len < 6 ? 1 : 2;
        bool fits = is != LABEL_MATCH_NONE && is != LABEL_MATCH_CLOSE;
        cr_assert(fits || (is == LABEL_MATCH_CLOSE) == (errors > 0 && errors <= most),
                  "%.*s and %.*s: %d errors, way %d", (int)text_len, text, (int)label_len, label,
                  errors, (int)is);
        close += is == LABEL_MATCH_CLOSE;
    }
    cr_assert_gt(close, 10000, "%zu", close);
}
