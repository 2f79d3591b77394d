/* Rules about atomics: the order is written, an access has a tag, and a tag's partner exists. */
#include "tests/tidy/tidy.h"
#include "tests/lib/count.h"

#include <ctype.h>
#include <string.h>

#define TAG_LINES_ABOVE 3

/* The length of a tag such as Q4 at `at`, or 0. */
static size_t tag_len(const char *at)
{
    size_t letters = 0;
    while (isupper((unsigned char)at[letters]))
        letters++;
    size_t digits = 0;
    while (isdigit((unsigned char)at[letters + digits]))
        digits++;
    bool ends = !isalnum((unsigned char)at[letters + digits]) && at[letters + digits] != '_';
    return letters > 0 && digits > 0 && ends ? letters + digits : 0;
}

/* Finds "TAG:" in comments[from, to); with `tag`, only that one. */
static bool has_tag(const char *comments, size_t from, size_t to, const char *tag, size_t len)
{
    for (size_t i = from; i < to; i++) {
        if (i > 0 && (isalnum((unsigned char)comments[i - 1]) || comments[i - 1] == '_'))
            continue;
        size_t found = tag_len(comments + i);
        if (found == 0 || comments[i + found] != ':')
            continue;
        if (tag == NULL || (found == len && memcmp(comments + i, tag, len) == 0))
            return true;
    }
    return false;
}

static bool has_text(const char *comments, size_t from, size_t to, const char *text)
{
    const char *found = strstr(comments + from, text);
    return found != NULL && (size_t)(found - comments) < to;
}

static bool begins(const char *view, size_t start, const char *beginning)
{
    return strncmp(view + start, beginning, strlen(beginning)) == 0;
}

static bool ends(const char *view, size_t end, const char *ending)
{
    size_t len = strlen(ending);
    return end >= len && memcmp(view + end - len, ending, len) == 0;
}

/* Whether it is a generic function of <stdatomic.h> that has an order it does not write. */
static bool hides_order(const char *code, size_t start, size_t len)
{
    static const char *const without_order[] = {
        "atomic_init",
        "atomic_is_lock_free",
        "atomic_thread_fence",
        "atomic_signal_fence",
    };
    if (begins(code, start, "__sync_"))
        return true;
    if (!begins(code, start, "atomic_") || ends(code, start + len, "_explicit"))
        return false;
    for (size_t i = 0; i < COUNT_OF(without_order); i++) {
        if (word_is(code, start, len, without_order[i]))
            return false;
    }
    return true;
}

/* The line on which the statement that holds `at` begins. */
static size_t statement_line(const struct source *source, size_t at)
{
    while (at > 0 && strchr(";{}", source->code[at - 1]) == NULL)
        at--;
    return source_line(source, at + strspn(source->code + at, " \t\n"));
}

/* The comments that can speak for the order at `at`: those on the lines of its statement, and some
 * lines above. */
static void comments_for(const struct source *source, size_t at, size_t *from, size_t *to)
{
    size_t first = statement_line(source, at);
    size_t last = source_line(source, at);
    first = first > TAG_LINES_ABOVE ? first - TAG_LINES_ABOVE : 1;
    *from = source->line_at[first - 1];
    *to = last < source->lines ? source->line_at[last] : source->len_bytes;
}

static void check_order(const struct source *source, size_t start, size_t len,
                        struct report *report)
{
    size_t from;
    size_t to;
    comments_for(source, start, &from, &to);
    size_t line = source_line(source, start);
    bool relaxed = word_is(source->code, start, len, "memory_order_relaxed") ||
                   word_is(source->code, start, len, "__ATOMIC_RELAXED");
    bool seq_cst = word_is(source->code, start, len, "memory_order_seq_cst") ||
                   word_is(source->code, start, len, "__ATOMIC_SEQ_CST");
    if (!has_tag(source->comments, from, to, NULL, 0))
        report_add(report, source, line,
                   "an atomic access without a tag: say on its line or within "
                   "%d above what it pairs with, or why relaxed is enough, "
                   "as in /* C1: relaxed: ... */",
                   TAG_LINES_ABOVE);
    else if (!relaxed && !has_text(source->comments, from, to, "pairs with"))
        report_add(report, source, line,
                   "an order without a partner: add \"pairs with\" and the "
                   "tag of the access on the other side");
    if (seq_cst && !has_text(source->comments, from, to, "seq_cst"))
        report_add(report, source, line,
                   "seq_cst without an argument: acquire and release will do, "
                   "or say in the tag's comment why seq_cst is needed");
}

void rule_atomics(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    bool tagged = !source_is_under(source, "tests/");
    const char *code = source->code;
    size_t at = 0;
    size_t start;
    size_t len;
    while (word_next(code, &at, &start, &len)) {
        if (word_is_called(code, start, len) && hides_order(code, start, len))
            report_add(report, source, source_line(source, start),
                       "%.*s leaves the order unsaid: use the _explicit form", (int)len,
                       code + start);
        if (tagged && (begins(code, start, "memory_order_") || begins(code, start, "__ATOMIC_")))
            check_order(source, start, len, report);
    }
}

/* wal, engine, net, tools, bench: all rooms of a layer share their tags. */
static bool is_same_layer(const struct source *a, const struct source *b)
{
    size_t len = strcspn(a->path, "/") + 1;
    return strncmp(a->path, b->path, len) == 0;
}

static bool is_tag_of_layer(const struct tree *tree, const struct source *source, const char *tag,
                            size_t len)
{
    for (size_t i = 0; i < tree->count; i++) {
        const struct source *other = &tree->sources[i];
        bool is_c = other->kind == SOURCE_C || other->kind == SOURCE_HEADER;
        if (is_c && is_same_layer(source, other) &&
            has_tag(other->comments, 0, other->len_bytes, tag, len))
            return true;
    }
    return false;
}

/* Passes by what may stand between the tags of a list: blanks, a new line's star, commas, "and". */
static const char *list_next(const char *at)
{
    for (;;) {
        at += strspn(at, " \t\n*,/");
        if (strncmp(at, "and ", 4) != 0 && strncmp(at, "and\n", 4) != 0)
            return at;
        at += 3;
    }
}

void rule_partners(const struct tree *tree, const struct source *source, struct report *report)
{
    if (source_is_under(source, "tests/"))
        return;
    static const char words[] = "pairs with";
    const char *at = source->comments;
    while ((at = strstr(at, words)) != NULL) {
        at = list_next(at + strlen(words));
        size_t len;
        while ((len = tag_len(at)) > 0) {
            if (!is_tag_of_layer(tree, source, at, len))
                report_add(report, source, source_line(source, (size_t)(at - source->comments)),
                           "pairs with %.*s, which no access in this layer is tagged: tag it "
                           "\"%.*s:\", or name the right one",
                           (int)len, at, (int)len, at);
            at = list_next(at + len);
        }
    }
}
