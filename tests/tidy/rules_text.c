/* Rules about the text of a file: header guards, the first line, banned calls, left-overs, skipped
 * tests. */
#include "tests/tidy/tidy.h"
#include "tests/lib/count.h"

#include <ctype.h>
#include <string.h>

static const struct banned {
    const char *folder; /* where it is banned; "" is everywhere */
    const char *call;
    const char *remedy;
} banned[] = {
    {"", "strcpy", "copy with memcpy and a length that was checked"},
    {"", "strcat", "keep the length and use memcpy, or snprintf"},
    {"", "stpcpy", "copy with memcpy and a length that was checked"},
    {"", "strncpy", "it may leave out the NUL: memcpy, or snprintf"},
    {"", "sprintf", "use snprintf"},
    {"", "vsprintf", "use vsnprintf"},
    {"", "gets", "use getline"},
    {"", "strtok", "use strcspn and strspn; it keeps hidden state"},
    {"", "atoi", "it has no error: parse digits with a range, or strtoull"},
    {"", "atol", "it has no error: parse digits with a range, or strtoull"},
    {"", "atoll", "it has no error: parse digits with a range, or strtoull"},
    {"", "atof", "it has no error: use strtod"},
    {"", "rand", "use a seeded generator that prints its seed"},
    {"", "srand", "use a seeded generator that prints its seed"},
    {"", "system", "use posix_spawn: no shell, no quoting"},
    {"", "popen", "use posix_spawn: no shell, no quoting"},
    {"", "tmpnam", "use mkdtemp"},
    {"", "mktemp", "use mkdtemp or mkstemp"},
    {"", "alloca", "give it a bound and an array"},
    {"wal/", "assert", "use CHECK, which stays on in the release, or DCHECK"},
    {"engine/", "assert", "use CHECK, which stays on in the release, or DCHECK"},
    {"net/", "assert", "use CHECK, which stays on in the release, or DCHECK"},
    {"engine/edge/read", "word_get", "reads see the committed state: `applied`, not the word"},
    {"engine/edge/read", "word_step", "reads see the committed state, and change nothing"},
    {"engine/edge/read", "word_step_status", "reads see the committed state, and change nothing"},
    {"engine/edge/read", "ticket_first", "a ticket lives by its word: read what apply keeps"},
    {"net/", "word_get", "only the edge knows what a word may tell"},
    {"tests/", "sleep", "wait for a condition or a readiness line; a sleep is a flake"},
    {"tests/", "usleep", "wait for a condition or a readiness line; a sleep is a flake"},
    {"tests/", "nanosleep", "wait for a condition or a readiness line; a sleep is a flake"},
    {"tests/", "fork", "use posix_spawn: Criterion and the sanitizers do not live through fork"},
};

/* In two halves, so that this file does not break its own rule. */
static const char *const leftovers[] = {"TO"
                                        "DO",
                                        "FIX"
                                        "ME",
                                        "XX"
                                        "X",
                                        "HA"
                                        "CK"};

void rule_banned(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    const char *code = source->code;
    size_t at = 0;
    size_t start;
    size_t len;
    while (word_next(code, &at, &start, &len)) {
        if (!word_is_called(code, start, len))
            continue;
        for (size_t i = 0; i < COUNT_OF(banned); i++) {
            if (word_is(code, start, len, banned[i].call) &&
                source_is_under(source, banned[i].folder))
                report_add(report, source, source_line(source, start), "%s() is banned: %s",
                           banned[i].call, banned[i].remedy);
        }
    }
}

/* Whether a comment stands on line `n`, or ends on the line before it. */
static bool has_comment(const struct source *source, size_t n)
{
    for (size_t line = n > 1 ? n - 1 : n; line <= n; line++) {
        const char *at = source->comments + source->line_at[line - 1];
        if (at[strspn(at, " \t")] != '\n')
            return true;
    }
    return false;
}

/* A CHECK ends the process: beside each stands why no input can make it. */
void rule_checks(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    size_t at = 0;
    size_t start;
    size_t len;
    if (source_is_under(source, "tests/") || source_is_under(source, "bench/"))
        return;
    while (word_next(source->flow, &at, &start, &len)) {
        size_t line = source_line(source, start);
        if (word_is(source->flow, start, len, "CHECK") && !has_comment(source, line))
            report_add(report, source, line,
                       "a CHECK ends the process: say in a comment on it or above it why no client "
                       "and no file can make it fail, or return an error");
    }
}

/* Words that mark unfinished work, in code, comments and pages alike; and code that is switched
 * off. */
void rule_leftovers(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    size_t at = 0;
    size_t start;
    size_t len;
    while (word_next(source->text, &at, &start, &len)) {
        for (size_t i = 0; i < COUNT_OF(leftovers); i++) {
            if (word_is(source->text, start, len, leftovers[i]))
                report_add(report, source, source_line(source, start),
                           "%s: do it now, or open an issue and take the word out", leftovers[i]);
        }
    }
    if (source->kind != SOURCE_C && source->kind != SOURCE_HEADER)
        return;
    for (size_t n = 1; n <= source->lines; n++) {
        const char *line = source->code + source->line_at[n - 1];
        line += strspn(line, " \t");
        if (strncmp(line, "#if 0", 5) == 0)
            report_add(report, source, n, "code that is switched off: delete it, git remembers");
        if (strncmp(line, "typedef struct", 14) == 0)
            report_add(report, source, n, "a typedef of a struct: write struct where it is used");
    }
}

void rule_first_line(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    if (strncmp(source->text, "/* ", 3) != 0 || !isalnum((unsigned char)source->text[3]))
        report_add(report, source, 1,
                   "does not say what it is: begin line 1 with one sentence, "
                   "/* Like this. */");
}

/* TALLY_<PATH>_H for the path of a header. */
static void guard_of(const char *path, char *guard, size_t room)
{
    int len = snprintf(guard, room, "TALLY_%s", path);
    for (int i = 0; i < len && (size_t)i < room; i++) {
        if (guard[i] == '\0')
            return;
        bool kept = isalnum((unsigned char)guard[i]);
        guard[i] = kept ? (char)toupper((unsigned char)guard[i]) : '_';
    }
}

/* Whether line `n` is the directive `name`, followed, if `argument` is there, by that word. */
static bool is_directive(const struct source *source, size_t n, const char *name,
                         const char *argument)
{
    const char *at = source->code + source->line_at[n - 1];
    if (*at++ != '#')
        return false;
    at += strspn(at, " \t");
    size_t len = strlen(name);
    if (strncmp(at, name, len) != 0)
        return false;
    if (argument == NULL)
        return true;
    at += len;
    at += strspn(at, " \t");
    len = strlen(argument);
    return strncmp(at, argument, len) == 0 && !isalnum((unsigned char)at[len]) && at[len] != '_';
}

static bool is_blank(const struct source *source, size_t n)
{
    const char *line = source->code + source->line_at[n - 1];
    return line[strspn(line, " \t")] == '\n' || line[strspn(line, " \t")] == '\0';
}

/* The first line, from `n` on, that is not blank or a comment; lines + 1 if there is none. */
static size_t filled_line(const struct source *source, size_t n)
{
    while (n <= source->lines && is_blank(source, n))
        n++;
    return n;
}

/* The line of the #endif that closes the conditional opened on line `n`. */
static size_t endif_line(const struct source *source, size_t n)
{
    size_t depth = 0;
    for (; n <= source->lines; n++) {
        depth += is_directive(source, n, "if", NULL); /* and ifdef, ifndef */
        depth -= is_directive(source, n, "endif", NULL);
        if (depth == 0)
            return n;
    }
    return n;
}

void rule_guards(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    char guard[256];
    guard_of(source->path, guard, sizeof(guard));
    size_t first = filled_line(source, 1);
    size_t second = filled_line(source, first + 1);
    if (second > source->lines || !is_directive(source, first, "ifndef", guard) ||
        !is_directive(source, second, "define", guard)) {
        report_add(report, source, first,
                   "the guard is missing or not the path's: begin with "
                   "#ifndef %s and #define %s",
                   guard, guard);
        return;
    }
    size_t behind = filled_line(source, endif_line(source, first) + 1);
    if (behind <= source->lines)
        report_add(report, source, behind,
                   "stands behind the guard's #endif: the guard closes at "
                   "the end");
}

/* Whether a comment on line `n` or the one above gives the reason. */
static bool has_reason(const struct source *source, size_t n)
{
    size_t from = source->line_at[n > 1 ? n - 2 : 0];
    size_t to = n < source->lines ? source->line_at[n] : source->len_bytes;
    const char *reason = strstr(source->comments + from, "skipped: ");
    return reason != NULL && (size_t)(reason - source->comments) < to;
}

void rule_skipped(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    const char *word = source->kind == SOURCE_CMAKE ? "DISABLED" : "disabled";
    size_t at = 0;
    size_t start;
    size_t len;
    while (word_next(source->code, &at, &start, &len)) {
        bool member = start > 0 && source->code[start - 1] == '.';
        if (!word_is(source->code, start, len, word) || member == (source->kind == SOURCE_CMAKE))
            continue;
        report->skipped++;
        size_t line = source_line(source, start);
        if (!has_reason(source, line))
            report_add(report, source, line,
                       "a skipped test without a reason: mend it, or say why "
                       "in a comment on this line or above, \"skipped: ...\"");
    }
}

void rule_built(const struct tree *tree, const struct source *source, struct report *report)
{
    char entry[4096];
    snprintf(entry, sizeof(entry), "\"file\": \"%s/%s\"", tree->root, source->path);
    if (strstr(tree->commands, entry) == NULL)
        report_add(report, source, 1,
                   "no target builds it: name it in its folder's CMakeLists.txt, "
                   "or delete it");
}

/* What stands in a comment's line, behind the star; "" where the line has none. */
static size_t comment_text(const struct source *source, size_t n, size_t *len)
{
    size_t from = source->line_at[n - 1];
    size_t end = from + strcspn(source->comments + from, "\n");
    from += strspn(source->comments + from, " \t");
    from += from < end && source->comments[from] == '/';
    from += strspn(source->comments + from, "*");
    from += source->comments[from] == ' ';
    *len = from < end ? end - from : 0;
    return from;
}

/* Pictures and tables are indented; a formatter that reflows them joins their rows as prose. */
static bool is_joined(const char *text, size_t len)
{
    static const char line_drawing[] = "\xe2\x94";
    static const char gap[] = "   ";
    if (len == 0 || text[0] == ' ')
        return false;
    size_t end = len;
    while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '/' || text[end - 1] == '*'))
        end--;
    return memmem(text, end, line_drawing, sizeof(line_drawing) - 1) != NULL ||
           memmem(text, end, gap, sizeof(gap) - 1) != NULL;
}

void rule_reflow(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    if (strcmp(source->path, ".clang-format") == 0 &&
        strstr(source->text, "\nReflowComments: false\n") == NULL)
        report_add(report, source, 1,
                   "the formatter would join the rows of tables in comments: say "
                   "\"ReflowComments: false\"");
    bool is_c = source->kind == SOURCE_C || source->kind == SOURCE_HEADER;
    for (size_t n = 1; n <= source->lines && is_c && !source_is_under(source, "tests/"); n++) {
        size_t len = 0;
        size_t from = comment_text(source, n, &len);
        if (is_joined(source->comments + from, len))
            report_add(report, source, n,
                       "a row of a table or a picture that is not indented: give each row a line "
                       "of its own, four blanks in");
    }
}
