/* Similar labels: the same label first, then by how much their words share. */
#include "engine/state/label_index.h"
#include "engine/apply/apply.h"
#include "engine/base/label.h"
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

/* Checks which labels are found for a label; they are joined with blanks between. */
static void expect(const char *label, const char *wanted)
{
    const struct option *found[ALIKE_MAX];
    char text[512] = "";
    char *fold = NULL;
    size_t len = 0;
    size_t used = 0;
    cr_assert_eq(label_fold(span_of(label), &fold, &len), 0);
    int count = label_index_find(&state, SPAN("p"), (struct span){fold, len}, found, 5);
    free(fold);
    for (int i = 0; i < count; i++) {
        struct span is = blob_span(found[i]->label);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s", i > 0 ? " " : "",
                                 (int)is.len, is.at);
    }
    cr_expect_str_eq(text, wanted, "for %s: %s", label, text);
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
        char *fold = NULL;
        size_t len = 0;
        add("p", pairs[i][0]);
        cr_assert_eq(label_fold(span_of(pairs[i][1]), &fold, &len), 0);
        cr_assert_geq(label_index_find(&state, SPAN("p"), (struct span){fold, len}, found, 5), 1);
        cr_assert(span_equal(blob_span(found[0]->label), span_of(pairs[i][0])), "number %zu", i);
        free(fold);
    }
}

Test(label_index, by_parts_and_by_beginnings_of_words)
{
    add("p", "Java");
    add("p", "JavaScript");
    add("p", "Jade");
    add("p", "Objective-C");
    add("p", "C");
    add("p", "Visual Java");
    add("other", "Javanese");
    expect("JAVA", "Java JavaScript Visual Java");
    expect("c", "C Objective-C");
    expect("javac", "Java JavaScript Visual Java");
    expect("Rust", "");
    expect("+++", "");
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
    cr_assert_eq(label_index_find(&state, SPAN("p"), SPAN("go go number"), found, 5), 5);
    cr_assert(span_equal(blob_span(found[0]->label), SPAN("go go number")));
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < i; j++) {
            cr_assert_neq(found[i], found[j]);
        }
    }
}
