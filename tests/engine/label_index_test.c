/* Similar labels: the same label first, then by how much their words share. */
#include "engine/state/label_index.h"
#include "engine/apply/apply.h"
#include "engine/base/label.h"
#include "tests/lib/seed.h"
#include "wal/base/clock.h"
#include "wal/base/err.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct state state;

static void make(struct record *record)
{
    struct apply_result result;
    record->lsn = FIELD_OWN(state.lsn) + 1;
    cr_assert_eq(apply(&state, record, &result), 0);
    cr_assert_eq(result.err, 0);
}

static void begin(void)
{
    cr_assert_eq(state_init(&state), 0);
    make(&(struct record){.type = RECORD_POLL, .text[POLL_NAME] = SPAN("p")});
    make(&(struct record){.type = RECORD_POLL, .text[POLL_NAME] = SPAN("other")});
}

static void end(void)
{
    state_fini(&state);
}

static void add(const char *poll, const char *label)
{
    char *fold = NULL;
    size_t len = 0;
    cr_assert_eq(label_fold(span_of(label), &fold, &len), 0);
    make(&(struct record){.type = RECORD_OPTION,
                          .text[OPTION_POLL] = span_of(poll),
                          .text[OPTION_LABEL] = span_of(label),
                          .text[OPTION_FOLD] = {fold, len}});
    free(fold);
}

static int find(const char *text, enum label_match_way least, const struct option *found[ALIKE_MAX])
{
    char *fold = NULL;
    size_t len = 0;
    cr_assert_eq(label_fold(span_of(text), &fold, &len), 0);
    const struct poll *poll = state_poll(&state, SPAN("p"));
    int count = label_index_find(&state, poll, (struct span){fold, len}, least, found);
    free(fold);
    return count;
}

static void check(const char *text, enum label_match_way least, const char *wanted)
{
    const struct option *found[ALIKE_MAX];
    char told[512] = "";
    size_t used = 0;
    int count = find(text, least, found);
    for (int i = 0; i < count; i++) {
        struct span is = blob_span(found[i]->label);
        used += (size_t)snprintf(told + used, sizeof told - used, "%s%.*s", i > 0 ? ", " : "",
                                 (int)is.len, is.at);
    }
    cr_expect_str_eq(told, wanted, "for %s: %s", text, told);
}

/* Which labels are told as similar to a label; and which are found for a text. */
static void expect_similar(const char *label, const char *wanted)
{
    check(label, LABEL_MATCH_ALIKE, wanted);
}

static void expect_found(const char *text, const char *wanted)
{
    check(text, LABEL_MATCH_CLOSE, wanted);
}

TestSuite(label_index, .init = begin, .fini = end);

Test(label_index, the_clash_itself_comes_first)
{
    static const char *const near[] = {"FINE", "FINAL", "FINISH", "FINGER", "FINLAND", "FINCH"};
    static const char *const pairs[][2] = {{"FIN", "\uFB01n"},
                                           {"Stra\u00dfe", "STRA\u1E9EE"},
                                           {"\u03c3", "\u03c2"},
                                           {"Elixir", "E\u200blixir"}};
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
        add("p", near[i]);
    }
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const struct option *found[ALIKE_MAX];
        add("p", pairs[i][0]);
        cr_assert_geq(find(pairs[i][1], LABEL_MATCH_ALIKE, found), 1);
        cr_assert(span_equal(blob_span(found[0]->label), span_of(pairs[i][0])), "number %zu", i);
    }
}

/* A poll as people make them; its labels are found in the same way when it is one of the large. */
static void add_languages(void)
{
    static const char *const labels[] = {"Elixir",
                                         "Elixir 1.18",
                                         "Elm",
                                         "Eliza",
                                         "Java",
                                         "JavaScript",
                                         "Jade",
                                         "Objective-C",
                                         "C",
                                         "C++",
                                         "C#",
                                         "Visual Java",
                                         "Rust",
                                         "Ruby",
                                         "Erlang",
                                         "Pok\u00e9mon Red",
                                         "\U0001F680Rocket"};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        add("p", labels[i]);
    }
    add("other", "Javanese");
}

static void find_languages(void)
{
    expect_similar("Elixir", "Elixir, Elixir 1.18, Eliza");
    expect_similar("JAVA", "Java, JavaScript, Visual Java");
    expect_similar("c", "C, C#, C++, Objective-C");
    expect_similar("javac", "Java, JavaScript, Visual Java");
    expect_similar("Cobol", "");
    expect_similar("???", "");
    expect_found("e", "Elm, Eliza, Elixir, Erlang, Elixir 1.18");
    expect_found("el", "Elm, Eliza, Elixir, Elixir 1.18");
    expect_found("ELIX", "Elixir, Elixir 1.18");
    expect_found("elixir", "Elixir, Elixir 1.18");
    expect_found("elixir 1", "Elixir 1.18, Elixir");
    expect_found("1.1", "Elixir 1.18");
    expect_found("java vis", "Visual Java, Java");
    expect_found("++", "C++");
    expect_found("elxi", "Eliza, Elixir, Elixir 1.18"); /* exchanged */
    expect_found("elicir", "Elixir, Elixir 1.18");
    expect_found("pokemon", "Pok\u00e9mon Red");
    expect_found("rocket", "\U0001F680Rocket");
    expect_found("\U0001F680", "\U0001F680Rocket");
    expect_found("javanese", "");
    expect_found("zig", "");
}

Test(label_index, finds_what_somebody_means)
{
    add_languages();
    find_languages();
}

/* With so many more labels, none of which fits. */
Test(label_index, finds_it_among_many_others)
{
    char label[32];
    add_languages();
    for (int i = 0; i < 3000; i++) {
        snprintf(label, sizeof label, "Q%d %c%d", i, 'k' + i % 3, i);
        add("p", label);
    }
    expect_found("e", "Elm, Eliza, Elixir, Erlang, Elixir 1.18");
    expect_found("elixir 1", "Elixir 1.18, Elixir");
    expect_found("java vis", "Visual Java, Java");
    expect_found("elxi", "Eliza, Elixir, Elixir 1.18");
    expect_found("pokemon", "Pok\u00e9mon Red");
    expect_found("rocket", "\U0001F680Rocket");
    expect_similar("javac", "Java, JavaScript, Visual Java");
    expect_found("m299", "Q299 m299, Q2990 m2990, Q2993 m2993, Q2996 m2996, Q2999 m2999");
    expect_found("q2999", "Q2999 m2999");
    expect_found("m2999 q", "Q2999 m2999");
}

Test(label_index, five_of_them_and_each_once)
{
    for (int i = 0; i < 2000; i++) {
        char label[32];
        snprintf(label, sizeof label, "go go number %d", i);
        add("p", label);
    }
    add("p", "go go number");
    const struct option *found[ALIKE_MAX];
    cr_assert_eq(find("go go number", LABEL_MATCH_ALIKE, found), 5);
    cr_assert(span_equal(blob_span(found[0]->label), SPAN("go go number")));
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < i; j++) {
            cr_assert_neq(found[i], found[j]);
        }
    }
}

/* ---- large polls ---- */

/* What a look at all labels says of a text: the best way, and how many labels fit in it. */
static size_t count_best(const char *const *labels, size_t count, const char *text,
                         enum label_match_way *best)
{
    struct label_match match;
    size_t found = 0;
    *best = LABEL_MATCH_NONE;
    label_match_init(&match, span_of(text));
    for (size_t i = 0; i < count; i++) {
        enum label_match_way way =
            label_match_way_of(label_match_score(&match, span_of(labels[i]), LABEL_MATCH_WORD));
        found = way > *best ? 1 : found + (way == *best);
        *best = way > *best ? way : *best;
    }
    return found;
}

/* Short words of few letters: long lists, split many times. Whatever a text begins is found: as
 * many labels as there are, or five, and none that fits worse while enough fit better. */
Test(label_index, no_label_that_begins_so_is_missed)
{
    enum { LABELS = 6000, ASKS = 3000 };
    static char texts[LABELS][16];
    static const char *labels[LABELS];
    struct seed seed = {7};
    for (size_t i = 0; i < LABELS;) {
        size_t len = 0;
        for (size_t k = 0; k < 11; k++) {
            texts[i][len++] = k == 5 ? ' ' : (char)('a' + seed_below(&seed, 3));
        }
        texts[i][len] = '\0';
        labels[i] = texts[i];
        const struct span fold = span_of(texts[i]);
        struct apply_result result;
        struct record record = {.type = RECORD_OPTION,
                                .lsn = FIELD_OWN(state.lsn) + 1,
                                .text[OPTION_POLL] = SPAN("p"),
                                .text[OPTION_LABEL] = fold,
                                .text[OPTION_FOLD] = fold};
        cr_assert_eq(apply(&state, &record, &result), 0);
        i += result.err == 0; /* or it is there already */
    }
    for (size_t i = 0; i < ASKS; i++) {
        const char *label = labels[seed_below(&seed, LABELS)];
        char text[16];
        size_t from = i % 2 == 0 ? 0 : 6;
        snprintf(text, sizeof text, "%.*s", (int)(1 + seed_below(&seed, 11 - from)), label + from);
        if (text[strlen(text) - 1] == ' ') {
            continue;
        }
        enum label_match_way best = LABEL_MATCH_NONE;
        const struct option *found[ALIKE_MAX];
        struct label_match match;
        size_t fits = count_best(labels, LABELS, text, &best);
        int count = find(text, LABEL_MATCH_CLOSE, found);
        label_match_init(&match, span_of(text));
        cr_assert_geq(count, 1, "'%s'", text);
        for (int k = 0; k < count; k++) {
            uint64_t score = label_match_score(&match, blob_span(found[k]->label), 0);
            cr_assert(label_match_way_of(score) >= LABEL_MATCH_WORD || (size_t)k >= fits, "'%s'",
                      text);
        }
    }
}

/* Very many labels that all begin alike, word by word; and no look takes long: it is far below 1 ms
 * where a machine does nothing else, and here it may be a busy one, or a sanitizer's. */
Test(label_index, very_many_that_begin_alike)
{
    enum { LABELS = 300000, TRIES = 50 };
    static const char *const texts[] = {
        "o",         "option", "option number", "option number 12",
        "number 77", "9999",   "optoin numbre", "x option x number"};
    char label[64];
    for (int i = 0; i < LABELS; i++) {
        snprintf(label, sizeof label, "Option number %d", i);
        add("p", label);
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const struct option *found[ALIKE_MAX];
        uint64_t least_ns = UINT64_MAX;
        for (int k = 0; k < TRIES; k++) {
            uint64_t from_ns = clock_mono_ns();
            cr_assert_eq(find(texts[i], LABEL_MATCH_CLOSE, found), texts[i][0] == 'x' ? 0 : 5,
                         "'%s'", texts[i]);
            uint64_t took_ns = clock_mono_ns() - from_ns;
            least_ns = took_ns < least_ns ? took_ns : least_ns;
        }
        cr_expect_lt(least_ns, 20 * 1000 * 1000, "'%s' takes %lu us", texts[i],
                     (unsigned long)(least_ns / 1000));
    }
    expect_found("option number 123", "Option number 123, Option number 1230, Option number 1231, "
                                      "Option number 1232, Option number 1233");
    expect_found("29999", "Option number 29999, Option number 299990, Option number 299991, "
                          "Option number 299992, Option number 299993");
    expect_found("299999 opt", "Option number 299999");
}
