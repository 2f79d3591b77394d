/* A file as text, and the views of it that the rules read: code, flow, comments. */
#include "tests/tidy/tidy.h"

#include <ctype.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
    if (memory == NULL)
        err(70, "tidy");
    return memory;
}

static bool ends_with(const char *path, const char *end)
{
    size_t path_len = strlen(path);
    size_t end_len = strlen(end);
    return path_len >= end_len && strcmp(path + path_len - end_len, end) == 0;
}

static enum source_kind kind_of(const char *path)
{
    if (ends_with(path, ".c"))
        return SOURCE_C;
    if (ends_with(path, ".h"))
        return SOURCE_HEADER;
    if (ends_with(path, "CMakeLists.txt") || ends_with(path, ".cmake"))
        return SOURCE_CMAKE;
    return SOURCE_TEXT;
}

/* Blanks bytes [from, to) of a view; lines stay lines. */
static void blank(char *view, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (view[i] != '\n')
            view[i] = ' ';
    }
}

/* The end of the string or character literal that opens at `at`: behind its closing quote, or where
 * the line ends. */
static size_t literal_end(const char *text, size_t at)
{
    char quote = text[at];
    size_t i = at + 1;
    while (text[i] != '\0' && text[i] != quote && text[i] != '\n') {
        if (text[i] == '\\' && text[i + 1] != '\0')
            i++;
        i++;
    }
    return text[i] == quote ? i + 1 : i;
}

static size_t comment_end(const char *text, size_t at)
{
    if (text[at + 1] == '/' || text[at] == '#')
        return at + strcspn(text + at, "\n");
    const char *end = strstr(text + at + 2, "*/");
    return end == NULL ? strlen(text) : (size_t)(end + 2 - text);
}

/* Divides the text between `code` and `comments`. */
static void split(struct source *s)
{
    bool c = s->kind == SOURCE_C || s->kind == SOURCE_HEADER;
    size_t i = 0;
    while (i < s->len_bytes) {
        bool slashes = c && s->text[i] == '/' && (s->text[i + 1] == '*' || s->text[i + 1] == '/');
        bool hash = s->kind == SOURCE_CMAKE && s->text[i] == '#';
        size_t end = i + 1;
        if (slashes || hash) {
            end = comment_end(s->text, i);
            blank(s->code, i, end);
        } else if (s->text[i] == '"' || (c && s->text[i] == '\'')) {
            end = literal_end(s->text, i);
            blank(s->code, i + 1, end - 1);
            blank(s->comments, i, end);
        } else {
            blank(s->comments, i, end);
        }
        i = end;
    }
}

/* Takes the directives out of `flow`, with the lines that a backslash adds to them. */
static void drop_directives(struct source *s)
{
    bool goes_on = false;
    for (size_t n = 0; n < s->lines; n++) {
        size_t from = s->line_at[n];
        size_t to = from + strcspn(s->flow + from, "\n");
        bool directive = s->flow[from + strspn(s->flow + from, " \t")] == '#';
        if (directive || goes_on) {
            goes_on = to > from && s->flow[to - 1] == '\\';
            blank(s->flow, from, to);
        }
    }
}

static void find_lines(struct source *s)
{
    size_t lines = 0;
    for (size_t i = 0; i < s->len_bytes; i++)
        lines += s->text[i] == '\n' || i + 1 == s->len_bytes;
    s->line_at = must(calloc(lines + 1, sizeof(*s->line_at)));
    s->lines = lines;
    size_t line = 1;
    for (size_t i = 0; i < s->len_bytes && line < lines; i++) {
        if (s->text[i] == '\n')
            s->line_at[line++] = i + 1;
    }
}

void tree_add(struct tree *tree, const char *path, const char *text)
{
    tree->sources = must(reallocarray(tree->sources, tree->count + 1, sizeof(*tree->sources)));
    struct source *s = &tree->sources[tree->count++];
    *s = (struct source){
        .kind = kind_of(path),
        .path = must(strdup(path)),
        .text = must(strdup(text)),
        .code = must(strdup(text)),
        .comments = must(strdup(text)),
        .len_bytes = strlen(text),
    };
    find_lines(s);
    split(s);
    s->flow = must(strdup(s->code));
    drop_directives(s);
}

void tree_fini(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        struct source *s = &tree->sources[i];
        free(s->path);
        free(s->text);
        free(s->code);
        free(s->flow);
        free(s->comments);
        free(s->line_at);
    }
    free(tree->sources);
    tree->sources = NULL;
    tree->count = 0;
}

size_t source_line(const struct source *source, size_t offset)
{
    size_t low = 0;
    size_t high = source->lines;
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;
        if (source->line_at[middle] <= offset)
            low = middle;
        else
            high = middle;
    }
    return low + 1;
}

bool source_is_under(const struct source *source, const char *folder)
{
    return strncmp(source->path, folder, strlen(folder)) == 0;
}

static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

bool word_next(const char *view, size_t *at, size_t *start, size_t *len)
{
    size_t i = *at;
    while (view[i] != '\0' && !is_word_byte(view[i]))
        i++;
    *start = i;
    while (is_word_byte(view[i]))
        i++;
    *len = i - *start;
    *at = i;
    return *len > 0;
}

bool word_is(const char *view, size_t start, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(view + start, word, len) == 0;
}

bool word_is_called(const char *view, size_t start, size_t len)
{
    bool member = (start >= 1 && view[start - 1] == '.') ||
                  (start >= 2 && view[start - 2] == '-' && view[start - 1] == '>');
    return !member && view[start + len] == '(';
}

bool source_include(const struct source *source, size_t n, char name[SOURCE_NAME_BYTES], char quote)
{
    const char *at = source->code + source->line_at[n - 1];
    at += strspn(at, " \t");
    if (*at != '#')
        return false;
    at += 1 + strspn(at + 1, " \t");
    if (strncmp(at, "include", 7) != 0)
        return false;
    at += 7;
    at += strspn(at, " \t");
    if (*at != quote)
        return false;
    /* The name is blank in `code`, being in quotes. */
    const char *from = source->text + (at - source->code) + 1;
    size_t len = strcspn(from, ">\"\n");
    if (len >= SOURCE_NAME_BYTES)
        return false;
    memcpy(name, from, len);
    name[len] = '\0';
    return true;
}
