/* Rules about sizes: of files, lines, functions, parameter lists, and how deep blocks nest. */
#include "tests/tidy/tidy.h"

#include <ctype.h>
#include <string.h>

#define FILE_LINES_MAX     600
#define LINE_COLUMNS_MAX   100
#define FUNCTION_LINES_MAX 70
#define PARAMETERS_MAX     6
#define NESTING_MAX        4
#define BRACES_MAX         64

/* Offsets into `flow`. */
struct function {
    size_t start; /* first byte of the signature */
    size_t name;  /* the name, `name_len` bytes */
    size_t name_len;
    size_t args_open; /* "(" of the parameters */
    size_t args_close;
    size_t body_open;  /* "{" */
    size_t body_close; /* "}", or the end of the file */
};

static size_t columns_of(const char *line, size_t len)
{
    size_t columns = 0;
    for (size_t i = 0; i < len; i++)
        columns += ((unsigned char)line[i] & 0xc0) != 0x80; /* UTF-8: all but continuation bytes */
    return columns;
}

void rule_sizes(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    if (source->lines > FILE_LINES_MAX)
        report_add(report, source, FILE_LINES_MAX + 1,
                   "%zu lines, %d are allowed: find the second "
                   "idea in it and give it a file",
                   source->lines, FILE_LINES_MAX);
    for (size_t n = 1; n <= source->lines; n++) {
        const char *line = source->text + source->line_at[n - 1];
        size_t columns = columns_of(line, strcspn(line, "\n"));
        if (columns > LINE_COLUMNS_MAX)
            report_add(report, source, n, "%zu columns, %d are allowed: break the line", columns,
                       LINE_COLUMNS_MAX);
    }
}

/* The last byte before `at` that is not blank; 0 bytes on, the file's first byte. */
static size_t back_over_blanks(const char *flow, size_t at)
{
    while (at > 0 && isspace((unsigned char)flow[at - 1]))
        at--;
    return at > 0 ? at - 1 : 0;
}

static size_t opening_of(const char *flow, size_t close)
{
    size_t depth = 0;
    for (size_t i = close + 1; i-- > 0;) {
        depth += flow[i] == ')';
        depth -= flow[i] == '(';
        if (depth == 0)
            return i;
    }
    return 0;
}

/* Reads name and parameters backwards from f->body_open. Returns whether it is a function at all.
 */
static bool read_signature(const char *flow, struct function *f)
{
    f->args_close = back_over_blanks(flow, f->body_open);
    for (;;) {
        if (flow[f->args_close] != ')')
            return false;
        f->args_open = opening_of(flow, f->args_close);
        size_t end = back_over_blanks(flow, f->args_open) + 1;
        f->name = end;
        while (f->name > 0 &&
               (isalnum((unsigned char)flow[f->name - 1]) || flow[f->name - 1] == '_'))
            f->name--;
        f->name_len = end - f->name;
        if (!word_is(flow, f->name, f->name_len, "__attribute__"))
            return f->name_len > 0;
        f->args_close = back_over_blanks(flow, f->name);
    }
}

/* The brace that closes the one at `open`. One in the first column always closes a function,
 * whatever an #else did. */
static size_t closing_of(const char *flow, size_t open)
{
    size_t depth = 0;
    size_t i = open;
    for (; flow[i] != '\0'; i++) {
        depth += flow[i] == '{';
        depth -= flow[i] == '}';
        if (flow[i] == '}' && (depth == 0 || flow[i - 1] == '\n'))
            return i;
    }
    return i;
}

/* Finds the next function definition from *at on. */
static bool function_next(const char *flow, size_t *at, struct function *f)
{
    size_t start = *at + strspn(flow + *at, " \t\n");
    for (size_t i = start; flow[i] != '\0'; i++) {
        if (flow[i] == ';') {
            start = i + 1 + strspn(flow + i + 1, " \t\n");
        } else if (flow[i] == '{') {
            *f = (struct function){.start = start, .body_open = i};
            size_t close = closing_of(flow, i);
            *at = flow[close] == '\0' ? close : close + 1;
            if (read_signature(flow, f)) {
                f->body_close = close;
                return true;
            }
            if (flow[close] == '\0')
                return false;
            i = close;
            start = i + 1 + strspn(flow + i + 1, " \t\n");
        }
    }
    return false;
}

static size_t parameters_of(const char *flow, const struct function *f)
{
    size_t first = f->args_open + 1 + strspn(flow + f->args_open + 1, " \t\n");
    size_t last = back_over_blanks(flow, f->args_close);
    if (first == f->args_close || word_is(flow, first, last + 1 - first, "void"))
        return 0;
    size_t count = 1;
    size_t depth = 0;
    for (size_t i = first; i < f->args_close; i++) {
        depth += flow[i] == '(';
        depth -= flow[i] == ')';
        count += depth == 0 && flow[i] == ',';
    }
    return count;
}

/* Whether the brace at `at`, inside of a function, opens a block and not a list of values. A
 * literal's brace stands against its type, "(struct t){", a block's does not, "if (x) {". */
static bool opens_block(const char *flow, size_t at)
{
    size_t before = back_over_blanks(flow, at);
    if (strchr(";{}:", flow[before]) != NULL)
        return true;
    if (flow[before] == ')')
        return before + 1 < at;
    size_t start = before + 1;
    while (start > 0 && isalpha((unsigned char)flow[start - 1]))
        start--;
    size_t len = before + 1 - start;
    return word_is(flow, start, len, "else") || word_is(flow, start, len, "do");
}

/* The offset of the first block in a function that lies too deep, or 0. */
static size_t too_deep(const char *flow, const struct function *f)
{
    bool is_block[BRACES_MAX] = {true};
    size_t braces = 0; /* open ones inside the body */
    size_t blocks = 0;
    for (size_t i = f->body_open + 1; i < f->body_close; i++) {
        if (flow[i] == '{' && braces + 1 < BRACES_MAX) {
            bool block = is_block[braces] && opens_block(flow, i);
            is_block[++braces] = block;
            blocks += block;
            if (blocks > NESTING_MAX)
                return i;
        } else if (flow[i] == '}' && braces > 0) {
            blocks -= is_block[braces--];
        }
    }
    return 0;
}

void rule_functions(const struct tree *tree, const struct source *source, struct report *report)
{
    (void)tree;
    const char *flow = source->flow;
    size_t at = 0;
    struct function f;
    while (function_next(flow, &at, &f)) {
        int name_len = (int)f.name_len;
        const char *name = flow + f.name;
        size_t first = source_line(source, f.start);
        size_t lines = source_line(source, f.body_close) + 1 - first;
        if (lines > FUNCTION_LINES_MAX)
            report_add(report, source, first,
                       "%.*s has %zu lines, %d are allowed: name a part of "
                       "it and make that a function",
                       name_len, name, lines, FUNCTION_LINES_MAX);
        size_t parameters = parameters_of(flow, &f);
        bool is_macro = isupper((unsigned char)*name); /* Criterion's Test(...) */
        if (parameters > PARAMETERS_MAX && !is_macro)
            report_add(report, source, first,
                       "%.*s has %zu parameters, %d are allowed: put what "
                       "belongs together into a struct",
                       name_len, name, parameters, PARAMETERS_MAX);
        size_t deep = too_deep(flow, &f);
        if (deep != 0)
            report_add(report, source, source_line(source, deep),
                       "%.*s nests more than %d blocks: return early, or make the inner part a "
                       "function",
                       name_len, name, NESTING_MAX);
    }
}
